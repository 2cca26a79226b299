package futex

import (
	"sync/atomic"
	"time"

	"lazaret/sentry/mm"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Owner is a task as holder or waiter of a priority-inheriting futex.
type Owner interface {
	wait.Sleeper
	// FutexTID is the task's id as the application writes it into the word.
	FutexTID() uint32
	// FindOwner returns the task that the application calls tid, nil if there is none.
	FindOwner(tid uint32) Owner
}

// piWait is a waiter's part of priority inheritance.
type piWait struct {
	self    Owner
	tid     uint32
	owner   Owner // who holds the lock, for the case that it dies
	mem     *mm.MM
	addr    abi.Addr
	requeue *mm.FutexKey // waits for a requeue to this futex (FUTEX_WAIT_REQUEUE_PI)
	granted bool         // the lock is ours; written before the wake-up
}

// piCount counts waiters on priority-inheriting futexes, so that an exit need not look
// when there are none.
type piCount struct{ n atomic.Int64 }

// LockPI is FUTEX_LOCK_PI and, with try, FUTEX_TRYLOCK_PI.
func (t *Table) LockPI(o Owner, w *Waiter, m *mm.MM, addr abi.Addr, shared, try bool, deadline time.Time) error {
	key, err := m.FutexKey(addr, shared)
	if err != nil {
		return err
	}
	b := t.bucket(key)
	b.mu.Lock()
	owner, err := t.acquireLocked(b, key, m, addr, o, o.FutexTID())
	if err != nil || owner == nil {
		b.mu.Unlock()
		return err
	}
	if try {
		b.mu.Unlock()
		return abi.EAGAIN
	}
	w.sleeper, w.bitset, w.key, w.vector = o, MatchAny, key, nil
	w.pi = &piWait{self: o, tid: o.FutexTID(), owner: owner, mem: m, addr: addr}
	b.addLocked(w)
	t.pi.n.Add(1)
	b.mu.Unlock()
	return t.sleepPI(w, deadline)
}

func (t *Table) sleepPI(w *Waiter, deadline time.Time) error {
	defer t.pi.n.Add(-1)
	err := w.sleep(deadline)
	if err == error(abi.ERESTARTSYS) {
		return abi.ERESTARTNOINTR
	}
	return err
}

// acquireLocked tries to take the lock for a task with id tid. It returns nil when it is
// taken, else the holder, after FUTEX_WAITERS was set.
func (t *Table) acquireLocked(b *bucket, key mm.FutexKey, m *mm.MM, addr abi.Addr, o Owner, tid uint32) (Owner, error) {
	for {
		v, err := m.LoadU32(addr)
		if err != nil {
			return nil, err
		}
		holder := v & abi.FUTEX_TID_MASK
		if holder == tid {
			return nil, abi.EDEADLK
		}
		first := b.firstLocked(key)
		if first != nil && first.pi == nil {
			return nil, abi.EINVAL
		}
		if holder == 0 {
			n := v&abi.FUTEX_OWNER_DIED | tid
			if first != nil {
				n |= abi.FUTEX_WAITERS
			}
			if was, err := m.CompareAndSwapU32(addr, v, n); err != nil {
				return nil, err
			} else if was != v {
				continue
			}
			for w := b.head; w != nil; w = w.next {
				if w.key == key && w.pi != nil {
					w.pi.owner = o
				}
			}
			return nil, nil
		}
		owner := o.FindOwner(holder)
		if owner == nil {
			return nil, abi.ESRCH
		}
		was, err := m.CompareAndSwapU32(addr, v, v|abi.FUTEX_WAITERS)
		if err != nil {
			return nil, err
		}
		if was == v {
			return owner, nil
		}
	}
}

func (b *bucket) firstLocked(key mm.FutexKey) *Waiter {
	for w := b.head; w != nil; w = w.next {
		if w.key == key {
			return w
		}
	}
	return nil
}

// UnlockPI is FUTEX_UNLOCK_PI.
func (t *Table) UnlockPI(o Owner, m *mm.MM, addr abi.Addr, shared bool) error {
	key, err := m.FutexKey(addr, shared)
	if err != nil {
		return err
	}
	b := t.bucket(key)
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		v, err := m.LoadU32(addr)
		if err != nil {
			return err
		}
		if v&abi.FUTEX_TID_MASK != o.FutexTID() {
			return abi.EPERM
		}
		done, err := b.handOverLocked(key, m, addr, v, 0)
		if done || err != nil {
			return err
		}
	}
}

