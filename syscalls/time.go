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
	full(abi.SYS_GETTIMEOFDAY, "gettimeofday", Gettimeofday, Buf, Buf),
	full(abi.SYS_NANOSLEEP, "nanosleep", Nanosleep, Buf, Buf),
	full(abi.SYS_CLOCK_NANOSLEEP, "clock_nanosleep", ClockNanosleep, Int, Hex, Buf, Buf),
}

// ClockGettime is clock_gettime(2).
func ClockGettime(t *kernel.Task, a *abi.Args) (uint64, error) {
	ns, err := clockNS(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	ts := abi.NsecToTimespec(ns)
	return done0(copyOut(t, a.Addr(1), &ts))
}

// clockNS reads a clock that clock_gettime(2) shows: the alarm clocks are there only on a
// machine with a clock that can wake it, which a sandbox has not.
func clockNS(t *kernel.Task, id int32) (int64, error) {
	if id == abi.CLOCK_REALTIME_ALARM || id == abi.CLOCK_BOOTTIME_ALARM {
		return 0, abi.EINVAL
	}
	return t.ClockNS(id)
}

// ClockGetres is clock_getres(2).
func ClockGetres(t *kernel.Task, a *abi.Args) (uint64, error) {
	if _, err := clockNS(t, a.Int(0)); err != nil {
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
	ts, err := copyIn[abi.Timespec](t, a.Addr(0))
	if err != nil {
		return 0, err
	}
	if !ts.Valid() {
		return 0, abi.EINVAL
	}
	return done0(t.Nanosleep(abi.CLOCK_MONOTONIC, ts.Nano(), false, a.Addr(1)))
}

func saturatingAdd(a, b int64) int64 {
	if s := a + b; s >= a {
		return s
	}
	return 1<<63 - 1
}

// timerAbstime is TIMER_ABSTIME.
const timerAbstime = 1

// ClockNanosleep is clock_nanosleep(2).
func ClockNanosleep(t *kernel.Task, a *abi.Args) (uint64, error) {
	id := a.Int(0)
	switch id {
	case abi.CLOCK_REALTIME_ALARM, abi.CLOCK_BOOTTIME_ALARM:
		if !t.Creds().HasCap(abi.CAP_WAKE_ALARM) {
			return 0, abi.EPERM
		}
	case abi.CLOCK_THREAD_CPUTIME_ID:
		return 0, abi.EINVAL
	case abi.CLOCK_MONOTONIC_RAW, abi.CLOCK_REALTIME_COARSE, abi.CLOCK_MONOTONIC_COARSE:
		return 0, abi.EOPNOTSUPP
	}
	if _, err := t.ClockNS(id); err != nil {
		return 0, err
	}
	ts, err := copyIn[abi.Timespec](t, a.Addr(2))
	if err != nil {
		return 0, err
	}
	if !ts.Valid() {
		return 0, abi.EINVAL
	}
	return done0(t.Nanosleep(id, ts.Nano(), a.Uint(1)&timerAbstime != 0, a.Addr(3)))
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
