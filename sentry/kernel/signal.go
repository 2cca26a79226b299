package kernel

import (
	"sync"

	"lazaret/syscalls/abi"
)

// Sets of signals by what they do (signal(7)).
const (
	sigBit0 abi.SigSet = 1

	unblockable      = sigBit0<<(abi.SIGKILL-1) | sigBit0<<(abi.SIGSTOP-1)
	stopSignals      = sigBit0<<(abi.SIGSTOP-1) | sigBit0<<(abi.SIGTSTP-1) | sigBit0<<(abi.SIGTTIN-1) | sigBit0<<(abi.SIGTTOU-1)
	contSignals      = sigBit0 << (abi.SIGCONT - 1)
	ignoredByDefault = sigBit0<<(abi.SIGCONT-1) | sigBit0<<(abi.SIGCHLD-1) | sigBit0<<(abi.SIGWINCH-1) | sigBit0<<(abi.SIGURG-1)
	coreSignals      = sigBit0<<(abi.SIGQUIT-1) | sigBit0<<(abi.SIGILL-1) | sigBit0<<(abi.SIGTRAP-1) | sigBit0<<(abi.SIGABRT-1) |
		sigBit0<<(abi.SIGFPE-1) | sigBit0<<(abi.SIGSEGV-1) | sigBit0<<(abi.SIGBUS-1) | sigBit0<<(abi.SIGSYS-1) |
		sigBit0<<(abi.SIGXCPU-1) | sigBit0<<(abi.SIGXFSZ-1)
	synchronous = sigBit0<<(abi.SIGSEGV-1) | sigBit0<<(abi.SIGBUS-1) | sigBit0<<(abi.SIGILL-1) |
		sigBit0<<(abi.SIGTRAP-1) | sigBit0<<(abi.SIGFPE-1) | sigBit0<<(abi.SIGSYS-1)
)

// SignalHandlers are the dispositions of a thread group; CLONE_SIGHAND shares them.
type SignalHandlers struct {
	mu      sync.Mutex
	actions [abi.NSIG + 1]abi.Sigaction
}

func (h *SignalHandlers) get(sig int) abi.Sigaction {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.actions[sig]
}

func (h *SignalHandlers) fork() *SignalHandlers {
	h.mu.Lock()
	defer h.mu.Unlock()
	return &SignalHandlers{actions: h.actions}
}

// clear resets handlers to the default, as execve(2) does; ignored stays ignored unless
// everything is asked for (CLONE_CLEAR_SIGHAND keeps it too).
func (h *SignalHandlers) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.actions {
		a := abi.Sigaction{}
		if h.actions[i].Handler == abi.SIG_IGN {
			a.Handler = abi.SIG_IGN
		}
		h.actions[i] = a
	}
}

// queuedSignal is one pending signal with its information (struct sigqueue).
type queuedSignal struct {
	info   abi.Siginfo
	user   *userCounts // charged for it; nil if not
	timer  *PosixTimer // whose it is: not charged, at most one queued
	queued bool        // is in a list
}

// sigQueue holds pending signals (struct sigpending). Guarded by sigMu.
type sigQueue struct {
	set  abi.SigSet
	list []*queuedSignal
}

// take removes and returns the first signal sig. A signal in the set without an entry
// (the limit was reached) gets plain information.
func (q *sigQueue) take(sig int) *queuedSignal {
	var found *queuedSignal
	more := false
	for i := 0; i < len(q.list); i++ {
		if int(q.list[i].info.Signo) != sig {
			continue
		}
		if found != nil {
			more = true
			break
		}
		found = q.list[i]
		q.list = append(q.list[:i], q.list[i+1:]...)
		i--
	}
	if !more {
		q.set &^= abi.SigBit(sig)
	}
	if found == nil {
		found = &queuedSignal{info: abi.Siginfo{Signo: int32(sig), Code: abi.SI_USER}}
	}
	if len(q.list) == 0 {
		q.list = nil
	}
	found.uncharge()
	return found
}

func (s *queuedSignal) uncharge() {
	if s.user != nil {
		s.user.signals.Add(-1)
		s.user = nil
	}
	if s.timer != nil {
		s.timer.dequeued(s)
	}
}

