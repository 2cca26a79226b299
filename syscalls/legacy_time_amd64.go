package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

// legacyTimeRows are more of the calls that only amd64 has.
var legacyTimeRows = []Row{
	full(abi.SYS_ALARM, "alarm", func(t *kernel.Task, a *abi.Args) (uint64, error) { return uint64(t.Alarm(a.Uint(0))), nil }, Int),
	full(abi.SYS_UTIME, "utime", Utime, Path, Buf),
	full(abi.SYS_UTIMES, "utimes", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return done0(utimesVal(t, abi.AT_FDCWD, a.Addr(0), a.Addr(1)))
	}, Path, Buf),
	full(abi.SYS_FUTIMESAT, "futimesat", Futimesat, FD, Path, Buf),
	full(abi.SYS_INOTIFY_INIT, "inotify_init", func(t *kernel.Task, _ *abi.Args) (uint64, error) {
		return InotifyInit1(t, &abi.Args{})
	}),
	full(abi.SYS_SIGNALFD, "signalfd", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		set, err := copySigset(t, a.Addr(1), a.Size(2))
		if err != nil {
			return 0, err
		}
		return signalfd(t, a.Int(0), set, 0)
	}, FD, Buf, Int),
}

// nowTimes stand for a null pointer: both times become the present.
var nowTimes = [2]abi.Timespec{{Nsec: utimeNow}, {Nsec: utimeNow}}

// Utime is utime(2): two times in seconds.
func Utime(t *kernel.Task, a *abi.Args) (uint64, error) {
	ts := nowTimes
	if addr := a.Addr(1); addr != 0 {
		sec, err := copyIn[[2]int64](t, addr)
		if err != nil {
			return 0, err
		}
		ts = [2]abi.Timespec{{Sec: sec[0]}, {Sec: sec[1]}}
	}
	return done0(utimesAt(t, abi.AT_FDCWD, a.Addr(0), ts, 0))
}

func copyTimes(t *kernel.Task, addr abi.Addr) ([2]abi.Timespec, error) {
	if addr == 0 {
		return nowTimes, nil
	}
	tv, err := copyIn[[2]abi.Timeval](t, addr)
	if err != nil {
		return nowTimes, err
	}
	for i := range tv {
		if tv[i].Usec < 0 || tv[i].Usec >= 1_000_000 {
			return nowTimes, abi.EINVAL
		}
	}
	return [2]abi.Timespec{tv[0].Timespec(), tv[1].Timespec()}, nil
}

func utimesVal(t *kernel.Task, dirfd int32, name, times abi.Addr) error {
	ts, err := copyTimes(t, times)
	if err != nil {
		return err
	}
	return utimesAt(t, dirfd, name, ts, 0)
}

// Futimesat is futimesat(2); a null path means the descriptor itself.
func Futimesat(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Addr(1) != 0 || a.Int(0) == abi.AT_FDCWD {
		return done0(utimesVal(t, a.Int(0), a.Addr(1), a.Addr(2)))
	}
	ts, err := copyTimes(t, a.Addr(2))
	if err != nil {
		return 0, err
	}
	f, err := getIOFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	return done0(utimens(t, f.Path, ts))
}
