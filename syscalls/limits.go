package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

var limitRows = []Row{
	full(abi.SYS_PRLIMIT64, "prlimit64", Prlimit64, Int, Int, Buf, Buf),
	full(abi.SYS_GETRLIMIT, "getrlimit", Getrlimit, Int, Buf),
	full(abi.SYS_SETRLIMIT, "setrlimit", Setrlimit, Int, Buf),
	full(abi.SYS_GETRUSAGE, "getrusage", Getrusage, Int, Buf),
	full(abi.SYS_TIMES, "times", Times, Buf),
	full(abi.SYS_GETPRIORITY, "getpriority", Getpriority, Int, Int),
	full(abi.SYS_SETPRIORITY, "setpriority", Setpriority, Int, Int, Int),
	partial(abi.SYS_SCHED_SETSCHEDULER, "sched_setscheduler", SchedSetscheduler, "policies are stored and shown; the host schedules", Int, Int, Buf),
	full(abi.SYS_SCHED_GETSCHEDULER, "sched_getscheduler", SchedGetscheduler, Int),
	partial(abi.SYS_SCHED_SETPARAM, "sched_setparam", SchedSetparam, "stored and shown; the host schedules", Int, Buf),
	full(abi.SYS_SCHED_GETPARAM, "sched_getparam", SchedGetparam, Int, Buf),
	full(abi.SYS_SCHED_GET_PRIORITY_MAX, "sched_get_priority_max", SchedGetPriorityMax, Int),
	full(abi.SYS_SCHED_GET_PRIORITY_MIN, "sched_get_priority_min", SchedGetPriorityMin, Int),
	full(abi.SYS_SCHED_RR_GET_INTERVAL, "sched_rr_get_interval", SchedRRGetInterval, Int, Buf),
	partial(abi.SYS_SCHED_SETAFFINITY, "sched_setaffinity", SchedSetaffinity, "stored and shown; the host schedules", Int, Hex, Buf),
	full(abi.SYS_SCHED_GETAFFINITY, "sched_getaffinity", SchedGetaffinity, Int, Hex, Buf),
	full(abi.SYS_SCHED_YIELD, "sched_yield", SchedYield),
	full(abi.SYS_IOPRIO_GET, "ioprio_get", IoprioGet, Int, Int),
	partial(abi.SYS_IOPRIO_SET, "ioprio_set", IoprioSet, "stored and shown; means nothing", Int, Int, Int),
}

// Prlimit64 is prlimit(2).
func Prlimit64(t *kernel.Task, a *abi.Args) (uint64, error) {
	return prlimit(t, a.Int(0), a.Uint(1), a.Addr(2), a.Addr(3))
}

func prlimit(t *kernel.Task, pid int32, res uint32, newAddr, oldAddr abi.Addr) (uint64, error) {
	var set *abi.Rlimit
	if newAddr != 0 {
		l, err := copyIn[abi.Rlimit](t, newAddr)
		if err != nil {
			return 0, err
		}
		set = &l
	}
	old, err := t.Prlimit(pid, res, set)
	if err != nil {
		return 0, err
	}
	if oldAddr != 0 {
		return done0(copyOut(t, oldAddr, &old))
	}
	return 0, nil
}

// Getrlimit is getrlimit(2).
func Getrlimit(t *kernel.Task, a *abi.Args) (uint64, error) {
	old, err := t.Prlimit(0, a.Uint(0), nil)
	if err != nil {
		return 0, err
	}
	return done0(copyOut(t, a.Addr(1), &old))
}

// Setrlimit is setrlimit(2).
func Setrlimit(t *kernel.Task, a *abi.Args) (uint64, error) {
	l, err := copyIn[abi.Rlimit](t, a.Addr(1))
	if err != nil {
		return 0, err
	}
	_, err = t.Prlimit(0, a.Uint(0), &l)
	return 0, err
}

// Getrusage is getrusage(2).
func Getrusage(t *kernel.Task, a *abi.Args) (uint64, error) {
	u, err := t.Rusage(a.Int(0))
	if err != nil {
		return 0, err
	}
	return done0(t.MM().CopyOut(a.Addr(1), u.Bytes()))
}

// clockTick is a tick of times(2) in nanoseconds: sysconf(_SC_CLK_TCK) is 100.
const clockTick = abi.NsecPerSec / 100

// Times is times(2).
func Times(t *kernel.Task, a *abi.Args) (uint64, error) {
	if addr := a.Addr(0); addr != 0 {
		u, s, cu, cs := t.ThreadGroup().CPUTimes()
		tms := [4]int64{u / clockTick, s / clockTick, cu / clockTick, cs / clockTick}
		if err := copyOut(t, addr, &tms); err != nil {
			return 0, err
		}
	}
	return uint64(t.Kernel().Clock.MonotonicNS() / clockTick), nil
}

// Getpriority is getpriority(2): 20 - nice, so that the result is positive.
func Getpriority(t *kernel.Task, a *abi.Args) (uint64, error) {
	list, err := t.PriorityTargets(a.Int(0), a.Int(1))
	if err != nil {
		return 0, err
	}
	best := uint64(0)
	for _, o := range list {
		best = max(best, uint64(20-o.Sched().Nice))
	}
	return best, nil
}

// Setpriority is setpriority(2).
func Setpriority(t *kernel.Task, a *abi.Args) (uint64, error) {
	list, err := t.PriorityTargets(a.Int(0), a.Int(1))
	if err != nil {
		return 0, err
	}
	for _, o := range list {
		if e := t.SetNice(o, max(-20, min(19, a.Int(2)))); e != nil {
			err = e
		}
	}
	return 0, err
}

