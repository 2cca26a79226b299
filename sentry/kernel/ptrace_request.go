package kernel

import (
	"encoding/binary"

	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Ptrace is ptrace(2). For the PEEK requests the result is the word, which the library
// stores where data points: the kernel's interface does that, so it is done here.
func (t *Task) Ptrace(req int64, pid int32, addr, data uint64) (uint64, error) {
	if req == abi.PTRACE_TRACEME {
		return 0, t.traceMe()
	}
	o := t.k.TaskByID(t.PIDNS(), pid)
	if o == nil {
		return 0, abi.ESRCH
	}
	switch req {
	case abi.PTRACE_ATTACH:
		return 0, t.attach(o, false, 0)
	case abi.PTRACE_SEIZE:
		if addr != 0 || data&^uint64(abi.PTRACE_O_MASK) != 0 {
			return 0, abi.EIO
		}
		return 0, t.attach(o, true, uint32(data))
	}
	if o.Tracer() != t {
		return 0, abi.ESRCH
	}
	switch req {
	case abi.PTRACE_INTERRUPT:
		return 0, o.interruptTrace()
	case abi.PTRACE_KILL:
		_ = o.SendSignal(&abi.Siginfo{Signo: abi.SIGKILL, Code: abi.SI_KERNEL}, toThread, true)
		return 0, nil
	}
	if !o.traceStopped() {
		return 0, abi.ESRCH
	}
	return t.ptraceStopped(o, req, addr, data)
}

// ptraceStopped are the requests that need a stopped tracee.
func (t *Task) ptraceStopped(o *Task, req int64, addr, data uint64) (uint64, error) {
	switch req {
	case abi.PTRACE_CONT, abi.PTRACE_SYSCALL, abi.PTRACE_SYSEMU, abi.PTRACE_SINGLESTEP, abi.PTRACE_SYSEMU_SINGLESTEP:
		return 0, o.resumeTraced(req, data)
	case abi.PTRACE_DETACH:
		return 0, o.detachTraced(data)
	case abi.PTRACE_LISTEN:
		return 0, o.listen()
	case abi.PTRACE_SETOPTIONS, abi.PTRACE_OLDSETOPTIONS:
		if data&^uint64(abi.PTRACE_O_MASK) != 0 {
			return 0, abi.EINVAL
		}
		o.tg.sigMu.Lock()
		o.traceOpts = uint32(data)
		o.tg.sigMu.Unlock()
		return 0, nil
	case abi.PTRACE_GETEVENTMSG:
		o.tg.sigMu.Lock()
		msg := o.traceMsg
		o.tg.sigMu.Unlock()
		return 0, t.putWord(data, msg)
	case abi.PTRACE_GETSIGINFO, abi.PTRACE_SETSIGINFO:
		return 0, t.traceSiginfo(o, req, data)
	case abi.PTRACE_PEEKTEXT, abi.PTRACE_PEEKDATA, abi.PTRACE_POKETEXT, abi.PTRACE_POKEDATA:
		return 0, t.tracePeek(o, req, addr, data)
	case abi.PTRACE_GETSIGMASK:
		if addr != 8 {
			return 0, abi.EINVAL
		}
		return 0, t.putWord(data, uint64(o.SignalMask()))
	case abi.PTRACE_SETSIGMASK:
		var b [8]byte
		if addr != 8 {
			return 0, abi.EINVAL
		}
		if err := t.mm.Load().CopyIn(abi.Addr(data), b[:]); err != nil {
			return 0, err
		}
		o.SetSignalMask(abi.SigSet(binary.LittleEndian.Uint64(b[:])))
		return 0, nil
	case abi.PTRACE_GET_SYSCALL_INFO:
		return t.traceCallInfo(o, addr, data)
	case abi.PTRACE_PEEKSIGINFO:
		return t.tracePending(o, addr, data)
	case abi.PTRACE_GETREGSET, abi.PTRACE_SETREGSET:
		return 0, t.traceRegset(o, req, addr, data)
	case abi.PTRACE_SECCOMP_GET_FILTER, abi.PTRACE_SECCOMP_GET_METADATA, abi.PTRACE_GET_RSEQ_CONFIGURATION:
		return 0, abi.EIO // TODO: rarely used requests
	}
	return 0, t.ptraceArch(o, req, addr, data)
}

func (t *Task) putWord(addr, v uint64) error {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	return t.mm.Load().CopyOut(abi.Addr(addr), b[:])
}

// traceStopped reports whether o is stopped for its tracer; it waits for one that is
// about to be.
func (o *Task) traceStopped() bool {
	o.tg.sigMu.Lock()
	defer o.tg.sigMu.Unlock()
	return o.stop.parked == parkedTraced && o.jobctl&jobListening == 0
}

func (t *Task) traceMe() error {
	t.k.tasksMu.Lock()
	defer t.k.tasksMu.Unlock()
	if t.tracer != nil || t.tg.parent == nil {
		return abi.EPERM
	}
	p := t.tg.parentTask
	if p == nil || p.zombie {
		p = t.tg.parent.liveTaskLocked()
	}
	t.linkTracerLocked(p, false, 0)
	return nil
}

func (t *Task) attach(o *Task, seize bool, opts uint32) error {
	if o.tg == t.tg {
		return abi.EPERM
	}
	if err := t.MayAccess(o, AccessReal); err != nil {
		return err
	}
	o.tg.credGuard.Lock()
	defer o.tg.credGuard.Unlock()
	t.k.tasksMu.Lock()
	if o.tracer != nil || o.zombie || o.exiting.Load() {
		t.k.tasksMu.Unlock()
		return abi.EPERM
	}
	o.linkTracerLocked(t, seize, opts)
	t.k.tasksMu.Unlock()
	if !seize {
		_ = o.SendSignal(&abi.Siginfo{Signo: abi.SIGSTOP, Code: abi.SI_KERNEL}, toThread, true)
	}
	o.tg.sigMu.Lock()
	if o.stop.parked == parkedStopped {
		// Already stopped with its group: it becomes a stop for the tracer.
		o.jobctl |= jobTrapStop
		o.stop.parked = notParked
		o.kick()
	}
	o.tg.sigMu.Unlock()
	return nil
}

func (o *Task) interruptTrace() error {
	o.tg.sigMu.Lock()
	defer o.tg.sigMu.Unlock()
	if !o.seize {
		return abi.EIO
	}
	if o.jobctl&jobListening != 0 {
		o.jobctl &^= jobListening
		o.stop.parked = notParked
	}
	o.jobctl |= jobTrapStop
	o.kick()
	return nil
}

func (o *Task) listen() error {
	o.tg.sigMu.Lock()
	defer o.tg.sigMu.Unlock()
	if !o.seize || o.traceInfo == nil || o.traceInfo.Code>>8 != abi.PTRACE_EVENT_STOP {
		return abi.EIO
	}
	o.jobctl |= jobListening
	if o.jobctl&jobTrapNotify != 0 {
		o.jobctl &^= jobListening
		o.stop.parked = notParked
		o.kick()
	}
	return nil
}

func (o *Task) resumeTraced(req int64, sig uint64) error {
	if sig > abi.NSIG {
		return abi.EIO
	}
	o.tg.sigMu.Lock()
	defer o.tg.sigMu.Unlock()
	o.traceMode = traceCont
	switch req {
	case abi.PTRACE_SYSCALL:
		o.traceMode = traceSyscall
	case abi.PTRACE_SYSEMU, abi.PTRACE_SYSEMU_SINGLESTEP:
		o.traceMode = traceSysemu
	}
	o.traceStepping = req == abi.PTRACE_SINGLESTEP || req == abi.PTRACE_SYSEMU_SINGLESTEP
	o.traceSig, o.traceCode = int32(sig), 0
	o.stop.parked = notParked
	o.kick()
	return nil
}

func (o *Task) detachTraced(sig uint64) error {
	if sig > abi.NSIG {
		return abi.EIO
	}
	o.k.tasksMu.Lock()
	defer o.k.tasksMu.Unlock()
	o.tg.sigMu.Lock()
	o.traceSig, o.traceCode = int32(sig), 0
	o.tg.sigMu.Unlock()
	o.unlinkTracerLocked()
	return nil
}

func (t *Task) traceSiginfo(o *Task, req int64, data uint64) error {
	m := t.mm.Load()
	if req == abi.PTRACE_GETSIGINFO {
		o.tg.sigMu.Lock()
		p := o.traceInfo
		var info abi.Siginfo
		if p != nil {
			info = *p
		}
		o.tg.sigMu.Unlock()
		if p == nil {
			return abi.EINVAL
		}
		return m.CopyOut(abi.Addr(data), info.Bytes())
	}
	var b [abi.SiginfoSize]byte
	if err := m.CopyIn(abi.Addr(data), b[:]); err != nil {
		return err
	}
	o.tg.sigMu.Lock()
	defer o.tg.sigMu.Unlock()
	if o.traceInfo == nil {
		return abi.EINVAL
	}
	*o.traceInfo = abi.SiginfoFrom(b[:])
	return nil
}

// tracePeek reads or writes a word of the tracee, also where it is read-only for it.
func (t *Task) tracePeek(o *Task, req int64, addr, data uint64) error {
	m := o.mm.Load()
	if m == nil || !m.TryIncUsers() {
		return abi.EIO
	}
	defer m.DecUsers()
	var b [8]byte
	if req == abi.PTRACE_POKETEXT || req == abi.PTRACE_POKEDATA {
		binary.LittleEndian.PutUint64(b[:], data)
		if n, _ := m.Poke(abi.Addr(addr), b[:]); n != len(b) {
			return abi.EIO
		}
		return nil
	}
	if n, _ := m.Peek(abi.Addr(addr), b[:]); n != len(b) {
		return abi.EIO
	}
	return t.mm.Load().CopyOut(abi.Addr(data), b[:])
}

// traceFP reads or writes the floating point state of a stopped tracee.
func (t *Task) traceFP(o *Task, set bool, data []byte) ([]byte, error) {
	r := &fpRequest{set: set, data: data}
	o.tg.sigMu.Lock()
	if o.fpRequest != nil || o.stop.parked != parkedTraced {
		o.tg.sigMu.Unlock()
		return nil, abi.ESRCH
	}
	o.fpRequest = r
	o.tg.sigMu.Unlock()
	o.parker.unpark()
	err := wait.Until(killable{t}, &o.fpQ, wait.All, noDeadline, func() bool {
		o.tg.sigMu.Lock()
		defer o.tg.sigMu.Unlock()
		return r.done
	})
	if err != nil {
		return nil, err
	}
	return r.data, r.err
}

// traceCallInfo is PTRACE_GET_SYSCALL_INFO; the result is the size that there is.
func (t *Task) traceCallInfo(o *Task, size, data uint64) (uint64, error) {
	o.tg.sigMu.Lock()
	op, extra := o.callStop, o.callData
	o.tg.sigMu.Unlock()
	b := make([]byte, 24, 88)
	b[0] = op
	binary.LittleEndian.PutUint32(b[4:], auditArch)
	binary.LittleEndian.PutUint64(b[8:], uint64(o.regs.IP()))
	binary.LittleEndian.PutUint64(b[16:], uint64(o.regs.SP()))
	switch op {
	case abi.PTRACE_SYSCALL_INFO_ENTRY, abi.PTRACE_SYSCALL_INFO_SECCOMP:
		b = binary.LittleEndian.AppendUint64(b, o.regs.SyscallNo())
		for _, a := range o.regs.SyscallArgs() {
			b = binary.LittleEndian.AppendUint64(b, a)
		}
		if op == abi.PTRACE_SYSCALL_INFO_SECCOMP {
			b = binary.LittleEndian.AppendUint32(b, extra)
		}
	case abi.PTRACE_SYSCALL_INFO_EXIT:
		v := o.regs.Return()
		b = binary.LittleEndian.AppendUint64(b, v)
		isErr := byte(0)
		if int64(v) < 0 && int64(v) >= -4095 {
			isErr = 1
		}
		b = append(b, isErr)
	}
	n := uint64(len(b))
	return n, t.mm.Load().CopyOut(abi.Addr(data), b[:min(size, n)])
}

// Register sets of PTRACE_GETREGSET.
const (
	ntPrstatus = 1
	ntPrfpreg  = 2
	ntX86State = 0x202
)

func (t *Task) traceRegset(o *Task, req int64, kind, data uint64) error {
	var iov [16]byte
	m := t.mm.Load()
	if err := m.CopyIn(abi.Addr(data), iov[:]); err != nil {
		return err
	}
	base, n := abi.Addr(binary.LittleEndian.Uint64(iov[:])), binary.LittleEndian.Uint64(iov[8:])
	set := req == abi.PTRACE_SETREGSET
	have, err := t.regsetBytes(o, kind)
	if err != nil {
		return err
	}
	n = min(n, uint64(len(have)))
	if set {
		if err := m.CopyIn(base, have[:n]); err != nil {
			return err
		}
		err = t.setRegset(o, kind, have)
	} else {
		err = m.CopyOut(base, have[:n])
	}
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(iov[8:], n)
	return m.CopyOut(abi.Addr(data), iov[:])
}

func (t *Task) regsetBytes(o *Task, kind uint64) ([]byte, error) {
	switch kind {
	case ntPrstatus:
		return o.regsBytes(), nil
	case ntPrfpreg, ntX86State:
		fp, err := t.traceFP(o, false, nil)
		if err == nil && kind == ntPrfpreg && len(fp) > fpregsSize {
			fp = fp[:fpregsSize]
		}
		return fp, err
	}
	return nil, abi.EINVAL
}

func (t *Task) setRegset(o *Task, kind uint64, b []byte) error {
	switch kind {
	case ntPrstatus:
		return o.setRegsBytes(b)
	case ntPrfpreg:
		full, err := t.traceFP(o, false, nil)
		if err != nil {
			return err
		}
		copy(full, b)
		b = full
	}
	_, err := t.traceFP(o, true, b)
	return err
}
