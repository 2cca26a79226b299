package kernel

import (
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// jobctl is a task's part in stopping (Linux's task->jobctl).
type jobctl uint32

const (
	jobStopPending  jobctl = 1 << iota // must stop with the group
	jobStopConsume                     // is counted in groupStopCount
	jobStopDequeued                    // a stop signal was dequeued, SIGCONT may undo it
	jobTrapStop                        // must trap to its tracer for a group stop or PTRACE_INTERRUPT
	jobTrapNotify                      // must tell its (SEIZE) tracer of a change
	jobListening                       // PTRACE_LISTEN

	jobPendingMask = jobStopPending | jobTrapStop | jobTrapNotify
)

// stopFlags are a thread group's (SIGNAL_STOP_STOPPED and so on).
type stopFlags uint8

const (
	groupStopped   stopFlags = 1 << iota
	groupContinued           // wait(WCONTINUED) has something to report
	cldStopped               // the parent must be told CLD_STOPPED
	cldContinued             // the parent must be told CLD_CONTINUED
)

// parkKind says why a task is parked in a stop.
type parkKind uint8

const (
	notParked parkKind = iota
	parkedStopped
	parkedTraced
)

// stopState is what a task keeps for stops and for signal frames.
type stopState struct {
	parked  parkKind // guarded by sigMu
	stopSig int      // the signal of the group stop under way

	// Of the last fault, for signal frames; the goroutine's own.
	trapNo, errCode uint64
	faultAddr       abi.Addr
}

// setStopPendingLocked makes t take part in a group stop.
func (t *Task) setStopPendingLocked(sig int) bool {
	if t.exiting.Load() || t.pending.set.Has(abi.SIGKILL) {
		return false
	}
	t.jobctl = t.jobctl&^(jobStopPending|jobStopConsume) | jobStopPending | jobStopConsume
	t.stop.stopSig = sig
	return true
}

// participateLocked ends t's part; it reports whether the group is now stopped.
func (t *Task) participateLocked() bool {
	consume := t.jobctl&jobStopConsume != 0
	t.jobctl &^= jobStopPending | jobStopConsume | jobStopDequeued
	if !consume {
		return false
	}
	if t.tg.groupStopCount > 0 {
		t.tg.groupStopCount--
	}
	if t.tg.groupStopCount == 0 && t.tg.stopFlags&groupStopped == 0 {
		t.tg.stopFlags = groupStopped
		return true
	}
	return false
}

// doStop stops the task, and the group if sig begins a stop. sigMu is
// held and released. It reports whether the task stopped here.
func (t *Task) doStopLocked(sig int) bool {
	tg := t.tg
	if t.jobctl&jobStopPending == 0 {
		if t.jobctl&jobStopDequeued == 0 || tg.groupExit || tg.execing != nil {
			tg.sigMu.Unlock()
			return false
		}
		if tg.stopFlags&groupStopped == 0 {
			tg.groupStopSig = sig
		}
		tg.groupStopCount = 0
		if t.setStopPendingLocked(sig) {
			tg.groupStopCount++
		}
		for _, o := range tg.tasks {
			if o != t && o.stop.parked != parkedStopped && o.setStopPendingLocked(sig) {
				tg.groupStopCount++
				o.kick()
			}
		}
	}
	if t.ptraced.Load() {
		// The tracer sees the group stop as a trap.
		t.jobctl |= jobTrapStop
		tg.sigMu.Unlock()
		return false
	}
	notify := t.participateLocked()
	t.stop.parked = parkedStopped
	t.state.Store(int32(Stopped))
	tg.sigMu.Unlock()
	if notify {
		t.k.tasksMu.RLock()
		tg.notifyParentStopLocked(t, abi.CLD_STOPPED)
		t.k.tasksMu.RUnlock()
	}
	t.parkStopped()
	return true
}

// parkStopped waits until another task has set parked back.
func (t *Task) parkStopped() {
	for {
		t.tg.sigMu.Lock()
		if t.stop.parked == notParked {
			t.recalcLocked()
			t.tg.sigMu.Unlock()
			t.state.Store(int32(Running))
			return
		}
		t.tg.sigMu.Unlock()
		t.park(noDeadline)
	}
}

// wakeKilledLocked wakes a task for SIGKILL, stopped or not.
func (t *Task) wakeKilledLocked() {
	t.stop.parked = notParked
	t.kick()
}

// continueLocked is SIGCONT's immediate effect.
func (tg *ThreadGroup) continueLocked() {
	stopping := tg.groupStopCount > 0
	for _, o := range tg.tasks {
		o.jobctl &^= jobStopPending | jobStopConsume | jobStopDequeued
		switch {
		case !o.seized():
			if o.stop.parked == parkedStopped {
				o.stop.parked = notParked
				o.kick()
			}
		default:
			o.trapNotifyLocked()
		}
	}
	switch {
	case tg.stopFlags&groupStopped != 0:
		tg.stopFlags = groupContinued | cldContinued
	case stopping:
		tg.stopFlags |= cldStopped
	default:
		return
	}
	tg.groupStopCount, tg.groupStopSig = 0, 0
	for _, o := range tg.tasks { // somebody tells the parent
		if !o.exiting.Load() {
			o.kick()
			break
		}
	}
}

// notifyParentStopLocked sends SIGCHLD for a stop or continue and wakes waiters.
// tasksMu is held, sigMu is not.
func (tg *ThreadGroup) notifyParentStopLocked(t *Task, code int32) {
	if tg.parent != nil {
		tg.leader.notifyStopTo(tg.parent, code, t)
	}
}

func (t *Task) notifyStopTo(p *ThreadGroup, code int32, cause *Task) {
	info := abi.Siginfo{Signo: abi.SIGCHLD, Code: code}
	info.SetPID(t.pid.Load().in(p.pid.ns()))
	info.SetUID(p.leader.UserNS().UID(t.Creds().RUID))
	u, s := t.tg.usage.totals(t.tg)
	info.SetUtime(u / nsPerTick)
	info.SetStime(s / nsPerTick)
	switch code {
	case abi.CLD_CONTINUED:
		info.SetStatus(abi.SIGCONT)
	case abi.CLD_STOPPED:
		info.SetStatus(int32(cause.stop.stopSig) & 0x7f)
	case abi.CLD_TRAPPED:
		info.SetStatus(cause.traceCode & 0x7f)
	}
	p.sigMu.Lock()
	a := p.handlers.get(abi.SIGCHLD)
	if a.Handler != abi.SIG_IGN && a.Flags&abi.SA_NOCLDSTOP == 0 {
		_ = p.leader.sendLocked(&info, toGroup, false)
	}
	p.sigMu.Unlock()
	p.childQ.Notify(wait.In)
}
