package kernel

import (
	"errors"
	"runtime"

	"lazaret/platform"
	"lazaret/sentry/mm"
	"lazaret/syscalls/abi"
)

// start gives the task its goroutine.
func (t *Task) start() { go t.run() }

// run is the task's goroutine: application code, system calls, signals, until the end.
func (t *Task) run() {
	// The platform may bind a context to the OS thread. The thread goes back to the
	// pool at the end: other contexts may depend on it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	t.lastUserNS = nowNS()
	if err := t.pctx.SetFPState(t.initFP); err != nil {
		t.kernelKill(abi.SIGSEGV)
	}
	t.initFP = nil
	t.tellFailure()
	for !t.exitPending {
		if t.sigpending.Load() || t.restartCode != 0 || t.haveSaved {
			t.handleSignals()
			continue
		}
		t.inUser.Store(true)
		if t.sigpending.Load() { // set between the check above and inUser
			t.inUser.Store(false)
			continue
		}
		if t.container.gate.Load() != 0 {
			t.inUser.Store(false)
			t.waitAtGate()
			continue
		}
		ev, err := t.switchToUser()
		if err != nil {
			t.inUser.Store(false)
			t.kernelKill(abi.SIGKILL)
			continue
		}
		t.handleEvent(&ev)
	}
	t.doExit()
}

// switchToUser runs application code and accounts for the time.
func (t *Task) switchToUser() (platform.Event, error) {
	t.tg.usage.wakeCPUTimers(t.tg)
	start := nowNS()
	t.acct.enterUser(start, start-t.lastUserNS-t.sleepNS)
	if start >= t.k.load.next.Load() {
		t.k.sampleLoad(start)
	}
	t.inSyscall = false
	t.meetPatches()
	t.beginWatch()
	ev, err := t.pctx.Switch(t.mm.Load().AS(), &t.regs)
	if t.endWatch(&ev) {
		ev = platform.Event{Kind: platform.EventInterrupt}
	}
	t.inUser.Store(false)
	t.lastUserNS = nowNS()
	t.sleepNS = 0
	t.acct.leaveUser(t.lastUserNS)
	return ev, err
}

func (t *Task) handleEvent(ev *platform.Event) {
	if t.leavePatch(ev) {
		return
	}
	switch ev.Kind {
	case platform.EventInterrupt:
	case platform.EventSyscall:
		t.doSyscall()
	case platform.EventFault:
		t.handleFault(ev)
	case platform.EventException:
		t.handleException(ev)
	}
}

// doSyscall runs the system call that the registers hold.
func (t *Task) doSyscall() {
	nr := t.regs.SyscallNo()
	t.args = t.regs.SyscallArgs()
	t.inSyscall, t.syscallNr = true, nr
	if t.syscallWork() {
		if !t.syscallEnter(&nr) {
			t.syscallLeave()
			return
		}
	}
	gen := t.answerGen.Load()
	v, err := t.k.Syscalls.Dispatch(t, nr, &t.args)
	if err == nil && t.answerable(nr) {
		t.offerAnswer(nr, v, gen)
	}
	t.k.FlushAsync() // what the call made ready is told of before it returns
	t.acct.io.countIO(nr, v, err)
	if m := t.mm.Load(); m != nil && m.TakeOOM() {
		t.oomKill()
	}
	t.setResult(v, err)
	t.syscallLeave()
}

// setResult puts a result into the registers; restart codes are kept for handleSignals.
func (t *Task) setResult(v uint64, err error) {
	if err == nil {
		if t.inSyscall { // rt_sigreturn and exec have set the registers themselves
			t.regs.SetReturn(v)
		}
		return
	}
	e, ok := err.(abi.Errno)
	if !ok && !errors.As(err, &e) {
		e = abi.EIO
	}
	t.regs.SetReturn(negErrno(e))
	switch e {
	case abi.ERESTARTSYS, abi.ERESTARTNOINTR, abi.ERESTARTNOHAND, abi.ERESTART_RESTARTBLOCK:
		t.restartCode = e
	}
}

// handleFault lets the address space repair a fault, or sends the signal.
func (t *Task) handleFault(ev *platform.Event) {
	err := t.mm.Load().HandleFault(ev.Addr, ev.Access)
	if err == nil {
		t.acct.minflt.Add(1)
		return
	}
	sig, code := ev.Signal, ev.Code
	var f *mm.Fault
	if errors.As(err, &f) {
		sig, code = int32(f.Signal), int32(f.Code)
	} else if err == error(abi.ENOMEM) {
		t.faultOOM()
		return
	}
	if sig == 0 {
		sig, code = abi.SIGSEGV, abi.SEGV_MAPERR
	}
	t.faultSignal(ev, sig, code)
}

// handleException turns a processor exception into the signal Linux would send.
func (t *Task) handleException(ev *platform.Event) {
	t.faultSignal(ev, ev.Signal, ev.Code)
}

func (t *Task) faultSignal(ev *platform.Event, sig, code int32) {
	t.stop.trapNo, t.stop.errCode = t.completeFault(ev, sig, code)
	t.stop.faultAddr = ev.Addr
	info := abi.Siginfo{Signo: sig, Code: code}
	info.SetAddr(ev.Addr)
	t.forceSignal(&info)
}

// negErrno returns what the result register holds for an error.
func negErrno(e abi.Errno) uint64 { return -uint64(e) }
