package kernel

import (
	"time"

	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// SigTimedWait is rt_sigtimedwait(2): it takes a signal of set, waiting until deadline
// (zero: for ever). EAGAIN: none came; EINTR: another signal did.
func (t *Task) SigTimedWait(set abi.SigSet, deadline time.Time) (abi.Siginfo, error) {
	set &^= unblockable
	t.tg.sigMu.Lock()
	q := t.dequeueLocked(^set)
	if q == nil {
		// The signals of set wake us while we sleep, and are not ignored meanwhile.
		old := t.SignalMask()
		t.realBlocked = old
		t.blocked.Store(uint64(old &^ set))
		t.recalcLocked()
		t.tg.sigMu.Unlock()
		err := t.sleepSignal(deadline)
		t.tg.sigMu.Lock()
		t.realBlocked = 0
		t.setBlockedLocked(old)
		q = t.dequeueLocked(^set)
		if q == nil {
			t.recalcLocked()
			t.tg.sigMu.Unlock()
			if err == error(abi.ETIMEDOUT) {
				return abi.Siginfo{}, abi.EAGAIN
			}
			return abi.Siginfo{}, abi.EINTR
		}
	}
	t.recalcLocked()
	t.tg.sigMu.Unlock()
	return q.info, nil
}

// sleepSignal sleeps until a signal or the deadline.
func (t *Task) sleepSignal(deadline time.Time) error {
	for {
		if err := t.Sleep(deadline); err != nil {
			return err
		}
	}
}

// SigSuspend is rt_sigsuspend(2).
func (t *Task) SigSuspend(mask abi.SigSet) error {
	t.SaveSignalMask(mask)
	_ = t.sleepSignal(noDeadline)
	return abi.ERESTARTNOHAND
}

// Pause is pause(2).
func (t *Task) Pause() error {
	_ = t.sleepSignal(noDeadline)
	return abi.ERESTARTNOHAND
}

// DequeueSignal takes a pending signal of set, for signalfd(2).
func (t *Task) DequeueSignal(set abi.SigSet) (abi.Siginfo, bool) {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	q := t.dequeueLocked(^(set &^ unblockable))
	if q == nil {
		return abi.Siginfo{}, false
	}
	t.recalcLocked()
	return q.info, true
}

// SignalReady reports whether a signal of set is pending, for signalfd(2).
func (t *Task) SignalReady(set abi.SigSet) bool {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	return (t.pending.set|t.tg.shared.set)&set&^unblockable != 0
}

// SignalQueue is notified when a signal arrives at the process.
func (tg *ThreadGroup) SignalQueue() *wait.Queue { return &tg.signalQ }
