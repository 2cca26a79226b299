package syscalls

import (
	"time"

	"lazaret/sentry/kernel"
	"lazaret/sentry/kernel/clock"
	"lazaret/syscalls/abi"
)

var signalRows = []Row{
	full(abi.SYS_RT_SIGACTION, "rt_sigaction", RtSigaction, Sig, Buf, Buf, Int),
	full(abi.SYS_RT_SIGPROCMASK, "rt_sigprocmask", RtSigprocmask, Int, Buf, Buf, Int),
	full(abi.SYS_RT_SIGRETURN, "rt_sigreturn", RtSigreturn),
	full(abi.SYS_RT_SIGPENDING, "rt_sigpending", RtSigpending, Buf, Int),
	full(abi.SYS_RT_SIGSUSPEND, "rt_sigsuspend", RtSigsuspend, Buf, Int),
	full(abi.SYS_RT_SIGTIMEDWAIT, "rt_sigtimedwait", RtSigtimedwait, Buf, Buf, Buf, Int),
	full(abi.SYS_RT_SIGQUEUEINFO, "rt_sigqueueinfo", RtSigqueueinfo, Int, Sig, Buf),
	full(abi.SYS_RT_TGSIGQUEUEINFO, "rt_tgsigqueueinfo", RtTgsigqueueinfo, Int, Int, Sig, Buf),
	full(abi.SYS_SIGALTSTACK, "sigaltstack", Sigaltstack, Buf, Buf),
	full(abi.SYS_KILL, "kill", Kill, Int, Sig),
	full(abi.SYS_TKILL, "tkill", Tkill, Int, Sig),
	full(abi.SYS_TGKILL, "tgkill", Tgkill, Int, Int, Sig),
	full(abi.SYS_RESTART_SYSCALL, "restart_syscall", RestartSyscall),
}

// sigsetSize is sizeof(sigset_t) as the kernel has it.
const sigsetSize = 8

// RtSigaction is rt_sigaction(2).
func RtSigaction(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Size(3) != sigsetSize {
		return 0, abi.EINVAL
	}
	var act *abi.Sigaction
	if addr := a.Addr(1); addr != 0 {
		var b [abi.SigactionSize]byte
		if err := t.MM().CopyIn(addr, b[:]); err != nil {
			return 0, err
		}
		s := abi.SigactionFrom(b[:])
		act = &s
	}
	old, err := t.Sigaction(int(a.Int(0)), act)
	if err != nil {
		return 0, err
	}
	if addr := a.Addr(2); addr != 0 {
		return done0(t.MM().CopyOut(addr, old.Bytes()))
	}
	return 0, nil
}

// copySigset copies in a signal set of the size that the application names.
func copySigset(t *kernel.Task, addr abi.Addr, size uint64) (abi.SigSet, error) {
	if size != sigsetSize {
		return 0, abi.EINVAL
	}
	return copyIn[abi.SigSet](t, addr)
}

// RtSigprocmask is rt_sigprocmask(2).
func RtSigprocmask(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Size(3) != sigsetSize {
		return 0, abi.EINVAL
	}
	old := t.SignalMask()
	if addr := a.Addr(1); addr != 0 {
		set, err := copyIn[abi.SigSet](t, addr)
		if err != nil {
			return 0, err
		}
		if old, err = t.SetMask(int(a.Int(0)), set); err != nil {
			return 0, err
		}
	}
	if addr := a.Addr(2); addr != 0 {
		return done0(copyOut(t, addr, &old))
	}
	return 0, nil
}

// RtSigreturn is rt_sigreturn(2).
func RtSigreturn(t *kernel.Task, _ *abi.Args) (uint64, error) {
	t.SigReturn()
	return 0, nil
}

// RtSigpending is rt_sigpending(2).
func RtSigpending(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Size(1) > sigsetSize {
		return 0, abi.EINVAL
	}
	set := t.PendingSignals()
	return done0(t.MM().CopyOut(a.Addr(0), abi.Bytes(&set)[:a.Size(1)]))
}

// RtSigsuspend is rt_sigsuspend(2).
func RtSigsuspend(t *kernel.Task, a *abi.Args) (uint64, error) {
	set, err := copySigset(t, a.Addr(0), a.Size(1))
	if err != nil {
		return 0, err
	}
	return done0(t.SigSuspend(set))
}

// RtSigtimedwait is rt_sigtimedwait(2).
func RtSigtimedwait(t *kernel.Task, a *abi.Args) (uint64, error) {
	set, err := copySigset(t, a.Addr(0), a.Size(3))
	if err != nil {
		return 0, err
	}
	var deadline time.Time
	if addr := a.Addr(2); addr != 0 {
		ts, err := copyIn[abi.Timespec](t, addr)
		if err != nil {
			return 0, err
		}
		if !ts.Valid() {
			return 0, abi.EINVAL
		}
		deadline = clock.After(ts.Nano())
	}
	info, err := t.SigTimedWait(set, deadline)
	if err != nil {
		return 0, err
	}
	if addr := a.Addr(1); addr != 0 {
		if err := t.MM().CopyOut(addr, info.Bytes()); err != nil {
			return 0, err
		}
	}
	return uint64(info.Signo), nil
}

func copySiginfo(t *kernel.Task, addr abi.Addr, sig int32) (abi.Siginfo, error) {
	var b [abi.SiginfoSize]byte
	if err := t.MM().CopyIn(addr, b[:]); err != nil {
		return abi.Siginfo{}, err
	}
	info := abi.SiginfoFrom(b[:])
	info.Signo = sig
	return info, nil
}

// RtSigqueueinfo is rt_sigqueueinfo(2).
func RtSigqueueinfo(t *kernel.Task, a *abi.Args) (uint64, error) {
	info, err := copySiginfo(t, a.Addr(2), a.Int(1))
	if err != nil {
		return 0, err
	}
	return done0(t.SigQueueInfo(a.Int(0), int(a.Int(1)), &info))
}

// RtTgsigqueueinfo is rt_tgsigqueueinfo(2).
func RtTgsigqueueinfo(t *kernel.Task, a *abi.Args) (uint64, error) {
	info, err := copySiginfo(t, a.Addr(3), a.Int(2))
	if err != nil {
		return 0, err
	}
	return done0(t.TgSigQueueInfo(a.Int(0), a.Int(1), int(a.Int(2)), &info))
}

// Sigaltstack is sigaltstack(2).
func Sigaltstack(t *kernel.Task, a *abi.Args) (uint64, error) {
	old := t.AltStack()
	if addr := a.Addr(0); addr != 0 {
		var b [abi.SigStackSize]byte
		if err := t.MM().CopyIn(addr, b[:]); err != nil {
			return 0, err
		}
		if err := t.SetAltStack(abi.SigStackFrom(b[:])); err != nil {
			return 0, err
		}
	}
	if addr := a.Addr(1); addr != 0 {
		return done0(t.MM().CopyOut(addr, old.Bytes()))
	}
	return 0, nil
}

// Kill is kill(2).
func Kill(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(t.Kill(a.Int(0), int(a.Int(1))))
}

// Tkill is tkill(2).
func Tkill(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(t.Tkill(a.Int(0), int(a.Int(1))))
}

// Tgkill is tgkill(2).
func Tgkill(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(t.Tgkill(a.Int(0), a.Int(1), int(a.Int(2))))
}

// RestartSyscall is restart_syscall(2).
func RestartSyscall(t *kernel.Task, _ *abi.Args) (uint64, error) { return t.RestartSyscall() }
