package syscalls

import (
	"time"

	"lazaret/sentry/kernel"
	"lazaret/sentry/kernel/futex"
	"lazaret/syscalls/abi"
)

var futex2Rows = []Row{
	full(abi.SYS_FUTEX_WAITV, "futex_waitv", FutexWaitv, Buf, Int, Hex, Buf, Int),
	full(abi.SYS_FUTEX_WAKE, "futex_wake", FutexWake, Hex, Hex, Int, Hex),
	full(abi.SYS_FUTEX_WAIT, "futex_wait", FutexWait, Hex, Hex, Hex, Hex, Buf, Int),
	partial(abi.SYS_FUTEX_REQUEUE, "futex_requeue", FutexRequeue, "both futexes must be private, or both shared", Buf, Hex, Int, Int),
}

// futexWaitv is struct futex_waitv.
type futexWaitv struct {
	Val, Addr       uint64
	Flags, Reserved uint32
}

// futex2Shared checks the flags of the newer calls: only 32-bit words exist.
func futex2Shared(flags uint32) (bool, error) {
	if flags&^(abi.FUTEX2_SIZE_MASK|abi.FUTEX2_PRIVATE) != 0 || flags&abi.FUTEX2_SIZE_MASK != abi.FUTEX2_SIZE_U32 {
		return false, abi.EINVAL
	}
	return flags&abi.FUTEX2_PRIVATE == 0, nil
}

// futex2Deadline reads the absolute timeout of the newer calls.
func futex2Deadline(t *kernel.Task, addr abi.Addr, id int32) (time.Time, error) {
	if addr != 0 && id != abi.CLOCK_MONOTONIC && id != abi.CLOCK_REALTIME {
		return time.Time{}, abi.EINVAL
	}
	return futexDeadline(t, addr, id == abi.CLOCK_REALTIME)
}

func copyWaitv(t *kernel.Task, addr abi.Addr, n uint32) ([]futex.VectorEntry, error) {
	raw := make([]futexWaitv, n)
	if err := t.MM().CopyIn(addr, abi.SliceBytes(raw)); err != nil {
		return nil, err
	}
	list := make([]futex.VectorEntry, n)
	for i, w := range raw {
		shared, err := futex2Shared(w.Flags)
		if err != nil {
			return nil, err
		}
		if w.Reserved != 0 || w.Val > 0xffffffff {
			return nil, abi.EINVAL
		}
		list[i] = futex.VectorEntry{Addr: abi.Addr(w.Addr), Val: uint32(w.Val), Shared: shared}
	}
	return list, nil
}

// FutexWaitv is futex_waitv(2).
func FutexWaitv(t *kernel.Task, a *abi.Args) (uint64, error) {
	n := a.Uint(1)
	if a.Uint(2) != 0 || n == 0 || n > abi.FUTEX_WAITV_MAX || a.Addr(0) == 0 {
		return 0, abi.EINVAL
	}
	deadline, err := futex2Deadline(t, a.Addr(3), a.Int(4))
	if err != nil {
		return 0, err
	}
	list, err := copyWaitv(t, a.Addr(0), n)
	if err != nil {
		return 0, err
	}
	return retInt(t.Kernel().Futexes.WaitVector(t, t.MM(), list, deadline))
}

// FutexWake is futex_wake(2).
func FutexWake(t *kernel.Task, a *abi.Args) (uint64, error) {
	shared, err := futex2Shared(a.Uint(3))
	if err != nil {
		return 0, err
	}
	if a.Size(1) == 0 || a.Size(1) > 0xffffffff {
		return 0, abi.EINVAL
	}
	return retInt(t.Kernel().Futexes.Wake(t.MM(), a.Addr(0), shared, int(a.Int(2)), uint32(a.Size(1))))
}

// FutexWait is futex_wait(2).
func FutexWait(t *kernel.Task, a *abi.Args) (uint64, error) {
	shared, err := futex2Shared(a.Uint(3))
	if err != nil {
		return 0, err
	}
	if a.Size(2) == 0 || a.Size(2) > 0xffffffff || a.Size(1) > 0xffffffff {
		return 0, abi.EINVAL
	}
	deadline, err := futex2Deadline(t, a.Addr(4), a.Int(5))
	if err != nil {
		return 0, err
	}
	return done0(t.FutexWait(a.Addr(0), shared, uint32(a.Size(1)), uint32(a.Size(2)), deadline))
}

// FutexRequeue is futex_requeue(2).
func FutexRequeue(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Uint(1) != 0 || a.Addr(0) == 0 || a.Int(2) < 0 || a.Int(3) < 0 {
		return 0, abi.EINVAL
	}
	list, err := copyWaitv(t, a.Addr(0), 2)
	if err != nil {
		return 0, err
	}
	if list[0].Shared != list[1].Shared {
		return 0, abi.EINVAL
	}
	return retInt(t.Kernel().Futexes.Requeue(t.MM(), list[0].Addr, list[1].Addr, list[0].Shared, int(a.Int(2)), int(a.Int(3)), &list[0].Val))
}
