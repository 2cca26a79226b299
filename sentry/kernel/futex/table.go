package futex

import (
	"hash/maphash"
	"sync"
	"time"

	"lazaret/sentry/mm"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

const buckets = 256

// MatchAny is the bitset that every wake matches.
const MatchAny = ^uint32(0)

// Table holds the waiters of one kernel.
type Table struct {
	seed maphash.Seed
	b    [buckets]bucket
	pi   piCount
}

type bucket struct {
	mu         sync.Mutex
	head, tail *Waiter
}

// NewTable returns an empty table.
func NewTable() *Table { return &Table{seed: maphash.MakeSeed()} }

// Waiter is a place in a queue. The zero Waiter is ready; it is used by one sleeper at a
// time.
type Waiter struct {
	sleeper wait.Sleeper
	bitset  uint32

	// guarded by the bucket that the waiter is in. A waiter can be moved: bucketOf.
	mu         sync.Mutex
	in         *bucket
	key        mm.FutexKey
	next, prev *Waiter

	// priority inheritance
	pi     *piWait
	index  int // place in a futex_waitv(2) array
	vector *vectorWait
}

func (t *Table) index(k mm.FutexKey) int {
	return int(maphash.Comparable(t.seed, k) % buckets)
}

func (t *Table) bucket(k mm.FutexKey) *bucket { return &t.b[t.index(k)] }

func (b *bucket) addLocked(w *Waiter) {
	w.mu.Lock()
	w.in = b
	w.mu.Unlock()
	w.next, w.prev = nil, b.tail
	if b.tail != nil {
		b.tail.next = w
	} else {
		b.head = w
	}
	b.tail = w
}

func (b *bucket) removeLocked(w *Waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		b.head = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		b.tail = w.prev
	}
	w.next, w.prev = nil, nil
	w.mu.Lock()
	w.in = nil
	w.mu.Unlock()
}

func (w *Waiter) bucketOf() *bucket {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.in
}

// cancel takes w out of wherever it is now; false: somebody has woken it before.
func (w *Waiter) cancel() bool {
	for {
		b := w.bucketOf()
		if b == nil {
			return false
		}
		b.mu.Lock()
		if w.bucketOf() == b {
			b.removeLocked(w)
			b.mu.Unlock()
			return true
		}
		b.mu.Unlock() // it was requeued meanwhile
	}
}

// wakeLocked takes w out and tells its sleeper.
func (b *bucket) wakeLocked(w *Waiter) {
	b.removeLocked(w)
	if w.vector != nil {
		w.vector.hit(w.index)
	}
	w.sleeper.Notify(nil, wait.In)
}

// Wait is FUTEX_WAIT and FUTEX_WAIT_BITSET. The zero deadline is never. EAGAIN: the word
// is not val. ETIMEDOUT, ERESTARTSYS as wait.Sleeper.
func (t *Table) Wait(s wait.Sleeper, w *Waiter, m *mm.MM, addr abi.Addr, shared bool, val, bitset uint32, deadline time.Time) error {
	if bitset == 0 {
		return abi.EINVAL
	}
	key, err := m.FutexKey(addr, shared)
	if err != nil {
		return err
	}
	b := t.bucket(key)
	w.sleeper, w.bitset, w.key, w.pi, w.vector = s, bitset, key, nil, nil
	b.mu.Lock()
	v, err := m.LoadU32(addr)
	if err == nil && v != val {
		err = abi.EAGAIN
	}
	if err != nil {
		b.mu.Unlock()
		return err
	}
	b.addLocked(w)
	b.mu.Unlock()
	return w.sleep(deadline)
}

// sleep waits until w was woken.
func (w *Waiter) sleep(deadline time.Time) error {
	for {
		err := w.sleeper.Sleep(deadline)
		if w.bucketOf() == nil {
			return nil
		}
		if err == nil {
			continue // a notification of something else
		}
		if !w.cancel() {
			return nil
		}
		return err
	}
}

// Wake is FUTEX_WAKE and FUTEX_WAKE_BITSET: it wakes at most n waiters.
func (t *Table) Wake(m *mm.MM, addr abi.Addr, shared bool, n int, bitset uint32) (int, error) {
	if bitset == 0 {
		return 0, abi.EINVAL
	}
	key, err := m.FutexKey(addr, shared)
	if err != nil {
		return 0, err
	}
	b := t.bucket(key)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wakeKeyLocked(key, n, bitset)
}

