package wait

import (
	"sync"
	"sync/atomic"
	"time"

	"lazaret/syscalls/abi"
)

// Mask is a set of events, with the values of poll(2) and epoll(7).
type Mask uint32

// Events of poll(2).
const (
	In    Mask = abi.POLLIN
	Pri   Mask = abi.POLLPRI
	Out   Mask = abi.POLLOUT
	Err   Mask = abi.POLLERR
	Hup   Mask = abi.POLLHUP
	RdHup Mask = abi.POLLRDHUP
	// Taken is no event of poll(2): something was read from what had room before. Linux
	// sends SIGIO for it (O_ASYNC).
	Taken Mask = 1 << 16
	// Stack goes with events that a goroutine of the network stack tells of: see the
	// kernel's parker.
	Stack Mask = 1 << 17
	// All is every event.
	All Mask = ^Mask(0)
)

// Waiter is told that events happened. Notify runs under the queue's lock: it records
// and returns.
type Waiter interface {
	Notify(e *Entry, events Mask)
}

// ExclusiveWaiter is a Waiter whose exclusive entries may pass the event on: Notify goes on
// to the next exclusive one when NotifyExclusive reports that nobody was woken. It is
// called instead of Notify, and under the same rules.
type ExclusiveWaiter interface {
	NotifyExclusive(e *Entry, events Mask) (woke bool)
}

// Entry is one waiter's place in one queue. The zero Entry with Waiter and Mask set is
// ready to be added; an Entry is in at most one queue.
type Entry struct {
	Waiter Waiter
	Mask   Mask
	// Exclusive entries are woken one at a time by Notify, as with EPOLLEXCLUSIVE and
	// accept(2) in many threads.
	Exclusive bool

	queue      *Queue
	next, prev *Entry
}

// Queue is a list of waiters. The zero Queue is empty and ready.
type Queue struct {
	count atomic.Int32 // entries; read without mu to skip empty queues

	mu         sync.Mutex
	head, tail *Entry
}

// Add puts e at the end of q.
func (q *Queue) Add(e *Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.queue != nil {
		panic("wait: entry added twice")
	}
	e.queue, e.prev, e.next = q, q.tail, nil
	if q.tail != nil {
		q.tail.next = e
	} else {
		q.head = e
	}
	q.tail = e
	q.count.Add(1)
}

// Remove takes e out of q; it does nothing if e is not there.
func (q *Queue) Remove(e *Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.queue != q {
		return
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		q.head = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		q.tail = e.prev
	}
	e.queue, e.next, e.prev = nil, nil, nil
	q.count.Add(-1)
}

// Notify tells every waiter that waits for one of events, and the first exclusive one.
func (q *Queue) Notify(events Mask) {
	if q.count.Load() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	exclusive := false
	for e := q.head; e != nil; {
		next := e.next
		switch {
		case e.Mask&events == 0 || e.Exclusive && exclusive:
		case e.Exclusive:
			exclusive = e.notifyExclusive(events)
		default:
			e.Waiter.Notify(e, events)
		}
		e = next
	}
}

func (e *Entry) notifyExclusive(events Mask) bool {
	if w, ok := e.Waiter.(ExclusiveWaiter); ok {
		return w.NotifyExclusive(e, events)
	}
	e.Waiter.Notify(e, events)
	return true
}

// Empty reports whether nobody waits.
func (q *Queue) Empty() bool { return q.count.Load() == 0 }

// Sleeper is a thread of control that can sleep: a task.
type Sleeper interface {
	Waiter

	// Sleep returns nil after a Notify that happened since the last Sleep returned,
	// abi.ETIMEDOUT when the deadline has passed, and abi.ERESTARTSYS when a signal
	// (or the end of the task) needs the task's attention. The zero deadline is never.
	Sleep(deadline time.Time) error
}

// Until sleeps on q until ready says so. It returns nil, or what Sleep failed with.
// Preconditions: no lock is held that a notifier needs.
func Until(s Sleeper, q *Queue, events Mask, deadline time.Time, ready func() bool) error {
	if ready() {
		return nil
	}
	e := Entry{Waiter: s, Mask: events}
	q.Add(&e)
	defer q.Remove(&e)
	for !ready() {
		if err := s.Sleep(deadline); err != nil {
			if ready() {
				return nil
			}
			return err
		}
	}
	return nil
}
