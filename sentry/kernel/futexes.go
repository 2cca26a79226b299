package kernel

import (
	"time"

	"lazaret/sentry/kernel/futex"
	"lazaret/syscalls/abi"
)

// FutexTID is futex.Owner.
func (t *Task) FutexTID() uint32 { return uint32(t.TID()) }

// FindOwner is futex.Owner.
func (t *Task) FindOwner(tid uint32) futex.Owner {
	o := t.k.TaskByID(t.PIDNS(), int32(tid))
	if o == nil || o.exiting.Load() {
		return nil
	}
	return o
}

// FutexWaiter is the task's own place in a futex queue, for one call at a time.
func (t *Task) FutexWaiter() *futex.Waiter { return &t.futexWait }

// FutexWait is FUTEX_WAIT and FUTEX_WAIT_BITSET with an absolute deadline (zero: never).
// A signal gives ERESTARTSYS.
func (t *Task) FutexWait(addr abi.Addr, shared bool, val, bitset uint32, deadline time.Time) error {
	return t.k.Futexes.Wait(t, &t.futexWait, t.mm.Load(), addr, shared, val, bitset, deadline)
}

func (t *Task) wakeClearTID() {
	_, _ = t.k.Futexes.Wake(t.mm.Load(), t.clearTID, true, 1, futex.MatchAny)
}

// exitRobustList marks the futexes that the task holds as left by a dead owner
// (get_robust_list(2)). TRUST: the list is the application's.
func (t *Task) exitRobustList() {
	head := t.robustHead
	t.robustHead = 0
	if head != 0 {
		t.walkRobustList(head)
	}
	t.k.Futexes.OwnerDied(t)
}

func (t *Task) readWord(a abi.Addr) (uint64, bool) {
	var b [8]byte
	if t.mm.Load().CopyIn(a, b[:]) != nil {
		return 0, false
	}
	v := uint64(0)
	for i := 7; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v, true
}

func (t *Task) walkRobustList(head abi.Addr) {
	next, ok1 := t.readWord(head)
	offset, ok2 := t.readWord(head + 8)
	pending, ok3 := t.readWord(head + 16)
	if !ok1 || !ok2 || !ok3 {
		return
	}
	for n := 0; n < abi.ROBUST_LIST_LIMIT; n++ {
		entry, pi := abi.Addr(next&^1), next&1 != 0
		if entry == head {
			break
		}
		// Read on before the owner of the next lock can change the entry.
		after, ok := t.readWord(entry)
		if uint64(entry) != pending&^1 {
			if !t.robustDeath(entry+abi.Addr(offset), pi, false) {
				return
			}
		}
		if !ok {
			return
		}
		next = after
	}
	if p := abi.Addr(pending &^ 1); p != 0 {
		t.robustDeath(p+abi.Addr(offset), pending&1 != 0, true)
	}
}

// robustDeath handles one futex of the list; false ends the walk.
func (t *Task) robustDeath(addr abi.Addr, pi, pending bool) bool {
	m := t.mm.Load()
	for range 100 {
		v, err := m.LoadU32(addr)
		if err != nil {
			return false
		}
		if pending && !pi && v == 0 {
			_, _ = t.k.Futexes.Wake(m, addr, true, 1, futex.MatchAny)
			return true
		}
		if v&abi.FUTEX_TID_MASK != t.FutexTID() {
			return true
		}
		was, err := m.CompareAndSwapU32(addr, v, v&abi.FUTEX_WAITERS|abi.FUTEX_OWNER_DIED)
		if err != nil {
			return false
		}
		if was != v {
			continue
		}
		if !pi && v&abi.FUTEX_WAITERS != 0 {
			_, _ = t.k.Futexes.Wake(m, addr, true, 1, futex.MatchAny)
		}
		return true
	}
	return true
}
