package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/sentry/kernel/clock"
	"lazaret/syscalls/abi"
)

var timerRows = []Row{
	full(abi.SYS_TIMER_CREATE, "timer_create", TimerCreate, Int, Buf, Buf),
	full(abi.SYS_TIMER_SETTIME, "timer_settime", TimerSettime, Int, Hex, Buf, Buf),
	full(abi.SYS_TIMER_GETTIME, "timer_gettime", TimerGettime, Int, Buf),
	full(abi.SYS_TIMER_GETOVERRUN, "timer_getoverrun", TimerGetoverrun, Int),
	full(abi.SYS_TIMER_DELETE, "timer_delete", TimerDelete, Int),
	full(abi.SYS_GETITIMER, "getitimer", Getitimer, Int, Buf),
	full(abi.SYS_SETITIMER, "setitimer", Setitimer, Int, Buf, Buf),
}

// sigevent is struct sigevent.
type sigevent struct {
	Value         uint64
	Signo, Notify int32
	TID           int32
	_             [11]int32
}

// itimerspec and itimerval are the structures of timer_settime(2) and setitimer(2).
type (
	itimerspec struct{ Interval, Value abi.Timespec }
	itimerval  struct{ Interval, Value abi.Timeval }
)

func specOf(s clock.Setting) itimerspec {
	return itimerspec{abi.NsecToTimespec(s.IntervalNS), abi.NsecToTimespec(s.LeftNS)}
}

// valOf rounds so that an armed timer never shows as disarmed.
func valOf(s clock.Setting) itimerval {
	if s.LeftNS > 0 {
		s.LeftNS = max(s.LeftNS, abi.NsecPerUsec)
	}
	return itimerval{abi.NsecToTimeval(s.IntervalNS), abi.NsecToTimeval(s.LeftNS)}
}

// TimerCreate is timer_create(2).
func TimerCreate(t *kernel.Task, a *abi.Args) (uint64, error) {
	var event *kernel.SigEvent
	if addr := a.Addr(1); addr != 0 {
		e, err := copyIn[sigevent](t, addr)
		if err != nil {
			return 0, err
		}
		event = &kernel.SigEvent{Notify: e.Notify, Signo: e.Signo, Value: e.Value, TID: e.TID}
	}
	id, err := t.TimerCreate(a.Int(0), event)
	if err != nil {
		return 0, err
	}
	if err := copyOut(t, a.Addr(2), &id); err != nil {
		_ = t.TimerDelete(id)
		return 0, err
	}
	return 0, nil
}

// TimerSettime is timer_settime(2).
func TimerSettime(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Addr(2) == 0 {
		return 0, abi.EINVAL
	}
	s, err := copyIn[itimerspec](t, a.Addr(2))
	if err != nil {
		return 0, err
	}
	if !s.Value.Valid() || !s.Interval.Valid() {
		return 0, abi.EINVAL
	}
	old, err := t.TimerSet(a.Int(0), clock.Setting{LeftNS: s.Value.Nano(), IntervalNS: s.Interval.Nano()}, a.Uint(1)&timerAbstime != 0)
	if err != nil {
		return 0, err
	}
	if addr := a.Addr(3); addr != 0 {
		was := specOf(old)
		return done0(copyOut(t, addr, &was))
	}
	return 0, nil
}

// TimerGettime is timer_gettime(2).
func TimerGettime(t *kernel.Task, a *abi.Args) (uint64, error) {
	now, err := t.TimerGet(a.Int(0))
	if err != nil {
		return 0, err
	}
	s := specOf(now)
	return done0(copyOut(t, a.Addr(1), &s))
}

// TimerGetoverrun is timer_getoverrun(2).
func TimerGetoverrun(t *kernel.Task, a *abi.Args) (uint64, error) {
	return ret32(t.TimerOverrun(a.Int(0)))
}

// TimerDelete is timer_delete(2).
func TimerDelete(t *kernel.Task, a *abi.Args) (uint64, error) { return done0(t.TimerDelete(a.Int(0))) }

// Getitimer is getitimer(2).
func Getitimer(t *kernel.Task, a *abi.Args) (uint64, error) {
	now, err := t.Getitimer(a.Int(0))
	if err != nil {
		return 0, err
	}
	v := valOf(now)
	return done0(copyOut(t, a.Addr(1), &v))
}

// Setitimer is setitimer(2); a null value disarms, as Linux has it.
func Setitimer(t *kernel.Task, a *abi.Args) (uint64, error) {
	var v itimerval
	if addr := a.Addr(1); addr != 0 {
		var err error
		if v, err = copyIn[itimerval](t, addr); err != nil {
			return 0, err
		}
		if !v.Value.Valid() || !v.Interval.Valid() {
			return 0, abi.EINVAL
		}
	}
	old, err := t.Setitimer(a.Int(0), clock.Setting{LeftNS: v.Value.Timespec().Nano(), IntervalNS: v.Interval.Timespec().Nano()})
	if err != nil {
		return 0, err
	}
	if addr := a.Addr(2); addr != 0 {
		was := valOf(old)
		return done0(copyOut(t, addr, &was))
	}
	return 0, nil
}
