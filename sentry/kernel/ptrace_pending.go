package kernel

import (
	"encoding/binary"

	"lazaret/syscalls/abi"
)

// peekSiginfoSize is that of struct ptrace_peeksiginfo_args: u64 off, u32 flags, s32 nr.
const peekSiginfoSize = 16

// tracePending is PTRACE_PEEKSIGINFO: what waits in the tracee's queue, or in that of its
// process, from the off-th on, stays there and is copied to data. It returns how many were.
func (t *Task) tracePending(o *Task, addr, data uint64) (uint64, error) {
	m := t.mm.Load()
	var b [peekSiginfoSize]byte
	if err := m.CopyIn(abi.Addr(addr), b[:]); err != nil {
		return 0, err
	}
	off, flags, n := binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint32(b[8:]), int32(binary.LittleEndian.Uint32(b[12:]))
	if flags&^uint32(abi.PTRACE_PEEKSIGINFO_SHARED) != 0 || n < 0 {
		return 0, abi.EINVAL
	}
	var done uint64
	for ; done < uint64(n); done++ {
		info, ok := o.queuedAt(flags&abi.PTRACE_PEEKSIGINFO_SHARED != 0, off+done)
		if !ok {
			break
		}
		to, ok := abi.Addr(data).Add(done * abi.SiginfoSize)
		if !ok {
			return done, errUnlessSome(done)
		}
		if err := m.CopyOut(to, info.Bytes()); err != nil {
			return done, errUnlessSome(done)
		}
	}
	return done, nil
}

// errUnlessSome is the error of a copy that failed after some: they count.
func errUnlessSome(done uint64) error {
	if done > 0 {
		return nil
	}
	return abi.EFAULT
}

// queuedAt returns the information of the i-th queued signal: one at a time, since no lock
// may be held while the tracer's memory is written.
func (o *Task) queuedAt(shared bool, i uint64) (abi.Siginfo, bool) {
	o.tg.sigMu.Lock()
	defer o.tg.sigMu.Unlock()
	q := &o.pending
	if shared {
		q = &o.tg.shared
	}
	if i >= uint64(len(q.list)) {
		return abi.Siginfo{}, false
	}
	return q.list[i].info, true
}