// wakeKeyLocked wakes waiters of key; Linux wakes one even for n = 0.
func (b *bucket) wakeKeyLocked(key mm.FutexKey, n int, bitset uint32) (int, error) {
	count := 0
	for w := b.head; w != nil; {
		next := w.next
		if w.key == key && w.bitset&bitset != 0 {
			if w.pi != nil {
				return count, abi.EINVAL
			}
			b.wakeLocked(w)
			if count++; count >= n {
				break
			}
		}
		w = next
	}
	return count, nil
}

// lock2 locks the buckets of two keys in order.
func (t *Table) lock2(k1, k2 mm.FutexKey) (b1, b2 *bucket, unlock func()) {
	i, j := t.index(k1), t.index(k2)
	b1, b2 = &t.b[i], &t.b[j]
	first, second := &t.b[min(i, j)], &t.b[max(i, j)]
	first.mu.Lock()
	if i != j {
		second.mu.Lock()
	}
	return b1, b2, func() {
		if i != j {
			second.mu.Unlock()
		}
		first.mu.Unlock()
	}
}

// Requeue is FUTEX_REQUEUE (cmp nil) and FUTEX_CMP_REQUEUE: it wakes nWake waiters of
// addr1 and moves nMove others to addr2 without waking them. The count of both is
// returned.
func (t *Table) Requeue(m *mm.MM, addr1, addr2 abi.Addr, shared bool, nWake, nMove int, cmp *uint32) (int, error) {
	if nWake < 0 || nMove < 0 {
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
	if cmp != nil {
		v, err := m.LoadU32(addr1)
		if err != nil {
			return 0, err
		}
		if v != *cmp {
			return 0, abi.EAGAIN
		}
	}
	woken, moved := 0, 0
	for w := b1.head; w != nil && (woken < nWake || moved < nMove); {
		next := w.next
		if w.key == k1 {
			switch {
			case w.pi != nil:
				return 0, abi.EINVAL
			case woken < nWake:
				b1.wakeLocked(w)
				woken++
			default:
				moved++
				if k1 != k2 {
					b1.moveLocked(w, b2, k2)
				}
			}
		}
		w = next
	}
	return woken + moved, nil
}

func (b *bucket) moveLocked(w *Waiter, to *bucket, key mm.FutexKey) {
	w.key = key
	if b == to {
		return
	}
	b.removeLocked(w)
	to.addLocked(w)
}

// WakeOp is FUTEX_WAKE_OP: it changes the word at addr2, wakes waiters of addr1, and of
// addr2 if the old word compares as op says.
func (t *Table) WakeOp(m *mm.MM, addr1, addr2 abi.Addr, shared bool, n1, n2 int, op uint32) (int, error) {
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
	hit, err := applyOp(m, addr2, op)
	if err != nil {
		return 0, err
	}
	n, err := b1.wakeKeyLocked(k1, n1, MatchAny)
	if err != nil || !hit {
		return n, err
	}
	more, err := b2.wakeKeyLocked(k2, n2, MatchAny)
	return n + more, err
}

// applyOp does the operation of FUTEX_WAKE_OP and reports the comparison.
func applyOp(m *mm.MM, addr abi.Addr, op uint32) (bool, error) {
	arg := uint32(int32(op<<8) >> 20)
	cmpArg := uint32(int32(op<<20) >> 20)
	kind := op >> 28 & 7
	if op>>28&abi.FUTEX_OP_OPARG_SHIFT != 0 {
		arg = 1 << (arg & 31)
	}
	var old uint32
	var err error
	switch kind {
	case abi.FUTEX_OP_SET:
		old, err = m.SwapU32(addr, arg)
	case abi.FUTEX_OP_ADD:
		old, err = m.AddU32(addr, arg)
	case abi.FUTEX_OP_OR:
		old, err = m.OrU32(addr, arg)
	case abi.FUTEX_OP_ANDN:
		old, err = m.AndU32(addr, ^arg)
	case abi.FUTEX_OP_XOR:
		old, err = m.XorU32(addr, arg)
	default:
		return false, abi.ENOSYS
	}
	if err != nil {
		return false, err
	}
	a, c := int32(old), int32(cmpArg)
	switch op >> 24 & 15 {
	case abi.FUTEX_OP_CMP_EQ:
		return a == c, nil
	case abi.FUTEX_OP_CMP_NE:
		return a != c, nil
	case abi.FUTEX_OP_CMP_LT:
		return a < c, nil
	case abi.FUTEX_OP_CMP_GE:
		return a >= c, nil
	case abi.FUTEX_OP_CMP_LE:
		return a <= c, nil
	case abi.FUTEX_OP_CMP_GT:
		return a > c, nil
	}
	return false, abi.ENOSYS
}
