package kernel

import (
	"bytes"
	"encoding/binary"

	"lazaret/syscalls/abi"
)

const (
	regsSize   = 27 * 8 // sizeof(struct user_regs_struct)
	fpregsSize = 512    // sizeof(struct user_fpregs_struct)
	userSize   = 912    // sizeof(struct user)
	origRaxOff = 15 * 8
)

func (o *Task) regsBytes() []byte {
	b, _ := binary.Append(make([]byte, 0, regsSize), binary.LittleEndian, &o.regs)
	return b
}

// setRegsBytes stores a tracer's registers. Switch sanitizes what the processor cares for.
func (o *Task) setRegsBytes(b []byte) error {
	r := o.regs
	if err := binary.Read(bytes.NewReader(b), binary.LittleEndian, &r); err != nil {
		return abi.EIO
	}
	o.regs = r
	o.syncRestart()
	return nil
}

// syncRestart makes what the kernel knows of an interrupted system call follow the
// registers: orig_rax below zero means "not in a call".
func (o *Task) syncRestart() {
	if int64(o.regs.OrigRax) < 0 {
		o.inSyscall, o.restartCode = false, 0
		return
	}
	switch e := abi.Errno(-int64(o.regs.Rax)); e {
	case abi.ERESTARTSYS, abi.ERESTARTNOINTR, abi.ERESTARTNOHAND, abi.ERESTART_RESTARTBLOCK:
		o.inSyscall, o.restartCode, o.syscallNr = true, e, o.regs.OrigRax
	default:
		o.restartCode = 0
	}
}

// ptraceArch are the requests that only this architecture has.
func (t *Task) ptraceArch(o *Task, req int64, addr, data uint64) error {
	m := t.mm.Load()
	switch req {
	case abi.PTRACE_GETREGS:
		return m.CopyOut(abi.Addr(data), o.regsBytes())
	case abi.PTRACE_SETREGS:
		b := make([]byte, regsSize)
		if err := m.CopyIn(abi.Addr(data), b); err != nil {
			return err
		}
		return o.setRegsBytes(b)
	case abi.PTRACE_GETFPREGS:
		fp, err := t.traceFP(o, false, nil)
		if err != nil {
			return err
		}
		return m.CopyOut(abi.Addr(data), fp[:min(len(fp), fpregsSize)])
	case abi.PTRACE_SETFPREGS:
		b := make([]byte, fpregsSize)
		if err := m.CopyIn(abi.Addr(data), b); err != nil {
			return err
		}
		return t.setRegset(o, ntPrfpreg, b)
	case abi.PTRACE_PEEKUSR:
		if addr&7 != 0 || addr >= userSize {
			return abi.EIO
		}
		v := uint64(0)
		switch {
		case addr < regsSize:
			v = binary.LittleEndian.Uint64(o.regsBytes()[addr:])
		case addr >= debugRegsOff:
			v = o.debugReg((addr - debugRegsOff) / 8)
		}
		return t.putWord(data, v)
	case abi.PTRACE_POKEUSR:
		if addr&7 != 0 || addr >= userSize {
			return abi.EIO
		}
		if addr >= debugRegsOff {
			return o.setDebugReg((addr-debugRegsOff)/8, data)
		}
		if addr >= regsSize {
			return abi.EIO
		}
		b := o.regsBytes()
		binary.LittleEndian.PutUint64(b[addr:], data)
		return o.setRegsBytes(b)
	}
	return abi.EIO
}
