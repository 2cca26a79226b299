package clock

import (
	"container/heap"
	"sync"
	"time"

	"lazaret/syscalls/abi"
)

// Owner is told when a Timer fires.
type Owner interface {
	// TimerFired is called from the queue's goroutine without locks. n is how many
	// periods have ended since the last call (at least 1).
	TimerFired(t *Timer, n uint64)
}

// minPeriodNS bounds how often a periodic timer fires.
const minPeriodNS = 100_000

// Setting is when a timer fires next and again, in nanoseconds; the zero Setting is
// disarmed. Left is what is left for a Get and a relative Set.
type Setting struct{ LeftNS, IntervalNS int64 }

// Timer fires at a time of a clock, once or periodically. Owner and ClockID are fixed
// before the first Set.
type Timer struct {
	Owner   Owner
	ClockID int32 // CLOCK_REALTIME, MONOTONIC, BOOTTIME, TAI or an ALARM one
	Tag     int   // the owner's own, to tell several timers apart

	// guarded by the queue's mu
	index      int   // place in the heap + 1, 0 when disarmed
	whenNS     int64 // by the clock of ClockID
	intervalNS int64
}

// Queue holds the armed timers of a kernel.
type Queue struct {
	clock *Clock

	mu      sync.Mutex
	heaps   [4]timerHeap // by base: all timers of one compare by whenNS
	running bool
	closed  bool
	kick    chan struct{} // wakes the goroutine: an earlier timer, or the end
}

// NewQueue returns an empty queue on c.
func NewQueue(c *Clock) *Queue { return &Queue{clock: c, kick: make(chan struct{}, 1)} }

// Close stops the goroutine; no timer fires any more.
func (q *Queue) Close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake()
}

func (q *Queue) wake() {
	select {
	case q.kick <- struct{}{}:
	default:
	}
}

// SetAbs arms t for the time whenNS of its clock, then every intervalNS; it returns what
// was set before. whenNS 0 disarms.
func (q *Queue) SetAbs(t *Timer, whenNS, intervalNS int64) Setting {
	q.mu.Lock()
	old := q.getLocked(t)
	q.setLocked(t, whenNS, intervalNS)
	q.mu.Unlock()
	return old
}

// Set arms t for leftNS from now, then every intervalNS; it returns what was set before.
// A LeftNS of 0 disarms.
func (q *Queue) Set(t *Timer, s Setting) Setting {
	q.mu.Lock()
	old := q.getLocked(t)
	when := int64(0)
	if s.LeftNS > 0 {
		now, _ := q.clock.ReadNS(t.ClockID)
		if when = now + s.LeftNS; when < now {
			when = 1<<63 - 1
		}
	}
	q.setLocked(t, when, s.IntervalNS)
	q.mu.Unlock()
	return old
}

// Get returns what is left of t, at least 1 ns while it is armed.
func (q *Queue) Get(t *Timer) Setting {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.getLocked(t)
}

func (q *Queue) getLocked(t *Timer) Setting {
	s := Setting{IntervalNS: t.intervalNS}
	if t.index == 0 {
		return s
	}
	now, _ := q.clock.ReadNS(t.ClockID)
	s.LeftNS = max(sub(t.whenNS, now), 1)
	return s
}

func (q *Queue) setLocked(t *Timer, whenNS, intervalNS int64) {
	if t.index != 0 {
		heap.Remove(q.heapOf(t), t.index-1)
	}
	t.whenNS, t.intervalNS = whenNS, intervalNS
	if whenNS == 0 || q.closed {
		return
	}
	heap.Push(q.heapOf(t), t)
	if !q.running {
		q.running = true
		go q.run()
	}
	if t.index == 1 {
		q.wake()
	}
}

// run is the queue's goroutine; it starts with the first timer and ends with Close.
func (q *Queue) run() {
	sleep := time.NewTimer(time.Hour)
	defer sleep.Stop()
	for {
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			return
		}
		t, n := q.popDueLocked()
		next := time.Duration(maxWaitNS)
		if first, left := q.firstLocked(); t == nil && first != nil {
			next = left
		}
		q.mu.Unlock()
		if t != nil {
			t.Owner.TimerFired(t, n)
			continue
		}
		sleep.Reset(next)
		select {
		case <-sleep.C:
		case <-q.kick:
		}
	}
}

// popDueLocked takes the first timer off the heap if it is due, and puts a periodic one
// back for its next period.
func (q *Queue) popDueLocked() (*Timer, uint64) {
	t, left := q.firstLocked()
	if t == nil || left > 0 {
		return nil, 0
	}
	heap.Remove(q.heapOf(t), 0)
	n := uint64(1)
	if t.intervalNS > 0 {
		now, _ := q.clock.ReadNS(t.ClockID)
		if late := now - t.whenNS; late > 0 {
			n += uint64(late / t.intervalNS)
		}
		if t.intervalNS < minPeriodNS { // many periods at once: a timer must not eat a processor
			n = max(n, uint64(minPeriodNS/t.intervalNS))
		}
		t.whenNS += int64(n) * t.intervalNS
		if t.whenNS > 0 {
			heap.Push(q.heapOf(t), t)
		}
	}
	return t, n
}

func (q *Queue) leftLocked(t *Timer) time.Duration {
	now, _ := q.clock.ReadNS(t.ClockID)
	return time.Duration(sub(t.whenNS, now))
}

// firstLocked returns the timer that is due first, and in how long.
func (q *Queue) firstLocked() (*Timer, time.Duration) {
	var first *Timer
	var least time.Duration
	for i := range q.heaps {
		if len(q.heaps[i]) == 0 {
			continue
		}
		t := q.heaps[i][0]
		if left := q.leftLocked(t); first == nil || left < least {
			first, least = t, left
		}
	}
	return first, least
}

func (q *Queue) heapOf(t *Timer) *timerHeap {
	switch t.ClockID {
	case abi.CLOCK_REALTIME, abi.CLOCK_REALTIME_ALARM, abi.CLOCK_REALTIME_COARSE:
		return &q.heaps[0]
	case abi.CLOCK_BOOTTIME, abi.CLOCK_BOOTTIME_ALARM:
		return &q.heaps[2]
	case abi.CLOCK_TAI:
		return &q.heaps[3]
	}
	return &q.heaps[1]
}

type timerHeap []*Timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].whenNS < h[j].whenNS }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}
func (h *timerHeap) Push(x any) {
	t := x.(*Timer)
	*h = append(*h, t)
	t.index = len(*h)
}
func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = 0
	return t
}
