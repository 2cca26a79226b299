package kernel

import "lazaret/syscalls/abi"

// handleSignals is the work before application code runs again: stops, traps, delivery
// of one signal at a time, restarted calls, the saved mask.
func (t *Task) handleSignals() {
	sig, action, info := t.nextDelivery()
	if t.exitPending {
		return
	}
	if sig != 0 {
		t.deliver(sig, &action, &info)
		return
	}
	if t.inSyscall && t.restartCode != 0 {
		t.restartNoHandler()
	}
	t.restartCode = 0
	t.RestoreSignalMask()
}

// restartNoHandler makes an interrupted call run again, as no handler will run.
func (t *Task) restartNoHandler() {
	nr := t.syscallNr
	if t.restartCode == abi.ERESTART_RESTARTBLOCK {
		nr = abi.SYS_RESTART_SYSCALL
	}
	t.regs.RestartSyscall(nr)
	t.inSyscall = false
}

// nextDelivery takes signals until one has a handler to run. 0: none.
func (t *Task) nextDelivery() (int, abi.Sigaction, abi.Siginfo) {
	tg := t.tg
	for {
		tg.sigMu.Lock()
		if tg.stopFlags&(cldStopped|cldContinued) != 0 {
			t.tellParentOfContinueLocked()
			continue
		}
		if tg.groupExit || t.pending.set.Has(abi.SIGKILL) || tg.execing != nil && tg.execing != t {
			t.dieOfLocked()
			return 0, abi.Sigaction{}, abi.Siginfo{}
		}
		if t.jobctl&jobStopPending != 0 {
			if !t.ptraced.Load() {
				t.doStopLocked(t.stop.stopSig)
				continue
			}
			t.jobctl |= jobTrapStop // the tracer sees the group stop as a trap
		}
		if t.jobctl&(jobTrapStop|jobTrapNotify) != 0 {
			t.jobTrapLocked()
			continue
		}
		q := t.dequeueLocked(t.SignalMask())
		if q == nil {
			t.recalcLocked()
			tg.sigMu.Unlock()
			return 0, abi.Sigaction{}, abi.Siginfo{}
		}
		info, sig := q.info, int(q.info.Signo)
		if t.ptraced.Load() && sig != abi.SIGKILL {
			if sig = t.traceSignalLocked(&info); sig == 0 {
				tg.sigMu.Unlock()
				continue
			}
		}
		action, handled, ended := t.actLocked(sig, &info)
		if handled {
			return sig, action, info
		}
		if ended {
			return 0, abi.Sigaction{}, abi.Siginfo{}
		}
	}
}

// actLocked takes the action of a dequeued signal; sigMu is held and released. handled: a
// handler must run. ended: the task must exit.
func (t *Task) actLocked(sig int, info *abi.Siginfo) (a abi.Sigaction, handled, ended bool) {
	tg := t.tg
	h := tg.handlers
	h.mu.Lock()
	a = h.actions[sig]
	if a.Handler > abi.SIG_IGN && a.Flags&abi.SA_RESETHAND != 0 {
		h.actions[sig].Handler = abi.SIG_DFL
	}
	h.mu.Unlock()
	switch {
	case a.Handler == abi.SIG_IGN:
		tg.sigMu.Unlock()
		return a, false, false
	case a.Handler != abi.SIG_DFL:
		tg.sigMu.Unlock()
		return a, true, false
	case ignoredByDefault.Has(sig), tg.unkillable && !unblockable.Has(sig):
		tg.sigMu.Unlock()
		return a, false, false
	case stopSignals.Has(sig):
		if sig != abi.SIGSTOP {
			// tasksMu comes before sigMu: let go and look again whether SIGCONT came.
			tg.sigMu.Unlock()
			if tg.orphaned() {
				return a, false, false
			}
			tg.sigMu.Lock()
		}
		t.doStopLocked(sig)
		return a, false, false
	}
	status := int32(sig)
	// Linux sets the core flag only when a core was written; RLIMIT_CORE 0 writes none.
	tg.killLocked(status)
	tg.sigMu.Unlock()
	if t.k.Observer != nil && (coreSignals.Has(sig) || sig == abi.SIGKILL) {
		t.k.Observer.Killed(t, sig, t.describe(info))
	}
	t.endSelf(status)
	return a, false, true
}

