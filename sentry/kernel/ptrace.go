package kernel

import (
	"sync/atomic"

	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// traceLinks tie tracer and tracee. Guarded by Kernel.tasksMu.
type traceLinks struct {
	tracer  *Task
	tracees []*Task
}

// traceMode is how a tracee was resumed.
type traceMode uint8

const (
	traceCont traceMode = iota
	traceSyscall
	traceSysemu
)

// traceState is a tracee's. Guarded by tg.sigMu but for the atomics.
type traceState struct {
	ptraced       atomic.Bool
	seize         bool
	traceOpts     uint32
	traceCode     int32 // what wait reports; 0 once reported
	traceInfo     *abi.Siginfo
	traceMsg      uint64
	traceSig      int32 // what the tracer resumed it with
	traceMode     traceMode
	traceStepping bool
	callStop      uint8 // PTRACE_SYSCALL_INFO_* of the stop
	callData      uint32
	fpRequest     *fpRequest
	fpQ           wait.Queue
	watch         watchState
}

// fpRequest asks a stopped tracee's goroutine for its floating point state, which only it
// may touch.
type fpRequest struct {
	set  bool
	data []byte
	err  error
	done bool
}

// Tracer returns who traces the task, nil if nobody does.
func (t *Task) Tracer() *Task {
	t.k.tasksMu.RLock()
	defer t.k.tasksMu.RUnlock()
	return t.tracer
}

func (t *Task) seized() bool { return t.ptraced.Load() && t.seize }

// tracerNS returns the pid namespace in which event messages are.
func (t *Task) tracerNS() *PIDNamespace {
	t.k.tasksMu.RLock()
	defer t.k.tasksMu.RUnlock()
	if t.tracer != nil {
		return t.tracer.pid.Load().ns()
	}
	return t.pid.Load().ns()
}

// linkTracerLocked makes tr trace t. tasksMu is held.
func (t *Task) linkTracerLocked(tr *Task, seize bool, opts uint32) {
	t.tracer = tr
	tr.tracees = append(tr.tracees, t)
	t.tg.sigMu.Lock()
	t.ptraced.Store(true)
	t.dropAnswers()
	t.seize, t.traceOpts, t.traceCode, t.traceMode = seize, opts, 0, traceCont
	t.tg.sigMu.Unlock()
}

// unlinkTracerLocked ends tracing and lets t run on, or stop with its group.
func (t *Task) unlinkTracerLocked() {
	tr := t.tracer
	if tr == nil {
		return
	}
	t.tracer = nil
	for i, o := range tr.tracees {
		if o == t {
			tr.tracees = append(tr.tracees[:i], tr.tracees[i+1:]...)
			break
		}
	}
	tg := t.tg
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	t.ptraced.Store(false)
	t.seize, t.traceOpts, t.traceMode, t.traceStepping = false, 0, traceCont, false
	if t.stop.parked == parkedTraced { // else it may be running with them: exec clears them
		t.watch = watchState{}
	}
	t.jobctl &^= jobTrapStop | jobTrapNotify | jobListening
	if !t.exiting.Load() && (tg.stopFlags&groupStopped != 0 || tg.groupStopCount > 0) && !tg.groupExit {
		t.jobctl |= jobStopPending
		t.stop.stopSig = abi.SIGSTOP
		if tg.groupStopSig != 0 {
			t.stop.stopSig = tg.groupStopSig
		}
	}
	if t.stop.parked == parkedTraced {
		t.stop.parked = notParked
	}
	t.kick()
}

// exitTraceLocked lets go of everything that the exiting task traces.
func (t *Task) exitTraceLocked() {
	for len(t.tracees) > 0 {
		o := t.tracees[0]
		kill := o.traceOpts&abi.PTRACE_O_EXITKILL != 0
		o.unlinkTracerLocked()
		if kill {
			_ = o.SendSignal(&abi.Siginfo{Signo: abi.SIGKILL, Code: abi.SI_KERNEL}, toThread, true)
		}
		if !o.zombie {
			continue
		}
		switch {
		case o != o.tg.leader:
			o.releaseLocked()
		case o.tg.deadLeaderLocked() && o.tg.notifyParentLocked():
			o.releaseLocked()
		}
	}
}

// notifyTracerLocked tells the tracer that t has ended; true: nobody will wait for it.
func (t *Task) notifyTracerLocked(sig int32) bool {
	status := t.exitStatus
	if t == t.tg.leader {
		status = t.tg.waitStatusLocked()
	}
	return t.notifyExitTo(t.tracer.tg, sig, status)
}

// inheritTraceLocked gives t the tracer of the leader that it replaces, if it had none.
func (t *Task) inheritTraceLocked(l *Task) {
	if l.tracer != nil && t.tracer == nil {
		tr, seize, opts := l.tracer, l.seize, l.traceOpts
		t.linkTracerLocked(tr, seize, opts)
	}
}

// traceStop stops the task for its tracer and returns the signal that it was resumed
// with. Without a tracer, or when the task must die, it returns sig at once.
func (t *Task) traceStop(code, sig int32, info *abi.Siginfo) int32 {
	tg := t.tg
	tg.sigMu.Lock()
	if !t.ptraced.Load() || t.pending.set.Has(abi.SIGKILL) {
		tg.sigMu.Unlock()
		return sig
	}
	t.traceInfo, t.traceCode, t.traceSig = info, code, 0
	t.stop.parked = parkedTraced
	// Not jobTrapNotify: a SIGCONT that came since the trap was decided is still to be told.
	t.jobctl &^= jobTrapStop | jobListening
	groupDone := false
	if t.jobctl&jobStopPending != 0 && info == nil {
		groupDone = t.participateLocked()
	}
	if t.traceStepping {
		t.setSingleStep(false)
	}
	tg.sigMu.Unlock()
	t.state.Store(int32(Traced))
	t.k.tasksMu.RLock()
	if tr := t.tracer; tr != nil {
		t.notifyStopTo(tr.tg, abi.CLD_TRAPPED, t)
	} else {
		tg.sigMu.Lock()
		t.stop.parked = notParked
		tg.sigMu.Unlock()
	}
	if groupDone && tg.parent != nil && (t.tracer == nil || t.tracer.tg != tg.parent) {
		tg.notifyParentStopLocked(t, abi.CLD_STOPPED)
	}
	t.k.tasksMu.RUnlock()
	t.parkTraced()
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	t.traceInfo, t.callStop = nil, abi.PTRACE_SYSCALL_INFO_NONE
	sig, t.traceSig = t.traceSig, 0
	t.setSingleStep(t.traceStepping)
	return sig
}

// parkTraced waits for the tracer, serving its requests.
func (t *Task) parkTraced() {
	for {
		t.tg.sigMu.Lock()
		if r := t.fpRequest; r != nil {
			t.fpRequest = nil
			if r.set {
				r.err = t.pctx.SetFPState(r.data)
			} else {
				r.data, r.err = t.pctx.FPState()
			}
			r.done = true
			t.fpQ.Notify(wait.In)
		}
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

// traceSignalLocked is the stop before a signal is delivered. sigMu is
// held, and let go meanwhile. It returns the signal to deliver, 0 for none.
func (t *Task) traceSignalLocked(info *abi.Siginfo) int {
	t.tg.sigMu.Unlock()
	was := info.Signo
	sig := t.traceStop(was, was, info)
	t.tg.sigMu.Lock()
	if sig == 0 {
		return 0
	}
	if sig != was {
		*info = abi.Siginfo{Signo: sig, Code: abi.SI_USER}
	}
	if t.SignalMask().Has(int(sig)) {
		_ = t.sendLocked(info, toThread, false)
		return 0
	}
	return int(sig)
}

// jobTrapLocked is the trap for a group stop or PTRACE_INTERRUPT. sigMu is held and
// released.
func (t *Task) jobTrapLocked() {
	tg := t.tg
	sig := int32(abi.SIGTRAP)
	if tg.groupStopCount > 0 || tg.stopFlags&groupStopped != 0 || t.jobctl&jobStopPending != 0 {
		if sig = int32(t.stop.stopSig); sig == 0 {
			sig = abi.SIGSTOP
		}
	}
	seize := t.seize
	t.jobctl &^= jobTrapStop | jobTrapNotify
	done := false
	if t.jobctl&jobStopPending != 0 {
		done = t.participateLocked()
	}
	if !t.ptraced.Load() {
		tg.sigMu.Unlock()
		return
	}
	tg.sigMu.Unlock()
	if done {
		t.k.tasksMu.RLock()
		tg.notifyParentStopLocked(t, abi.CLD_STOPPED)
		t.k.tasksMu.RUnlock()
	}
	if seize {
		code := sig | abi.PTRACE_EVENT_STOP<<8
		t.traceStop(code, 0, &abi.Siginfo{Signo: sig, Code: code})
		return
	}
	t.traceStop(sig, 0, nil)
}

// trapNotifyLocked makes a seized tracee report a change of its group stop.
func (t *Task) trapNotifyLocked() {
	t.jobctl |= jobTrapNotify
	if t.jobctl&jobListening != 0 {
		t.jobctl &^= jobListening
		t.stop.parked = notParked
	}
	t.kick()
}

// traceEvent is a PTRACE_EVENT_* stop, if the tracer asked for it.
func (t *Task) traceEvent(event int32, msg uint64) {
	if event == 0 || !t.ptraced.Load() {
		return
	}
	t.tg.sigMu.Lock()
	on := t.traceOpts&(1<<uint(event)) != 0
	t.traceMsg = msg
	t.tg.sigMu.Unlock()
	if on {
		t.traceTrap(abi.SIGTRAP | event<<8)
	}
}

// traceTrap stops with SIGTRAP and a code, and sends on what the tracer injects.
func (t *Task) traceTrap(code int32) {
	info := abi.Siginfo{Signo: abi.SIGTRAP, Code: code}
	info.SetPID(t.tg.PID())
	info.SetUID(t.UserNS().UID(t.Creds().RUID))
	if sig := t.traceStop(code, 0, &info); sig != 0 {
		_ = t.SendSignal(&abi.Siginfo{Signo: sig, Code: abi.SI_USER}, toThread, false)
	}
}

// traceCloneEvent returns the event that a clone is for the tracer, 0 for none.
func (t *Task) traceCloneEvent(a *CloneArgs) int32 {
	if !t.ptraced.Load() || a.Flags&abi.CLONE_UNTRACED != 0 {
		return 0
	}
	event := int32(abi.PTRACE_EVENT_FORK)
	switch {
	case a.Flags&abi.CLONE_VFORK != 0:
		event = abi.PTRACE_EVENT_VFORK
	case a.ExitSignal != abi.SIGCHLD:
		event = abi.PTRACE_EVENT_CLONE
	}
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	if t.traceOpts&(1<<uint(event)) == 0 && a.Flags&abi.CLONE_PTRACE == 0 {
		return 0
	}
	return event
}

// traceChildLink makes our tracer trace the new child too, which begins stopped.
func (t *Task) traceChildLink(c *Task) {
	t.k.tasksMu.Lock()
	defer t.k.tasksMu.Unlock()
	if t.tracer == nil || c.zombie {
		return
	}
	c.linkTracerLocked(t.tracer, t.seize, t.traceOpts)
	c.tg.sigMu.Lock()
	defer c.tg.sigMu.Unlock()
	if t.seize {
		c.jobctl |= jobTrapStop
	} else {
		c.pending.set |= abi.SigBit(abi.SIGSTOP)
	}
	c.sigpending.Store(true)
}

// traceExec is the stop after execve(2): the event, or for an old-style tracer a SIGTRAP.
func (t *Task) traceExec(oldTID uint64) {
	if !t.ptraced.Load() {
		return
	}
	t.tg.sigMu.Lock()
	event := t.traceOpts&abi.PTRACE_O_TRACEEXEC != 0
	seize := t.seize
	t.tg.sigMu.Unlock()
	if event {
		t.traceEvent(abi.PTRACE_EVENT_EXEC, oldTID)
	} else if !seize {
		_ = t.SendSignal(&abi.Siginfo{Signo: abi.SIGTRAP, Code: abi.SI_USER}, toThread, false)
	}
}

// traceExitEvent is PTRACE_EVENT_EXIT. A task that SIGKILL ends does not stop for it.
func (t *Task) traceExitEvent() {
	if !t.ptraced.Load() {
		return
	}
	t.tg.sigMu.Lock()
	if t.tg.groupExit && t.tg.groupExitCode != abi.SIGKILL {
		t.pending.set &^= abi.SigBit(abi.SIGKILL)
	}
	t.tg.sigMu.Unlock()
	t.traceEvent(abi.PTRACE_EVENT_EXIT, uint64(uint32(t.exitStatus)))
}

// traceSyscallEnter is the stop before a system call; false: it must not run.
func (t *Task) traceSyscallEnter() bool {
	t.tg.sigMu.Lock()
	mode, good := t.traceMode, t.traceOpts&abi.PTRACE_O_TRACESYSGOOD != 0
	if mode != traceCont {
		t.callStop, t.traceMsg = abi.PTRACE_SYSCALL_INFO_ENTRY, abi.PTRACE_EVENTMSG_SYSCALL_ENTRY
	}
	t.tg.sigMu.Unlock()
	if mode == traceCont {
		return true
	}
	t.regs.SetReturn(negErrno(abi.ENOSYS))
	t.traceTrap(sysTrapCode(good))
	return mode != traceSysemu && !t.KillPending()
}

// traceSyscallExit is the stop after a system call.
func (t *Task) traceSyscallExit() {
	t.tg.sigMu.Lock()
	mode, good, step := t.traceMode, t.traceOpts&abi.PTRACE_O_TRACESYSGOOD != 0, t.traceStepping
	if mode == traceSyscall {
		t.callStop, t.traceMsg = abi.PTRACE_SYSCALL_INFO_EXIT, abi.PTRACE_EVENTMSG_SYSCALL_EXIT
	}
	t.tg.sigMu.Unlock()
	if t.exitPending {
		return
	}
	switch {
	case mode == traceSyscall:
		t.traceTrap(sysTrapCode(good))
	case step:
		t.traceTrap(abi.SIGTRAP)
	}
}

func sysTrapCode(good bool) int32 {
	if good {
		return abi.SIGTRAP | 0x80
	}
	return abi.SIGTRAP
}

// traceStep reports a step into a signal handler.
func (t *Task) traceStep(int32) {
	if t.ptraced.Load() {
		t.traceTrap(abi.SIGTRAP)
	}
}

// seccompTrace is SECCOMP_RET_TRACE: the tracer decides; without one the call fails.
func (t *Task) seccompTrace(nr uint64, args *[6]uint64, data uint32) bool {
	t.tg.sigMu.Lock()
	on := t.ptraced.Load() && t.traceOpts&abi.PTRACE_O_TRACESECCOMP != 0
	t.tg.sigMu.Unlock()
	if !on {
		t.setResult(0, abi.ENOSYS)
		return false
	}
	t.tg.sigMu.Lock()
	t.callStop, t.callData = abi.PTRACE_SYSCALL_INFO_SECCOMP, data
	t.tg.sigMu.Unlock()
	t.regs.SetReturn(negErrno(abi.ENOSYS))
	t.traceEvent(abi.PTRACE_EVENT_SECCOMP, uint64(data))
	if t.KillPending() {
		return false
	}
	now := t.regs.SyscallNo()
	if int64(now) < 0 {
		return false
	}
	// The tracer may have changed the call: ask the filters again.
	*args = t.regs.SyscallArgs()
	d := t.seccompData(now, args)
	ret, _ := t.runFilters(&d)
	if ret&abi.SECCOMP_RET_ACTION_FULL == abi.SECCOMP_RET_TRACE {
		return true
	}
	return t.seccompCheck(now, args)
}
