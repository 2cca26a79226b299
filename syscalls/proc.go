package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

var procRows = []Row{
	partial(abi.SYS_CLONE, "clone", Clone, "CLONE_IO is accepted and means nothing", Hex, Hex, Hex, Hex, Hex),
	partial(abi.SYS_CLONE3, "clone3", Clone3, "CLONE_INTO_CGROUP fails with EOPNOTSUPP", Buf, Hex),
	full(abi.SYS_EXIT, "exit", Exit, Int),
	full(abi.SYS_EXIT_GROUP, "exit_group", ExitGroup, Int),
	full(abi.SYS_GETPID, "getpid", Getpid),
	full(abi.SYS_GETPPID, "getppid", Getppid),
	full(abi.SYS_GETTID, "gettid", Gettid),
	full(abi.SYS_SETPGID, "setpgid", Setpgid, Int, Int),
	full(abi.SYS_GETPGID, "getpgid", Getpgid, Int),
	full(abi.SYS_SETSID, "setsid", Setsid),
	full(abi.SYS_GETSID, "getsid", Getsid, Int),
	full(abi.SYS_SET_TID_ADDRESS, "set_tid_address", SetTidAddress, Hex),
	full(abi.SYS_SET_ROBUST_LIST, "set_robust_list", SetRobustList, Hex, Hex),
	full(abi.SYS_GET_ROBUST_LIST, "get_robust_list", GetRobustList, Int, Buf, Buf),
	full(abi.SYS_PERSONALITY, "personality", Personality, Hex),
}

// cloneSignal is the part of clone's flags that is the exit signal (CSIGNAL).
const cloneSignal = 0xff

// Clone is clone(2).
func Clone(t *kernel.Task, a *abi.Args) (uint64, error) {
	flags, stack, ptid, ctid, tls := cloneArgs(a)
	args := kernel.CloneArgs{
		Flags: flags & 0xffffffff &^ cloneSignal, ExitSignal: int32(flags & cloneSignal), StackTop: stack,
		TLS: tls, ParentTID: ptid, ChildTID: ctid,
	}
	if flags&abi.CLONE_PIDFD != 0 {
		if flags&abi.CLONE_PARENT_SETTID != 0 {
			return 0, abi.EINVAL // both would use the same argument
		}
		args.PidFD = ptid
	}
	pid, err := t.Clone(&args)
	return uint64(pid), err
}

// Clone3 is clone3(2).
func Clone3(t *kernel.Task, a *abi.Args) (uint64, error) {
	size := a.Size(1)
	if size < abi.CloneArgsSizeVer0 {
		return 0, abi.EINVAL
	}
	var c abi.CloneArgs
	if err := copyInSized(t, a.Addr(0), size, abi.Bytes(&c)); err != nil {
		return 0, err
	}
	const known = 1<<32 - 1 | abi.CLONE_CLEAR_SIGHAND | abi.CLONE_INTO_CGROUP | abi.CLONE_NEWTIME
	if c.Flags&^known != 0 || c.Flags&(abi.CLONE_THREAD|abi.CLONE_PARENT) != 0 && c.ExitSignal != 0 {
		return 0, abi.EINVAL
	}
	if c.Flags&(abi.CLONE_DETACHED|cloneSignal&^abi.CLONE_NEWTIME) != 0 || c.ExitSignal > abi.NSIG || (c.Stack == 0) != (c.StackSize == 0) {
		return 0, abi.EINVAL
	}
	if c.Flags&abi.CLONE_INTO_CGROUP != 0 {
		return 0, abi.EOPNOTSUPP
	}
	top, ok := abi.Addr(c.Stack).Add(c.StackSize)
	if !ok {
		return 0, abi.EINVAL
	}
	args := kernel.CloneArgs{
		Flags: c.Flags, ExitSignal: int32(c.ExitSignal), StackTop: top, TLS: c.TLS,
		ParentTID: abi.Addr(c.ParentTID), ChildTID: abi.Addr(c.ChildTID), PidFD: abi.Addr(c.PidFD),
	}
	// The pid namespaces of Linux nest at most 32 deep.
	if c.SetTIDSize > 32 || (c.SetTID == 0) != (c.SetTIDSize == 0) {
		return 0, abi.EINVAL
	}
	if c.SetTIDSize > 0 {
		args.SetTID = make([]int32, c.SetTIDSize)
		if err := t.MM().CopyIn(abi.Addr(c.SetTID), abi.SliceBytes(args.SetTID)); err != nil {
			return 0, err
		}
	}
	pid, err := t.Clone(&args)
	return uint64(pid), err
}

// Exit is _exit(2) of one thread.
func Exit(t *kernel.Task, a *abi.Args) (uint64, error) {
	t.Exit(a.Int(0))
	return 0, nil
}

// ExitGroup is exit_group(2).
func ExitGroup(t *kernel.Task, a *abi.Args) (uint64, error) {
	t.ExitGroup(a.Int(0))
	return 0, nil
}

// Getpid is getpid(2).
func Getpid(t *kernel.Task, _ *abi.Args) (uint64, error) {
	return uint64(t.ThreadGroup().PIDIn(t.PIDNS())), nil
}

// Getppid is getppid(2).
func Getppid(t *kernel.Task, _ *abi.Args) (uint64, error) {
	return uint64(t.ThreadGroup().ParentIn(t.PIDNS())), nil
}

// Gettid is gettid(2).
func Gettid(t *kernel.Task, _ *abi.Args) (uint64, error) { return uint64(t.TID()), nil }

// Setpgid is setpgid(2).
func Setpgid(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(t.Setpgid(a.Int(0), a.Int(1)))
}

// Getpgid is getpgid(2).
func Getpgid(t *kernel.Task, a *abi.Args) (uint64, error) { return ret32(t.Getpgid(a.Int(0))) }

// Setsid is setsid(2).
func Setsid(t *kernel.Task, _ *abi.Args) (uint64, error) { return ret32(t.Setsid()) }

// Getsid is getsid(2).
func Getsid(t *kernel.Task, a *abi.Args) (uint64, error) { return ret32(t.Getsid(a.Int(0))) }

// ret32 makes a result of an int.
func ret32(v int32, err error) (uint64, error) { return uint64(v), err }

// SetTidAddress is set_tid_address(2).
func SetTidAddress(t *kernel.Task, a *abi.Args) (uint64, error) {
	t.SetClearTID(a.Addr(0))
	return uint64(t.TID()), nil
}

// robustListSize is sizeof(struct robust_list_head).
const robustListSize = 24

// SetRobustList is set_robust_list(2).
func SetRobustList(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Size(1) != robustListSize {
		return 0, abi.EINVAL
	}
	t.SetRobustList(a.Addr(0))
	return 0, nil
}

// GetRobustList is get_robust_list(2).
func GetRobustList(t *kernel.Task, a *abi.Args) (uint64, error) {
	o := t
	if pid := a.Int(0); pid != 0 {
		if o = t.Kernel().TaskByID(t.PIDNS(), pid); o == nil {
			return 0, abi.ESRCH
		}
		if o != t && !t.MayPtrace(o) {
			return 0, abi.EPERM
		}
	}
	head, size := uint64(o.RobustList()), uint64(robustListSize)
	if err := copyOut(t, a.Addr(2), &size); err != nil {
		return 0, err
	}
	return done0(copyOut(t, a.Addr(1), &head))
}

// Personality is personality(2): 0xffffffff asks.
func Personality(t *kernel.Task, a *abi.Args) (uint64, error) {
	old := t.Personality()
	if p := a.Uint(0); p != 0xffffffff {
		t.SetPersonality(p)
	}
	return uint64(old), nil
}