// dieOfLocked ends the task because its group ends; sigMu is released.
func (t *Task) dieOfLocked() {
	tg := t.tg
	status := int32(abi.SIGKILL)
	if tg.groupExit {
		status = tg.groupExitCode
	}
	if tg.execing != nil && tg.execing != t {
		status = 0
	}
	if !tg.groupExit && tg.execing == nil {
		tg.killLocked(status)
	}
	tg.sigMu.Unlock()
	t.endSelf(status)
}

// tellParentOfContinueLocked sends the SIGCHLD that SIGCONT left for a task of the group
// to send; sigMu is released.
func (t *Task) tellParentOfContinueLocked() {
	tg := t.tg
	code := int32(abi.CLD_STOPPED)
	if tg.stopFlags&cldContinued != 0 {
		code = abi.CLD_CONTINUED
	}
	tg.stopFlags &^= cldStopped | cldContinued
	tg.sigMu.Unlock()
	t.k.tasksMu.RLock()
	tg.notifyParentStopLocked(t, code)
	t.k.tasksMu.RUnlock()
}

// dequeueLocked takes the next signal that mask does not block.
func (t *Task) dequeueLocked(mask abi.SigSet) *queuedSignal {
	var q *queuedSignal
	if sig := nextSignal(t.pending.set &^ mask); sig != 0 {
		q = t.pending.take(sig)
	} else if sig := nextSignal(t.tg.shared.set &^ mask); sig != 0 {
		q = t.tg.shared.take(sig)
	}
	if q != nil && stopSignals.Has(int(q.info.Signo)) {
		t.jobctl |= jobStopDequeued
	}
	return q
}

// deliver makes the handler's frame and finishes the interrupted call for it
// (handle_signal).
func (t *Task) deliver(sig int, a *abi.Sigaction, info *abi.Siginfo) {
	if t.inSyscall {
		switch t.restartCode {
		case abi.ERESTART_RESTARTBLOCK, abi.ERESTARTNOHAND:
			t.regs.SetReturn(negErrno(abi.EINTR))
		case abi.ERESTARTSYS:
			if a.Flags&abi.SA_RESTART == 0 {
				t.regs.SetReturn(negErrno(abi.EINTR))
			} else {
				t.regs.RestartSyscall(t.syscallNr)
			}
		case abi.ERESTARTNOINTR:
			t.regs.RestartSyscall(t.syscallNr)
		}
	}
	t.restartCode, t.inSyscall = 0, false
	step := t.singleStep()
	mask := t.SignalMask()
	if t.haveSaved {
		mask = t.savedMask
	}
	if err := t.pushFrame(sig, a, info, mask); err != nil {
		t.forceSegv(sig)
		return
	}
	t.haveSaved = false
	block := t.SignalMask() | a.Mask
	if a.Flags&abi.SA_NODEFER == 0 {
		block |= abi.SigBit(sig)
	}
	t.SetSignalMask(block)
	if step {
		t.traceStep(0)
	}
}

// forceSegv is what a frame that cannot be written or read gets: SIGSEGV, and no second
// try if that was the signal to deliver.
func (t *Task) forceSegv(sig int) {
	if sig == abi.SIGSEGV {
		t.tg.sigMu.Lock()
		h := t.tg.handlers
		h.mu.Lock()
		h.actions[abi.SIGSEGV] = abi.Sigaction{}
		h.mu.Unlock()
		t.tg.sigMu.Unlock()
	}
	t.forceSignal(&abi.Siginfo{Signo: abi.SIGSEGV, Code: abi.SI_KERNEL})
}

// SigReturn is rt_sigreturn(2): registers, mask and alternate stack come from the frame
// that the stack pointer shows. The result register is among them: the caller returns
// (0, nil).
func (t *Task) SigReturn() {
	// No restart must touch the registers that the frame brings.
	t.inSyscall, t.restartCode, t.restart = false, 0, nil
	if err := t.popFrame(); err != nil {
		t.forceSegv(0)
	}
}

// SetRestart keeps how to go on with the call that is about to return
// ERESTART_RESTARTBLOCK.
func (t *Task) SetRestart(r RestartBlock) error {
	t.restart = r
	return abi.ERESTART_RESTARTBLOCK
}

// RestartSyscall is restart_syscall(2).
func (t *Task) RestartSyscall() (uint64, error) {
	r := t.restart
	t.restart = nil
	if r == nil {
		return 0, abi.EINTR
	}
	return r.Restart(t)
}
