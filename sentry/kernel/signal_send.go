package kernel

import (
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// target says to whom a signal goes.
type target bool

const (
	toThread target = false
	toGroup  target = true
)

// ignoredLocked reports whether sending sig to t would have no effect (sig_ignored).
func (t *Task) ignoredLocked(sig int, force bool) bool {
	if t.SignalMask().Has(sig) || t.realBlocked.Has(sig) {
		return false
	}
	if t.ptraced.Load() && sig != abi.SIGKILL {
		return false
	}
	return t.dispositionIgnoresLocked(sig, force)
}

// dispositionIgnoresLocked is sig_task_ignored.
func (t *Task) dispositionIgnoresLocked(sig int, force bool) bool {
	h := t.tg.handlers.get(sig).Handler
	if t.tg.unkillable && h == abi.SIG_DFL && !(force && unblockable.Has(sig)) {
		return true
	}
	return h == abi.SIG_IGN || h == abi.SIG_DFL && ignoredByDefault.Has(sig)
}

// prepareLocked does what stop and continue signals do at once, and reports whether the
// signal should be queued.
func (t *Task) prepareLocked(sig int, force bool) bool {
	tg := t.tg
	switch {
	case tg.groupExit:
		return sig == abi.SIGKILL
	case stopSignals.Has(sig):
		tg.flushLocked(contSignals)
	case sig == abi.SIGCONT:
		tg.flushLocked(stopSignals)
		tg.continueLocked()
	}
	return !t.ignoredLocked(sig, force)
}

func (tg *ThreadGroup) flushLocked(mask abi.SigSet) {
	tg.shared.flush(mask)
	for _, o := range tg.tasks {
		o.pending.flush(mask)
	}
}

// sendLocked queues a signal and wakes somebody for it. tg.sigMu is held.
func (t *Task) sendLocked(info *abi.Siginfo, to target, force bool) error {
	return t.queueLocked(&queuedSignal{info: *info}, to, force)
}

func (t *Task) queueLocked(q *queuedSignal, to target, force bool) error {
	sig := int(q.info.Signo)
	if t.exiting.Load() && to == toThread || !t.prepareLocked(sig, force) {
		return nil
	}
	pending := &t.pending
	if to == toGroup {
		pending = &t.tg.shared
	}
	if sig < abi.SIGRTMIN && pending.set.Has(sig) {
		return nil // ordinary signals do not queue
	}
	if sig != abi.SIGKILL {
		if !t.chargeSignal(q) {
			if sig >= abi.SIGRTMIN && q.info.Code != abi.SI_USER && q.timer == nil {
				return abi.EAGAIN
			}
			q = nil // the signal arrives, its information is lost
		}
		if q != nil {
			q.queued = true
			pending.list = append(pending.list, q)
		}
	}
	pending.set |= abi.SigBit(sig)
	t.tg.signalQ.Notify(wait.In)
	t.completeLocked(sig, to)
	return nil
}

// chargeSignal counts q against RLIMIT_SIGPENDING of the receiver's user.
func (t *Task) chargeSignal(q *queuedSignal) bool {
	if q.timer != nil {
		return true // charged at timer_create
	}
	uc := t.container.user(t.Creds().RUID)
	limit := t.tg.Limit(abi.RLIMIT_SIGPENDING).Cur
	n := uc.signals.Add(1)
	override := q.info.Code >= 0 && q.info.Signo < abi.SIGRTMIN // kernel's and kill's own
	if uint64(n) > limit && !override || n > maxSignalsHard {
		uc.signals.Add(-1)
		return false
	}
	q.user = uc
	return true
}

// maxSignalsHard bounds a user's queued signals whatever the limit says.
const maxSignalsHard = 1 << 18

// wantsLocked reports whether t should be woken for sig (wants_signal).
func (t *Task) wantsLocked(sig int) bool {
	if t.SignalMask().Has(sig) || t.exiting.Load() {
		return false
	}
	if sig == abi.SIGKILL {
		return true
	}
	if t.stop.parked != notParked {
		return false
	}
	return true
}

// completeLocked picks a task for the signal and wakes it; a fatal signal ends the whole
// group at once (complete_signal).
func (t *Task) completeLocked(sig int, to target) {
	tg := t.tg
	chosen := t
	if !t.wantsLocked(sig) {
		if to == toThread || len(tg.tasks) == 1 {
			return
		}
		chosen = nil
		for _, o := range tg.tasks {
			if o.wantsLocked(sig) && (chosen == nil || chosen.sigpending.Load() && !o.sigpending.Load()) {
				chosen = o
			}
		}
		if chosen == nil {
			return
		}
	}
	if chosen.fatalLocked(sig) && !coreSignals.Has(sig) {
		tg.killLocked(int32(sig))
		return
	}
	chosen.kick()
}

// fatalLocked reports whether sig would end the group now.
func (t *Task) fatalLocked(sig int) bool {
	if sig != abi.SIGKILL && (t.ptraced.Load() || t.realBlocked.Has(sig)) || t.tg.groupExit {
		return false
	}
	if t.tg.handlers.get(sig).Handler != abi.SIG_DFL || (ignoredByDefault | stopSignals&^unblockable).Has(sig) || sig == abi.SIGSTOP {
		return false
	}
	return !t.tg.unkillable || sig == abi.SIGKILL
}

// killLocked starts the exit of the whole group with a wait status.
func (tg *ThreadGroup) killLocked(status int32) {
	if tg.groupExit {
		return
	}
	tg.groupExit, tg.groupExitCode, tg.groupStopCount = true, status, 0
	for _, o := range tg.tasks {
		o.jobctl &^= jobPendingMask
		o.pending.set |= abi.SigBit(abi.SIGKILL)
		o.wakeKilledLocked()
	}
}

// SendSignal sends to the task's process (toGroup) or the task alone. The caller has
// checked permission. force: the kernel or an ancestor namespace sends it.
func (t *Task) SendSignal(info *abi.Siginfo, to target, force bool) error {
	if info.Signo == 0 {
		return nil
	}
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	return t.sendLocked(info, to, force)
}

// Signal sends a signal of the kernel itself (SI_KERNEL) to the process.
func (tg *ThreadGroup) Signal(sig int) error {
	return tg.SendInfo(&abi.Siginfo{Signo: int32(sig), Code: abi.SI_KERNEL})
}

// SendInfo sends a signal that the kernel made to the process.
func (tg *ThreadGroup) SendInfo(info *abi.Siginfo) error {
	tg.k.tasksMu.RLock()
	t := tg.leader
	tg.k.tasksMu.RUnlock()
	return t.SendSignal(info, toGroup, info.Code == abi.SI_KERNEL)
}

// SignalThread sends a signal that the kernel made to one task.
func (t *Task) SignalThread(info *abi.Siginfo) error {
	return t.SendSignal(info, toThread, info.Code == abi.SI_KERNEL)
}

// ForceSignal sends a synchronous signal that cannot be blocked or ignored: if it is, the
// default action applies. Only for the calling task.
func (t *Task) ForceSignal(info *abi.Siginfo) { t.forceSignal(info) }

func (t *Task) forceSignal(info *abi.Siginfo) {
	sig := int(info.Signo)
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	h := t.tg.handlers
	h.mu.Lock()
	a := &h.actions[sig]
	blocked := t.SignalMask().Has(sig)
	if blocked || a.Handler == abi.SIG_IGN {
		*a = abi.Sigaction{}
		if blocked {
			t.blocked.Store(t.blocked.Load() &^ uint64(abi.SigBit(sig)))
		}
	}
	fatal := a.Handler == abi.SIG_DFL
	h.mu.Unlock()
	if fatal && !t.ptraced.Load() {
		t.tg.unkillable = false // even init dies of its own fault
	}
	_ = t.sendLocked(info, toThread, true)
	t.recalcLocked()
}

// kernelKill ends the process with sig, whatever it has set.
func (t *Task) kernelKill(sig int) {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	t.tg.unkillable = false
	t.tg.killLocked(int32(sig))
}
