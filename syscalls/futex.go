package syscalls

import (
	"time"

	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

var futexRows = []Row{
	full(abi.SYS_FUTEX, "futex", Futex, Hex, Hex, Int, Hex, Hex, Hex),
}

// Futex is futex(2).
func Futex(t *kernel.Task, a *abi.Args) (uint64, error) {
	op, addr, val := a.Uint(1), a.Addr(0), a.Uint(2)
	cmd := op &^ (abi.FUTEX_PRIVATE_FLAG | abi.FUTEX_CLOCK_REALTIME)
	shared := op&abi.FUTEX_PRIVATE_FLAG == 0
	k, m := t.Kernel(), t.MM()
	if op&abi.FUTEX_CLOCK_REALTIME != 0 && cmd != abi.FUTEX_WAIT_BITSET && cmd != abi.FUTEX_WAIT_REQUEUE_PI && cmd != abi.FUTEX_LOCK_PI2 {
		return 0, abi.ENOSYS
	}
	switch cmd {
	case abi.FUTEX_WAIT, abi.FUTEX_WAIT_BITSET:
		return futexWait(t, a, op, cmd, shared)
	case abi.FUTEX_WAKE:
		return retInt(k.Futexes.Wake(m, addr, shared, int(int32(val)), abi.FUTEX_BITSET_MATCH_ANY))
	case abi.FUTEX_WAKE_BITSET:
		if a.Uint(5) == 0 {
			return 0, abi.EINVAL
		}
		return retInt(k.Futexes.Wake(m, addr, shared, int(int32(val)), a.Uint(5)))
	case abi.FUTEX_REQUEUE, abi.FUTEX_CMP_REQUEUE:
		if a.Int(2) < 0 || a.Int(3) < 0 {
			return 0, abi.EINVAL
		}
		var cmp *uint32
		if cmd == abi.FUTEX_CMP_REQUEUE {
			v := a.Uint(5)
			cmp = &v
		}
		return retInt(k.Futexes.Requeue(m, addr, a.Addr(4), shared, int(a.Int(2)), int(a.Int(3)), cmp))
	case abi.FUTEX_WAKE_OP:
		return retInt(k.Futexes.WakeOp(m, addr, a.Addr(4), shared, int(a.Int(2)), int(a.Int(3)), a.Uint(5)))
	case abi.FUTEX_LOCK_PI, abi.FUTEX_LOCK_PI2, abi.FUTEX_TRYLOCK_PI, abi.FUTEX_UNLOCK_PI, abi.FUTEX_WAIT_REQUEUE_PI, abi.FUTEX_CMP_REQUEUE_PI:
		return futexPI(t, a, op, cmd, shared)
	}
	return 0, abi.ENOSYS
}

func retInt(n int, err error) (uint64, error) { return uint64(n), err }

// futexDeadline reads the absolute timeout of the operations that have one.
func futexDeadline(t *kernel.Task, addr abi.Addr, realtime bool) (time.Time, error) {
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
	id := int32(abi.CLOCK_MONOTONIC)
	if realtime {
		id = abi.CLOCK_REALTIME
	}
	return t.Kernel().Clock.Deadline(id, ts.Nano()), nil
}

// futexRestart goes on with a wait that has a timeout: kernel.RestartBlock. A handler
// ends such a wait whatever SA_RESTART says.
type futexRestart struct {
	Addr        abi.Addr
	Shared      bool
	Val, Bitset uint32
	Clock       int32
	DeadlineNS  int64
}

// Restart waits until the deadline.
func (f *futexRestart) Restart(t *kernel.Task) (uint64, error) {
	deadline := t.Kernel().Clock.Deadline(f.Clock, f.DeadlineNS)
	err := t.FutexWait(f.Addr, f.Shared, f.Val, f.Bitset, deadline)
	if err == abi.ERESTARTSYS {
		return 0, t.SetRestart(f)
	}
	return 0, err
}

func futexWait(t *kernel.Task, a *abi.Args, op, cmd uint32, shared bool) (uint64, error) {
	if cmd == abi.FUTEX_WAIT_BITSET && a.Uint(5) == 0 {
		return 0, abi.EINVAL
	}
	f := &futexRestart{Addr: a.Addr(0), Shared: shared, Val: a.Uint(2), Bitset: abi.FUTEX_BITSET_MATCH_ANY, Clock: abi.CLOCK_MONOTONIC}
	if cmd == abi.FUTEX_WAIT_BITSET {
		f.Bitset = a.Uint(5)
		if op&abi.FUTEX_CLOCK_REALTIME != 0 {
			f.Clock = abi.CLOCK_REALTIME
		}
	}
	if a.Addr(3) == 0 {
		return done0(t.FutexWait(f.Addr, shared, f.Val, f.Bitset, time.Time{}))
	}
	ts, err := copyIn[abi.Timespec](t, a.Addr(3))
	if err != nil {
		return 0, err
	}
	if !ts.Valid() {
		return 0, abi.EINVAL
	}
	f.DeadlineNS = ts.Nano()
	if cmd == abi.FUTEX_WAIT { // relative
		f.DeadlineNS = saturatingAdd(t.Kernel().Clock.MonotonicNS(), f.DeadlineNS)
	}
	return f.Restart(t)
}

func futexPI(t *kernel.Task, a *abi.Args, op, cmd uint32, shared bool) (uint64, error) {
	k, m, addr := t.Kernel(), t.MM(), a.Addr(0)
	// FUTEX_LOCK_PI's timeout is always on the real time clock.
	realtime := cmd == abi.FUTEX_LOCK_PI || op&abi.FUTEX_CLOCK_REALTIME != 0
	switch cmd {
	case abi.FUTEX_LOCK_PI, abi.FUTEX_LOCK_PI2:
		deadline, err := futexDeadline(t, a.Addr(3), realtime)
		if err != nil {
			return 0, err
		}
		return done0(k.Futexes.LockPI(t, t.FutexWaiter(), m, addr, shared, false, deadline))
	case abi.FUTEX_TRYLOCK_PI:
		return done0(k.Futexes.LockPI(t, t.FutexWaiter(), m, addr, shared, true, time.Time{}))
	case abi.FUTEX_UNLOCK_PI:
		return done0(k.Futexes.UnlockPI(t, m, addr, shared))
	case abi.FUTEX_WAIT_REQUEUE_PI:
		deadline, err := futexDeadline(t, a.Addr(3), realtime)
		if err != nil {
			return 0, err
		}
		return done0(k.Futexes.WaitRequeuePI(t, t.FutexWaiter(), m, addr, a.Addr(4), shared, a.Uint(2), abi.FUTEX_BITSET_MATCH_ANY, deadline))
	default: // FUTEX_CMP_REQUEUE_PI
		return retInt(k.Futexes.CmpRequeuePI(t, m, addr, a.Addr(4), shared, int(a.Int(2)), int(a.Int(3)), a.Uint(5)))
	}
}
