package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

var schedAttrRows = []Row{
	partial(abi.SYS_SCHED_SETATTR, "sched_setattr", SchedSetattr, "stored and shown; the host schedules; no SCHED_DEADLINE, no utilization clamps", Int, Buf, Hex),
	full(abi.SYS_SCHED_GETATTR, "sched_getattr", SchedGetattr, Int, Buf, Int, Hex),
}

// schedAttr is struct sched_attr.
type schedAttr struct {
	Size, Policy              uint32
	Flags                     uint64
	Nice                      int32
	Priority                  uint32
	Runtime, Deadline, Period uint64
	UtilMin, UtilMax          uint32
}

// Sizes of struct sched_attr: first version, and ours.
const (
	schedAttrSize0 = 48
	schedAttrSize  = 56
)

// copySchedAttr copies in a structure that tells its size itself: an unusable one is
// answered with ours and E2BIG.
func copySchedAttr(t *kernel.Task, addr abi.Addr) (schedAttr, error) {
	var s schedAttr
	size, err := copyIn[uint32](t, addr)
	if err != nil {
		return s, err
	}
	if size == 0 {
		size = schedAttrSize0
	}
	err = abi.E2BIG
	if size >= schedAttrSize0 {
		err = copyInSized(t, addr, uint64(size), abi.Bytes(&s))
	}
	if err == abi.E2BIG {
		own := uint32(schedAttrSize)
		if err := copyOut(t, addr, &own); err != nil {
			return s, err
		}
	}
	return s, err
}

// SchedSetattr is sched_setattr(2).
func SchedSetattr(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Addr(1) == 0 || a.Int(0) < 0 || a.Uint(2) != 0 {
		return 0, abi.EINVAL
	}
	s, err := copySchedAttr(t, a.Addr(1))
	if err != nil {
		return 0, err
	}
	const known = abi.SCHED_FLAG_RESET_ON_FORK | abi.SCHED_FLAG_KEEP_POLICY | abi.SCHED_FLAG_KEEP_PARAMS
	if s.Flags&^known != 0 || int32(s.Policy) < 0 {
		return 0, abi.EINVAL
	}
	o, err := t.FindTask(a.Int(0))
	if err != nil {
		return 0, err
	}
	p := o.Sched()
	p.ResetOnFork = s.Flags&abi.SCHED_FLAG_RESET_ON_FORK != 0
	if s.Flags&abi.SCHED_FLAG_KEEP_POLICY == 0 {
		p.Policy = int32(s.Policy)
	}
	if s.Flags&abi.SCHED_FLAG_KEEP_PARAMS == 0 {
		p.Nice, p.Priority = min(max(s.Nice, -20), 19), int32(min(s.Priority, 1<<31-1))
	}
	return done0(t.SetSched(o, p))
}

// SchedGetattr is sched_getattr(2).
func SchedGetattr(t *kernel.Task, a *abi.Args) (uint64, error) {
	size := a.Uint(2)
	if a.Addr(1) == 0 || a.Int(0) < 0 || size > abi.PageSize || size < schedAttrSize0 || a.Uint(3) != 0 {
		return 0, abi.EINVAL
	}
	o, err := t.FindTask(a.Int(0))
	if err != nil {
		return 0, err
	}
	p := o.Sched()
	s := schedAttr{Size: min(size, schedAttrSize), Policy: uint32(p.Policy), Priority: uint32(p.Priority)}
	if p.ResetOnFork {
		s.Flags = abi.SCHED_FLAG_RESET_ON_FORK
	}
	if p.Policy == abi.SCHED_NORMAL || p.Policy == abi.SCHED_BATCH {
		s.Nice = p.Nice
	}
	return done0(t.MM().CopyOut(a.Addr(1), abi.Bytes(&s)[:s.Size]))
}
