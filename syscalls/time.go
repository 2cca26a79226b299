package syscalls

import (
	"time"

	"lazaret/sentry/kernel"
	"lazaret/sentry/kernel/clock"
	"lazaret/syscalls/abi"
)

var timeRows = []Row{
	full(abi.SYS_CLOCK_GETTIME, "clock_gettime", ClockGettime, Int, Buf),
	full(abi.SYS_CLOCK_GETRES, "clock_getres", ClockGetres, Int, Buf),
	absent(abi.SYS_CLOCK_SETTIME, "clock_settime", abi.EPERM, "the clock is the host's"),
	full(abi.SYS_GETTIMEOFDAY, "gettimeofday", Gettimeofday, Buf, Buf),
	absent(abi.SYS_SETTIMEOFDAY, "settimeofday", abi.EPERM, "the clock is the host's"),
	full(abi.SYS_NANOSLEEP, "nanosleep", Nanosleep, Buf, Buf),
	full(abi.SYS_CLOCK_NANOSLEEP, "clock_nanosleep", ClockNanosleep, Int, Hex, Buf, Buf),
	absent(abi.SYS_ADJTIMEX, "adjtimex", abi.EPERM, "the clock is the host's"),
	absent(abi.SYS_CLOCK_ADJTIME, "clock_adjtime", abi.EPERM, "the clock is the host's"),
}

// ClockGettime is clock_gettime(2).
func ClockGettime(t *kernel.Task, a *abi.Args) (uint64, error) {
	ns, err := t.ClockNS(a.Int(0))
	if err != nil {
		return 0, err
	}
	ts := abi.NsecToTimespec(ns)
	return done0(copyOut(t, a.Addr(1), &ts))
}

// ClockGetres is clock_getres(2).
func ClockGetres(t *kernel.Task, a *abi.Args) (uint64, error) {
	if _, err := t.ClockNS(a.Int(0)); err != nil {
		return 0, err
	}
	if addr := a.Addr(1); addr != 0 {
		ts := abi.NsecToTimespec(clock.ResolutionNS(a.Int(0)))
		return done0(copyOut(t, addr, &ts))
	}
	return 0, nil
}

// Gettimeofday is gettimeofday(2).
func Gettimeofday(t *kernel.Task, a *abi.Args) (uint64, error) {
	if addr := a.Addr(0); addr != 0 {
		tv := abi.NsecToTimeval(t.Kernel().Clock.RealtimeNS())
		if err := copyOut(t, addr, &tv); err != nil {
			return 0, err
		}
	}
	if addr := a.Addr(1); addr != 0 {
		var tz [2]int32
		return done0(copyOut(t, addr, &tz))
	}
	return 0, nil
}

// Nanosleep is nanosleep(2).
func Nanosleep(t *kernel.Task, a *abi.Args) (uint64, error) {
	return sleepFor(t, a.Addr(0), a.Addr(1))
}

// sleepFor sleeps for the time at req; when a signal ends it early, what is left goes to
// rem. A sleep that goes on after a stop keeps its end (restart_syscall(2)).
func sleepFor(t *kernel.Task, req, rem abi.Addr) (uint64, error) {
	ts, err := copyIn[abi.Timespec](t, req)
	if err != nil {
		return 0, err
	}
	if !ts.Valid() {
		return 0, abi.EINVAL
	}
	s := &sleepRestart{DeadlineNS: saturatingAdd(t.Kernel().Clock.MonotonicNS(), ts.Nano()), Rem: rem}
	return s.Restart(t)
}

func saturatingAdd(a, b int64) int64 {
	if s := a + b; s >= a {
		return s
	}
	return 1<<63 - 1
}

// sleepRestart is a sleep that a stop may interrupt: kernel.RestartBlock.
type sleepRestart struct {
	DeadlineNS int64 // CLOCK_MONOTONIC
	Rem        abi.Addr
}

// Restart sleeps until the deadline.
func (s *sleepRestart) Restart(t *kernel.Task) (uint64, error) {
	k := t.Kernel()
	err := sleepUntil(t, clock.After(s.DeadlineNS-k.Clock.MonotonicNS()))
	if err == nil {
		return 0, nil
	}
	if s.Rem != 0 {
		left := abi.NsecToTimespec(max(s.DeadlineNS-k.Clock.MonotonicNS(), 0))
		if err := copyOut(t, s.Rem, &left); err != nil {
			return 0, err
		}
	}
	return 0, t.SetRestart(s)
}

// sleepUntil sleeps until the deadline, which is success, or a signal.
func sleepUntil(t *kernel.Task, deadline time.Time) error {
	for {
		switch err := t.Sleep(deadline); err {
		case nil: // a stray notification
		case abi.ETIMEDOUT:
			return nil
		default:
			return err
		}
	}
}

// timerAbstime is TIMER_ABSTIME.
const timerAbstime = 1

// ClockNanosleep is clock_nanosleep(2).
func ClockNanosleep(t *kernel.Task, a *abi.Args) (uint64, error) {
	id := a.Int(0)
	switch id {
	case abi.CLOCK_REALTIME, abi.CLOCK_MONOTONIC, abi.CLOCK_BOOTTIME, abi.CLOCK_TAI:
	case abi.CLOCK_REALTIME_ALARM, abi.CLOCK_BOOTTIME_ALARM:
		if !t.Creds().HasCap(abi.CAP_WAKE_ALARM) {
			return 0, abi.EPERM
		}
	case abi.CLOCK_PROCESS_CPUTIME_ID:
	case abi.CLOCK_THREAD_CPUTIME_ID, abi.CLOCK_MONOTONIC_RAW, abi.CLOCK_REALTIME_COARSE, abi.CLOCK_MONOTONIC_COARSE:
		return 0, abi.EOPNOTSUPP
	default:
		return 0, abi.EINVAL
	}
	if a.Uint(1)&timerAbstime == 0 {
		return sleepFor(t, a.Addr(2), a.Addr(3))
	}
	ts, err := copyIn[abi.Timespec](t, a.Addr(2))
	if err != nil {
		return 0, err
	}
	if !ts.Valid() {
		return 0, abi.EINVAL
	}
	now, err := t.ClockNS(id)
	if err != nil {
		return 0, err
	}
	if err := sleepUntil(t, clock.After(ts.Nano()-now)); err != nil {
		return 0, abi.ERESTARTNOHAND
	}
	return 0, nil
}

// deadlineAfter returns the deadline of a call with a relative timeout at addr, the zero
// time when addr is null (for ever).
func deadlineAfter(t *kernel.Task, addr abi.Addr) (time.Time, error) {
	if addr == 0 {
		return time.Time{}, nil
	}
	ts, err := copyIn[abi.Timespec](t, addr)
	if err != nil {
		return time.Time{}, err
	}
	if !ts.Valid() {
		return time.Time{}, abi.EINVAL
	}
	return clock.After(ts.Nano()), nil
}