// SchedSetscheduler is sched_setscheduler(2).
func SchedSetscheduler(t *kernel.Task, a *abi.Args) (uint64, error) {
	prio, err := copyIn[int32](t, a.Addr(2))
	if err != nil {
		return 0, err
	}
	o, err := t.FindTask(a.Int(0))
	if err != nil {
		return 0, err
	}
	p := o.Sched()
	p.Policy, p.ResetOnFork = a.Int(1)&^abi.SCHED_RESET_ON_FORK, a.Int(1)&abi.SCHED_RESET_ON_FORK != 0
	p.Priority = prio
	return done0(t.SetSched(o, p))
}

// SchedGetscheduler is sched_getscheduler(2).
func SchedGetscheduler(t *kernel.Task, a *abi.Args) (uint64, error) {
	o, err := t.FindTask(a.Int(0))
	if err != nil {
		return 0, err
	}
	p := o.Sched()
	v := uint64(p.Policy)
	if p.ResetOnFork {
		v |= abi.SCHED_RESET_ON_FORK
	}
	return v, nil
}

// SchedSetparam is sched_setparam(2).
func SchedSetparam(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Addr(1) == 0 {
		return 0, abi.EINVAL
	}
	prio, err := copyIn[int32](t, a.Addr(1))
	if err != nil {
		return 0, err
	}
	o, err := t.FindTask(a.Int(0))
	if err != nil {
		return 0, err
	}
	p := o.Sched()
	p.Priority = prio
	return done0(t.SetSched(o, p))
}

// SchedGetparam is sched_getparam(2).
func SchedGetparam(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Addr(1) == 0 {
		return 0, abi.EINVAL
	}
	o, err := t.FindTask(a.Int(0))
	if err != nil {
		return 0, err
	}
	prio := o.Sched().Priority
	return done0(copyOut(t, a.Addr(1), &prio))
}

// SchedGetPriorityMax is sched_get_priority_max(2).
func SchedGetPriorityMax(_ *kernel.Task, a *abi.Args) (uint64, error) {
	_, hi, err := kernel.PriorityRange(a.Int(0))
	return ret32(hi, err)
}

// SchedGetPriorityMin is sched_get_priority_min(2).
func SchedGetPriorityMin(_ *kernel.Task, a *abi.Args) (uint64, error) {
	lo, _, err := kernel.PriorityRange(a.Int(0))
	return ret32(lo, err)
}

// SchedRRGetInterval is sched_rr_get_interval(2).
func SchedRRGetInterval(t *kernel.Task, a *abi.Args) (uint64, error) {
	o, err := t.FindTask(a.Int(0))
	if err != nil {
		return 0, err
	}
	ts := abi.Timespec{}
	switch o.Sched().Policy {
	case abi.SCHED_RR:
		ts.Nsec = 100_000_000
	case abi.SCHED_NORMAL, abi.SCHED_BATCH:
		ts.Nsec = 4_000_000
	}
	return done0(copyOut(t, a.Addr(1), &ts))
}

// SchedSetaffinity is sched_setaffinity(2).
func SchedSetaffinity(t *kernel.Task, a *abi.Args) (uint64, error) {
	o, err := t.FindTask(a.Int(0))
	if err != nil {
		return 0, err
	}
	n := min(a.Size(1)&0xffffffff, uint64(len(o.Affinity())*8))
	mask := make([]uint64, len(o.Affinity()))
	if err := t.MM().CopyIn(a.Addr(2), abi.SliceBytes(mask)[:n]); err != nil {
		return 0, err
	}
	return done0(t.SetAffinity(o, mask))
}

// SchedGetaffinity is sched_getaffinity(2): the number of bytes written.
func SchedGetaffinity(t *kernel.Task, a *abi.Args) (uint64, error) {
	o, err := t.FindTask(a.Int(0))
	if err != nil {
		return 0, err
	}
	mask := o.Affinity()
	n, size := a.Size(1)&0xffffffff, uint64(len(mask)*8)
	if n%8 != 0 || n*8 < uint64(t.Kernel().CPUs) {
		return 0, abi.EINVAL
	}
	n = min(n, size)
	return n, t.MM().CopyOut(a.Addr(2), abi.SliceBytes(mask)[:n])
}

// SchedYield is sched_yield(2): the switch out of application code is the yield.
func SchedYield(*kernel.Task, *abi.Args) (uint64, error) { return 0, nil }

// ioprioProcess is IOPRIO_WHO_PROCESS.
const ioprioProcess = 1

// IoprioGet is ioprio_get(2).
func IoprioGet(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Int(0) != ioprioProcess {
		return 0, abi.EINVAL
	}
	o, err := t.FindTask(a.Int(1))
	if err != nil {
		return 0, err
	}
	return uint64(o.IOPrio()), nil
}

// IoprioSet is ioprio_set(2).
func IoprioSet(t *kernel.Task, a *abi.Args) (uint64, error) {
	class := a.Int(2) >> 13
	if a.Int(0) != ioprioProcess || class < 0 || class > 3 {
		return 0, abi.EINVAL
	}
	if class == 1 && !t.Creds().HasCap(abi.CAP_SYS_ADMIN) {
		return 0, abi.EPERM
	}
	o, err := t.FindTask(a.Int(1))
	if err != nil {
		return 0, err
	}
	o.SetIOPrio(a.Int(2))
	return 0, nil
}
