package kernel

import (
	"time"

	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

var noDeadline time.Time

// TaskState is what /proc shows.
type TaskState int32

// States, with the letters of /proc/PID/stat.
const (
	Running TaskState = iota
	Sleeping
	DiskSleep
	Stopped
	Traced
	ZombieState
	DeadState
)

// Letter returns the letter that /proc and ps use.
func (s TaskState) Letter() byte { return "RSDTtZX"[s] }

// State returns the task's state for /proc.
func (t *Task) State() TaskState { return TaskState(t.state.Load()) }

// Notify is wait.Waiter.
func (t *Task) Notify(_ *wait.Entry, events wait.Mask) {
	if stack := events != wait.All && events&wait.Stack != 0; t.parker.byStack.Load() != stack {
		t.parker.byStack.Store(stack)
	}
	t.notified.Store(true)
	t.parker.unpark()
}

// kick makes the task look at its sigpending flag, wherever it is. Callers set the flag
// first: the task sets inUser before it looks at the flag, so that one of the two sees
// the other.
func (t *Task) kick() {
	t.sigpending.Store(true)
	if t.inUser.Load() {
		t.pctx.Interrupt()
	}
	t.parker.unpark()
}

// park blocks until unpark or the deadline, and reports false for the deadline.
func (t *Task) park(deadline time.Time) bool {
	start := nowNS()
	ok := t.parker.park(deadline)
	t.sleepNS += nowNS() - start
	return ok
}

// Sleep is wait.Sleeper: until Notify, the deadline or a signal.
func (t *Task) Sleep(deadline time.Time) error {
	t.state.Store(int32(Sleeping))
	defer t.state.Store(int32(Running))
	for {
		if t.notified.Swap(false) {
			return nil
		}
		if t.sigpending.Load() {
			return abi.ERESTARTSYS
		}
		if !t.park(deadline) {
			if t.notified.Swap(false) {
				return nil
			}
			return abi.ETIMEDOUT
		}
	}
}

// Interrupted reports whether a signal or the like wants the task's attention
// (signal_pending). Long loops in handlers ask it.
func (t *Task) Interrupted() bool { return t.sigpending.Load() }

// sleepKillable waits for a Notify; only a fatal signal interrupts it.
func (t *Task) sleepKillable() error {
	t.state.Store(int32(DiskSleep))
	defer t.state.Store(int32(Running))
	for {
		if t.notified.Swap(false) {
			return nil
		}
		if t.KillPending() {
			return abi.EINTR
		}
		t.park(noDeadline)
	}
}

// KillPending reports whether the task must die (fatal_signal_pending).
func (t *Task) KillPending() bool {
	if !t.sigpending.Load() {
		return false
	}
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	return t.pending.set.Has(abi.SIGKILL) || t.tg.groupExit
}

// waitKillable waits on q until ready; only a fatal signal interrupts it.
func (t *Task) waitKillable(q *wait.Queue, ready func() bool) error {
	return wait.Until(killable{t}, q, wait.All, noDeadline, ready)
}

// killable is a Task as a Sleeper that only fatal signals interrupt.
type killable struct{ *Task }

// Sleep is wait.Sleeper.
func (s killable) Sleep(time.Time) error { return s.sleepKillable() }

// uninterruptible is a Task as a Sleeper that nothing interrupts.
type uninterruptible struct{ *Task }

// Sleep is wait.Sleeper.
func (s uninterruptible) Sleep(time.Time) error {
	for !s.notified.Swap(false) {
		s.park(noDeadline)
	}
	return nil
}

// OutsideSleeper is a Sleeper for goroutines that are no task (boot, the control server).
type OutsideSleeper struct{ wake chan struct{} }

// NewOutsideSleeper returns one, for one goroutine.
func NewOutsideSleeper() *OutsideSleeper { return &OutsideSleeper{make(chan struct{}, 1)} }

// Notify is wait.Waiter.
func (s *OutsideSleeper) Notify(*wait.Entry, wait.Mask) {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Sleep is wait.Sleeper.
func (s *OutsideSleeper) Sleep(deadline time.Time) error {
	if deadline.IsZero() {
		<-s.wake
		return nil
	}
	select {
	case <-s.wake:
		return nil
	case <-time.After(time.Until(deadline)):
		return abi.ETIMEDOUT
	}
}
