package futex

import (
	"sync/atomic"
	"time"

	"lazaret/sentry/mm"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// VectorEntry is one futex of futex_waitv(2).
type VectorEntry struct {
	Addr   abi.Addr
	Val    uint32
	Shared bool
}

// vectorWait is what the waiters of one futex_waitv(2) share.
type vectorWait struct{ woken atomic.Int32 } // index + 1 of the first that was woken

func (v *vectorWait) hit(i int) { v.woken.CompareAndSwap(0, int32(i)+1) }

// WaitVector is futex_waitv(2): it returns the index of a futex that was woken.
func (t *Table) WaitVector(s wait.Sleeper, m *mm.MM, list []VectorEntry, deadline time.Time) (int, error) {
	if len(list) == 0 || len(list) > abi.FUTEX_WAITV_MAX {
		return 0, abi.EINVAL
	}
	v := &vectorWait{}
	ws := make([]Waiter, len(list))
	defer func() {
		for i := range ws {
			ws[i].cancel()
		}
	}()
	for i, e := range list {
		key, err := m.FutexKey(e.Addr, e.Shared)
		if err != nil {
			return 0, err
		}
		w := &ws[i]
		w.sleeper, w.bitset, w.key, w.index, w.vector = s, MatchAny, key, i, v
		b := t.bucket(key)
		b.mu.Lock()
		val, err := m.LoadU32(e.Addr)
		if err == nil && val != e.Val {
			err = abi.EAGAIN
		}
		if err != nil {
			b.mu.Unlock()
			if n := v.woken.Load(); n != 0 {
				return int(n) - 1, nil
			}
			return 0, err
		}
		b.addLocked(w)
		b.mu.Unlock()
	}
	for {
		if n := v.woken.Load(); n != 0 {
			return int(n) - 1, nil
		}
		if err := s.Sleep(deadline); err != nil {
			if n := v.woken.Load(); n != 0 {
				return int(n) - 1, nil
			}
			return 0, err
		}
	}
}