// flush removes every signal of mask.
func (q *sigQueue) flush(mask abi.SigSet) {
	if q.set&mask == 0 {
		return
	}
	kept := q.list[:0]
	for _, s := range q.list {
		if mask.Has(int(s.info.Signo)) {
			s.uncharge()
		} else {
			kept = append(kept, s)
		}
	}
	clear(q.list[len(kept):])
	q.list = kept
	q.set &^= mask
}

// nextSignal returns which signal of set to take: synchronous ones first, then the lowest.
func nextSignal(set abi.SigSet) int {
	if s := set & synchronous; s != 0 {
		return s.First()
	}
	return set.First()
}

// SignalMask returns the blocked signals.
func (t *Task) SignalMask() abi.SigSet { return abi.SigSet(t.blocked.Load()) }

// SetSignalMask sets the calling task's blocked signals; SIGKILL and SIGSTOP cannot be.
func (t *Task) SetSignalMask(m abi.SigSet) {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	t.setBlockedLocked(m)
}

func (t *Task) setBlockedLocked(m abi.SigSet) {
	m &^= unblockable
	if newly := m &^ t.SignalMask(); newly != 0 && len(t.tg.tasks) > 1 {
		t.retargetLocked(newly)
	}
	t.blocked.Store(uint64(m))
	t.recalcLocked()
}

// retargetLocked wakes another thread for shared signals that this one now blocks.
func (t *Task) retargetLocked(newly abi.SigSet) {
	set := t.tg.shared.set & newly
	for _, o := range t.tg.tasks {
		if set == 0 {
			return
		}
		if o == t || o.exiting.Load() {
			continue
		}
		if can := set &^ o.SignalMask(); can != 0 {
			set &^= can
			o.kick()
		}
	}
}

// SaveSignalMask sets a mask for the duration of a call (sigsuspend, ppoll, pselect,
// epoll_pwait): the old one comes back when the call ends without a handler, or when the
// handler returns.
func (t *Task) SaveSignalMask(m abi.SigSet) {
	if !t.haveSaved {
		t.savedMask, t.haveSaved = t.SignalMask(), true
	}
	t.SetSignalMask(m)
}

// RestoreSignalMask brings the mask back at once, when a call ended normally.
func (t *Task) RestoreSignalMask() {
	if t.haveSaved {
		t.haveSaved = false
		t.SetSignalMask(t.savedMask)
	}
}

// pendingLocked returns the signals that the task would take now.
func (t *Task) pendingLocked() abi.SigSet {
	return (t.pending.set | t.tg.shared.set) &^ t.SignalMask()
}

// recalcLocked sets the sigpending flag by what there is.
func (t *Task) recalcLocked() {
	on := t.jobctl&jobPendingMask != 0 || t.pendingLocked() != 0 || t.tg.stopFlags&(cldStopped|cldContinued) != 0 || t.tg.groupExit && !t.exiting.Load()
	t.sigpending.Store(on)
}

// PendingSignals returns the blocked signals that are pending (sigpending(2)).
func (t *Task) PendingSignals() abi.SigSet {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	return (t.pending.set | t.tg.shared.set) & t.SignalMask()
}

// SignalSets are the sets of /proc/PID/status.
type SignalSets struct {
	Pending, SharedPending, Blocked, Ignored, Caught abi.SigSet
	Queued, QueueLimit                               uint64
}

// SignalSets returns what /proc/PID/status shows.
func (t *Task) SignalSets() SignalSets {
	s := SignalSets{QueueLimit: t.tg.Limit(abi.RLIMIT_SIGPENDING).Cur}
	s.Queued = uint64(max(0, t.container.user(t.Creds().RUID).signals.Load()))
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	s.Pending, s.SharedPending, s.Blocked = t.pending.set, t.tg.shared.set, t.SignalMask()
	h := t.tg.handlers
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := 1; i <= abi.NSIG; i++ {
		switch h.actions[i].Handler {
		case abi.SIG_DFL:
		case abi.SIG_IGN:
			s.Ignored |= abi.SigBit(i)
		default:
			s.Caught |= abi.SigBit(i)
		}
	}
	return s
}
