package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

var waitRows = []Row{
	full(abi.SYS_WAIT4, "wait4", Wait4, Int, Buf, Hex, Buf),
	full(abi.SYS_WAITID, "waitid", Waitid, Int, Int, Buf, Hex, Buf),
}

const waitKinds = abi.WNOHANG | abi.WNOTHREAD | abi.WALL | abi.WCLONE

// Wait4 is wait4(2).
func Wait4(t *kernel.Task, a *abi.Args) (uint64, error) {
	pid, options := a.Int(0), a.Uint(2)
	if options&^(waitKinds|abi.WUNTRACED|abi.WCONTINUED) != 0 {
		return 0, abi.EINVAL
	}
	args := kernel.WaitArgs{Options: options | abi.WEXITED}
	switch {
	case pid == -1<<31:
		return 0, abi.ESRCH
	case pid == -1:
		args.Which = abi.P_ALL
	case pid > 0:
		args.Which, args.ID = abi.P_PID, pid
	default:
		args.Which, args.ID = abi.P_PGID, -pid
	}
	r, err := t.Wait(&args)
	if err != nil || r.PID == 0 {
		return 0, err
	}
	if addr := a.Addr(1); addr != 0 {
		if err := copyOut(t, addr, &r.Status); err != nil {
			return 0, err
		}
	}
	if addr := a.Addr(3); addr != 0 {
		if err := t.MM().CopyOut(addr, r.Usage.Bytes()); err != nil {
			return 0, err
		}
	}
	return uint64(r.PID), nil
}

// Waitid is waitid(2).
func Waitid(t *kernel.Task, a *abi.Args) (uint64, error) {
	r, err := waitid(t, a)
	if out := waitidOut(t, a, &r); out != nil { // written, as zeros, also when it fails
		return 0, out
	}
	return done0(err)
}

func waitid(t *kernel.Task, a *abi.Args) (kernel.WaitResult, error) {
	var none kernel.WaitResult
	which, id, options := int(a.Int(0)), a.Int(1), a.Uint(3)
	const states = abi.WEXITED | abi.WSTOPPED | abi.WCONTINUED
	if options&^(waitKinds|states|abi.WNOWAIT) != 0 || options&states == 0 {
		return none, abi.EINVAL
	}
	args := kernel.WaitArgs{Which: which, ID: id, Options: options}
	switch which {
	case abi.P_ALL:
	case abi.P_PID:
		if id <= 0 {
			return none, abi.EINVAL
		}
	case abi.P_PGID:
		if id < 0 {
			return none, abi.EINVAL
		}
	case abi.P_PIDFD:
		if id < 0 {
			return none, abi.EINVAL
		}
		g, nonblock, err := pidfdGroup(t, id)
		if err == abi.ESRCH {
			return none, abi.ECHILD // gone: nobody's child any more
		}
		if err != nil {
			return none, err
		}
		args.Group = g
		if nonblock {
			args.Options |= abi.WNOHANG
			return waitidPidfdNonblock(t, &args, options)
		}
	default:
		return none, abi.EINVAL
	}
	return t.Wait(&args)
}

// waitidPidfdNonblock is waitid on a pidfd with O_NONBLOCK: EAGAIN instead of nothing.
func waitidPidfdNonblock(t *kernel.Task, args *kernel.WaitArgs, options uint32) (kernel.WaitResult, error) {
	r, err := t.Wait(args)
	if err == nil && r.PID == 0 && options&abi.WNOHANG == 0 {
		err = abi.EAGAIN
	}
	return r, err
}

func waitidOut(t *kernel.Task, a *abi.Args, r *kernel.WaitResult) error {
	if addr := a.Addr(4); addr != 0 && r.PID != 0 {
		if err := t.MM().CopyOut(addr, r.Usage.Bytes()); err != nil {
			return err
		}
	}
	addr := a.Addr(2)
	if addr == 0 {
		return nil
	}
	var info abi.Siginfo
	if r.PID != 0 {
		info.Signo, info.Code = abi.SIGCHLD, r.Code
		info.SetPID(r.PID)
		info.SetUID(r.UID)
		info.SetStatus(r.Sig)
	}
	return t.MM().CopyOut(addr, info.Bytes())
}

// pidfdGroup returns the process that a pidfd refers to.
func pidfdGroup(t *kernel.Task, fd int32) (g *kernel.ThreadGroup, nonblock bool, err error) {
	f, err := getFile(t, fd)
	if err != nil {
		return nil, false, err
	}
	defer f.DecRef()
	g, err = kernel.PidFDGroup(f)
	return g, f.NonBlocking(), err
}
