package syscalls

import (
	"time"

	"lazaret/sentry/ipc"
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

var semRows = []Row{
	full(abi.SYS_SEMGET, "semget", Semget, Hex, Int, Hex),
	full(abi.SYS_SEMOP, "semop", Semop, Int, Buf, Int),
	full(abi.SYS_SEMTIMEDOP, "semtimedop", Semtimedop, Int, Buf, Int, Buf),
	full(abi.SYS_SEMCTL, "semctl", Semctl, Int, Int, Int, Hex),
}

// Semget is semget(2).
func Semget(t *kernel.Task, a *abi.Args) (uint64, error) {
	ns, err := ipcNS(t)
	if err != nil {
		return 0, err
	}
	return ret32(ns.Semget(t.Ctx(), a.Int(0), int(a.Int(1)), a.Uint(2)))
}

// Semop is semop(2).
func Semop(t *kernel.Task, a *abi.Args) (uint64, error) { return semop(t, a, 0) }

// Semtimedop is semtimedop(2).
func Semtimedop(t *kernel.Task, a *abi.Args) (uint64, error) { return semop(t, a, a.Addr(3)) }

func semop(t *kernel.Task, a *abi.Args, timeout abi.Addr) (uint64, error) {
	ns, err := ipcNS(t)
	if err != nil {
		return 0, err
	}
	n := a.Uint(2)
	if a.Int(0) < 0 || n == 0 {
		return 0, abi.EINVAL
	}
	if n > abi.SEMOPM {
		return 0, abi.E2BIG
	}
	var deadline time.Time
	if timeout != 0 {
		if deadline, err = deadlineAfter(t, timeout); err != nil {
			return 0, err
		}
	}
	ops := make([]ipc.Sembuf, n) // the layout of struct sembuf
	if err := t.MM().CopyIn(a.Addr(1), abi.SliceBytes(ops)); err != nil {
		return 0, err
	}
	err = ns.Semtimedop(t.Ctx(), a.Int(0), ops, deadline, undoOf(t, ops))
	if err == abi.ERESTARTSYS {
		err = abi.EINTR // semop(2) is never restarted (signal(7))
	}
	return 0, err
}

// undoOf returns the task's list if an operation needs it.
func undoOf(t *kernel.Task, ops []ipc.Sembuf) *ipc.Undo {
	for _, o := range ops {
		if o.Flags&abi.SEM_UNDO != 0 {
			u, _ := t.SemUndo(func() kernel.SemUndo { return new(ipc.Undo) }).(*ipc.Undo)
			return u
		}
	}
	return nil
}

// Semctl is semctl(2).
func Semctl(t *kernel.Task, a *abi.Args) (uint64, error) {
	ns, err := ipcNS(t)
	if err != nil {
		return 0, err
	}
	id, num, cmd, ctx := a.Int(0), int(a.Int(1)), a.Int(2), t.Ctx()
	if id < 0 {
		return 0, abi.EINVAL
	}
	switch cmd {
	case abi.IPC_RMID:
		return done0(ns.SemRemove(ctx, id))
	case abi.IPC_SET:
		to, err := copyPerm(t, a.Addr(3))
		if err != nil {
			return 0, err
		}
		return done0(ns.SemSetPerm(ctx, id, to))
	case abi.IPC_INFO, abi.SEM_INFO:
		b, top := ns.SemInfo(cmd == abi.SEM_INFO)
		return infoOut(t, a.Addr(3), b, top)
	case abi.IPC_STAT, abi.SEM_STAT, abi.SEM_STAT_ANY:
		return semStat(t, ns, id, cmd, a.Addr(3))
	case abi.GETVAL, abi.GETPID, abi.GETNCNT, abi.GETZCNT:
		v, err := ns.SemGet(ctx, id, num, int(cmd))
		if err == nil && cmd == abi.GETPID {
			v = pidFromRoot(t, v)
		}
		return ret32(v, err)
	case abi.SETVAL:
		return done0(ns.SemSetVal(ctx, id, num, a.Int(3)))
	case abi.GETALL:
		values, err := ns.SemGetAll(ctx, id)
		if err != nil {
			return 0, err
		}
		return done0(t.MM().CopyOut(a.Addr(3), abi.SliceBytes(values)))
	case abi.SETALL:
		n, err := ns.SemCount(id)
		if err != nil {
			return 0, err
		}
		values := make([]uint16, n)
		if err := t.MM().CopyIn(a.Addr(3), abi.SliceBytes(values)); err != nil {
			return 0, err
		}
		return done0(ns.SemSetAll(ctx, id, values))
	}
	return 0, abi.EINVAL
}

func semStat(t *kernel.Task, ns *ipc.Namespace, id, cmd int32, addr abi.Addr) (uint64, error) {
	var st ipc.SemStat
	var err error
	result := uint64(0)
	if cmd == abi.IPC_STAT {
		st, err = ns.SemStat(t.Ctx(), id)
	} else {
		st, err = ns.SemStatIndex(t.Ctx(), id, cmd == abi.SEM_STAT_ANY)
		result = uint64(st.ID)
	}
	if err != nil {
		return 0, err
	}
	return result, t.MM().CopyOut(addr, st.Encode(t.UserNS()))
}