// handOverLocked gives the lock to the first waiter, or frees it. done is false when the
// word has changed meanwhile.
func (b *bucket) handOverLocked(key mm.FutexKey, m *mm.MM, addr abi.Addr, v, extra uint32) (done bool, err error) {
	w := b.firstLocked(key)
	if w != nil && (w.pi == nil || w.pi.requeue != nil) {
		return false, abi.EINVAL
	}
	n := extra
	if w != nil {
		n |= abi.FUTEX_WAITERS | w.pi.tid
	}
	was, err := m.CompareAndSwapU32(addr, v, n)
	if err != nil || was != v {
		return false, err
	}
	if w != nil {
		w.pi.granted = true
		b.wakeLocked(w)
		for o := b.head; o != nil; o = o.next {
			if o.key == key && o.pi != nil {
				o.pi.owner = w.pi.self
			}
		}
	}
	return true, nil
}

// OwnerDied hands over the priority-inheriting futexes that o holds and others wait for.
func (t *Table) OwnerDied(o Owner) {
	if t.pi.n.Load() == 0 {
		return
	}
	for i := range t.b {
		b := &t.b[i]
		b.mu.Lock()
		for w := b.head; w != nil; {
			if w.pi == nil || w.pi.requeue != nil || w.pi.owner != o {
				w = w.next
				continue
			}
			t.diedLocked(b, w)
			w = b.head
		}
		b.mu.Unlock()
	}
}

func (t *Table) diedLocked(b *bucket, w *Waiter) {
	m, addr, key := w.pi.mem, w.pi.addr, w.key
	w.pi.owner = nil // whatever happens, look at it once
	if !m.TryIncUsers() {
		return
	}
	defer m.DecUsers()
	for range 100 {
		v, err := m.LoadU32(addr)
		if err != nil {
			return
		}
		if done, err := b.handOverLocked(key, m, addr, v, abi.FUTEX_OWNER_DIED); done || err != nil {
			return
		}
	}
}

// WaitRequeuePI is FUTEX_WAIT_REQUEUE_PI: waits on addr1 until CmpRequeuePI has moved the
// waiter to addr2 and given it the lock.
func (t *Table) WaitRequeuePI(o Owner, w *Waiter, m *mm.MM, addr1, addr2 abi.Addr, shared bool, val, bitset uint32, deadline time.Time) error {
	if addr1 == addr2 || bitset == 0 {
		return abi.EINVAL
	}
	k1, err := m.FutexKey(addr1, shared)
	if err != nil {
		return err
	}
	k2, err := m.FutexKey(addr2, shared)
	if err != nil {
		return err
	}
	b := t.bucket(k1)
	b.mu.Lock()
	v, err := m.LoadU32(addr1)
	if err == nil && v != val {
		err = abi.EAGAIN
	}
	if err != nil {
		b.mu.Unlock()
		return err
	}
	w.sleeper, w.bitset, w.key, w.vector = o, bitset, k1, nil
	w.pi = &piWait{self: o, tid: o.FutexTID(), mem: m, addr: addr2, requeue: &k2}
	b.addLocked(w)
	t.pi.n.Add(1)
	b.mu.Unlock()
	err = t.sleepPI(w, deadline)
	if err == error(abi.ERESTARTNOINTR) {
		// Linux: the call is not restarted, the condition may have passed.
		return abi.EAGAIN
	}
	return err
}

// CmpRequeuePI is FUTEX_CMP_REQUEUE_PI: gives the lock at addr2 to the first waiter of
// addr1 if it is free, and moves up to nMove others to its queue.
func (t *Table) CmpRequeuePI(o Owner, m *mm.MM, addr1, addr2 abi.Addr, shared bool, nWake, nMove int, cmp uint32) (int, error) {
	if nWake != 1 || nMove < 0 || addr1 == addr2 {
		return 0, abi.EINVAL
	}
	k1, err := m.FutexKey(addr1, shared)
	if err != nil {
		return 0, err
	}
	k2, err := m.FutexKey(addr2, shared)
	if err != nil {
		return 0, err
	}
	b1, b2, unlock := t.lock2(k1, k2)
	defer unlock()
	v, err := m.LoadU32(addr1)
	if err != nil {
		return 0, err
	}
	if v != cmp {
		return 0, abi.EAGAIN
	}
	count, limit := 0, nMove+nWake
	for w := b1.head; w != nil && count < limit; {
		next := w.next
		if w.key == k1 {
			if w.pi == nil || w.pi.requeue == nil || *w.pi.requeue != k2 {
				return count, abi.EINVAL
			}
			owner, err := t.acquireLocked(b2, k2, m, addr2, w.pi.self, w.pi.tid)
			if err != nil {
				return count, err
			}
			w.pi.requeue = nil
			if owner == nil {
				w.pi.granted = true
				b1.wakeLocked(w)
			} else {
				w.pi.owner = owner
				b1.moveLocked(w, b2, k2)
			}
			count++
		}
		w = next
	}
	return count, nil
}
