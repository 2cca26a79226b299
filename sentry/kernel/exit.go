package kernel

import (
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Exit is exit(2): the calling task ends after the handler has returned.
func (t *Task) Exit(code int32) { t.endSelf(code & 0xff << 8) }

// ExitGroup is exit_group(2).
func (t *Task) ExitGroup(code int32) {
	status := code & 0xff << 8
	t.tg.sigMu.Lock()
	if t.tg.groupExit {
		status = t.tg.groupExitCode
	} else if t.tg.execing != nil && t.tg.execing != t {
		status = 0
	} else {
		t.tg.killLocked(status)
	}
	t.tg.sigMu.Unlock()
	t.endSelf(status)
}

// endSelf makes the loop end the task with a wait status.
func (t *Task) endSelf(status int32) {
	if !t.exitPending {
		t.exitPending, t.exitStatus = true, status
	}
}

// doExit tears the task down. It is the last thing its goroutine does.
func (t *Task) doExit() {
	tg := t.tg
	t.traceExitEvent()
	tg.sigMu.Lock()
	last := tg.live.Add(-1) == 0
	if last && !tg.groupExit {
		// The last one to go speaks for the process (exit(2) of all threads).
		tg.groupExitCode = t.exitStatus
	}
	stopDone := t.exitSignalsLocked()
	tg.sigMu.Unlock()
	if stopDone {
		t.k.tasksMu.RLock()
		tg.notifyParentStopLocked(t, abi.CLD_STOPPED)
		t.k.tasksMu.RUnlock()
	}
	if last {
		tg.stopTimers()
		tg.noteMaxRSS(t.mm.Load())
	}
	t.acct.leave(nowNS() - t.lastUserNS - t.sleepNS)
	t.releaseMemory()
	if last {
		tg.dropExecutable()
	}
	t.exitSem(t.Ctx())
	t.releaseFiles()
	t.leaveCPU()
	tty := t.exitNotify(last)
	if n := t.ns.Swap(nil); n != nil {
		n.decRef()
	}
	dropFilter(t.seccomp.Swap(nil))
	t.pctx.Release()
	if tty != nil {
		tty.LeaderExited()
	}
	if t.k.Observer != nil {
		t.k.Observer.TaskExited(t, t.exitStatus)
	}
	t.exitQ.Notify(wait.In)
}

// exitSignalsLocked takes the task out of signal delivery.
func (t *Task) exitSignalsLocked() (stopDone bool) {
	t.exiting.Store(true)
	t.retargetLocked(^t.SignalMask())
	if t.jobctl&jobStopPending != 0 {
		stopDone = t.participateLocked()
	}
	return stopDone
}

// releaseMemory gives up the address space, after the promises that are kept in it.
func (t *Task) releaseMemory() {
	m := t.mm.Load()
	t.exitRobustList()
	if t.clearTID != 0 {
		if m.Users() > 1 {
			var zero [4]byte
			_ = m.CopyOut(t.clearTID, zero[:])
			t.wakeClearTID()
		}
		t.clearTID = 0
	}
	t.mm.Store(nil)
	t.vforkDone()
	m.DecUsers()
}

func (t *Task) releaseFiles() {
	if f := t.files.Swap(nil); f != nil {
		f.DecUsers(t.Ctx())
	}
	if f := t.fs.Swap(nil); f != nil {
		f.DecUsers()
		t.ctx.FS = nil
	}
}

// exitNotify tells parent, children, tracer and tracees, and makes the task a zombie or
// releases it. It returns a terminal whose session leader this was.
func (t *Task) exitNotify(last bool) TTY {
	k, tg := t.k, t.tg
	if last {
		k.killNamespace(t)
	}
	k.tasksMu.Lock()
	defer k.tasksMu.Unlock()
	var tty TTY
	if last {
		tty = tg.disassociateLocked()
	}
	t.exitTraceLocked()
	t.reparentLocked(last)
	if last {
		tg.signalOrphansLocked(tg.parent, true)
	}
	t.zombie = true
	t.state.Store(int32(ZombieState))
	reap := false
	switch {
	case t.tracer != nil:
		alone := t == tg.leader && len(tg.tasks) == 1
		sig := int32(abi.SIGCHLD)
		if alone && t.tracer.tg == tg.parent {
			sig = t.exitSignal
		}
		reap = t.notifyTracerLocked(sig) && (t != tg.leader || alone && t.tracer.tg == tg.parent)
	case t == tg.leader:
		reap = len(tg.tasks) == 1 && tg.notifyParentLocked()
	default:
		reap = true
	}
	if reap {
		t.releaseLocked()
	}
	if tg.execing != nil {
		tg.execQ.Notify(wait.In)
	}
	t.pid.Load().pollQ.Notify(wait.In)
	if last {
		tg.exitQ.Notify(wait.In)
	}
	return tty
}

// disassociateLocked ends the session's hold on its terminal when its leader ends.
func (tg *ThreadGroup) disassociateLocked() TTY {
	tg.dead = true
	tg.sigMu.Lock()
	tg.exitStatus.Store(tg.groupExitCode)
	tg.sigMu.Unlock()
	if tg.pgrp == nil || tg.pgrp.session.leader != tg {
		return nil
	}
	s := tg.pgrp.session
	s.leader = nil
	return tg.k.leaderExitLocked(s)
}

// reparentLocked gives the exiting task's children to another thread, a subreaper or the
// namespace's init (forget_original_parent).
func (t *Task) reparentLocked(last bool) {
	tg := t.tg
	if !last {
		var heir *Task
		for _, o := range tg.tasks {
			if o != t && !o.exiting.Load() {
				heir = o
				break
			}
		}
		for _, c := range tg.children {
			if c.parentTask == t {
				c.parentTask = heir
				c.deathSignalLocked()
			}
		}
		return
	}
	children := tg.children
	tg.children = nil
	for _, c := range children {
		heir := tg.reaperLocked(c)
		c.setParentLocked(heir)
		c.parentTask = nil
		if heir != nil {
			c.parentTask = heir.liveTaskLocked()
			heir.children = append(heir.children, c)
		}
		c.deathSignalLocked()
		c.leader.exitSignal = abi.SIGCHLD
		c.signalOrphansLocked(tg, false)
		if c.deadLeaderLocked() && c.leader.tracer == nil {
			if c.notifyParentLocked() {
				c.leader.releaseLocked()
			}
		}
	}
}

// deathSignalLocked is PR_SET_PDEATHSIG.
func (tg *ThreadGroup) deathSignalLocked() {
	for _, o := range tg.tasks {
		if sig := o.pdeathSig.Load(); sig != 0 && !o.zombie {
			_ = o.SendSignal(&abi.Siginfo{Signo: sig, Code: abi.SI_USER}, toGroup, false)
		}
	}
}

// deadLeaderLocked reports whether only a zombie leader is left.
func (tg *ThreadGroup) deadLeaderLocked() bool {
	return tg.leader.zombie && len(tg.tasks) == 1
}

func (tg *ThreadGroup) liveTaskLocked() *Task {
	for _, o := range tg.tasks {
		if !o.exiting.Load() {
			return o
		}
	}
	return tg.leader
}

// reaperLocked returns who inherits child of the dying tg: the nearest subreaper above
// within the namespace, or its init. nil: nobody, for processes that came from outside.
func (tg *ThreadGroup) reaperLocked(child *ThreadGroup) *ThreadGroup {
	ns := child.pid.ns()
	init := tg.pid.ns().init
	if init == tg {
		init = nil
	}
	if tg.hasReaper {
		for p := tg.parent; p != nil && p != init; p = p.parent {
			if p.reaper && !p.dead && p.pid.ns() == tg.pid.ns() {
				return p
			}
		}
	}
	if init == nil || init.dead {
		if i := ns.init; i != nil && i != tg && i != child && !i.dead {
			return i
		}
		return nil
	}
	return init
}

// notifyParentLocked sends the exit signal for a dead group and wakes waiters. It reports
// whether nobody wants the status, so that the zombie can go.
func (tg *ThreadGroup) notifyParentLocked() (reap bool) {
	p := tg.parent
	if p == nil {
		return true
	}
	sig := tg.leader.exitSignal
	if sig != abi.SIGCHLD && tg.leader.parentExecID != p.leader.selfExecID && sig != 0 {
		sig = abi.SIGCHLD // the parent has execed: it did not choose this signal
	}
	return tg.leader.notifyExitTo(p, sig, tg.waitStatusLocked())
}

func (t *Task) notifyExitTo(p *ThreadGroup, sig, status int32) (reap bool) {
	info := exitInfo(sig, status)
	info.SetPID(t.pid.Load().in(p.pid.ns()))
	info.SetUID(p.leader.UserNS().UID(t.Creds().RUID))
	u, s := t.tg.usage.totals(t.tg)
	info.SetUtime(u / nsPerTick)
	info.SetStime(s / nsPerTick)
	p.sigMu.Lock()
	if sig == abi.SIGCHLD {
		a := p.handlers.get(abi.SIGCHLD)
		if a.Handler == abi.SIG_IGN {
			reap, sig = true, 0
		} else if a.Flags&abi.SA_NOCLDWAIT != 0 {
			reap = true
		}
	}
	if sig > 0 {
		_ = p.leader.sendLocked(&info, toGroup, false)
	}
	p.sigMu.Unlock()
	p.childQ.Notify(wait.In)
	if ns := p.pid.ns(); ns.dead {
		ns.emptyQ.Notify(wait.In) // a dying init reaps its children
	}
	return reap
}

// exitInfo returns siginfo for a wait status.
func exitInfo(sig, status int32) abi.Siginfo {
	info := abi.Siginfo{Signo: sig}
	switch {
	case status&0x80 != 0:
		info.Code = abi.CLD_DUMPED
		info.SetStatus(status & 0x7f)
	case status&0x7f != 0:
		info.Code = abi.CLD_KILLED
		info.SetStatus(status & 0x7f)
	default:
		info.Code = abi.CLD_EXITED
		info.SetStatus(status >> 8 & 0xff)
	}
	return info
}

// waitStatusLocked returns what wait(2) reports for the group.
func (tg *ThreadGroup) waitStatusLocked() int32 {
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	if tg.groupExit || tg.dead {
		return tg.groupExitCode
	}
	return tg.leader.exitStatus
}

// releaseLocked takes a zombie out of the tree (release_task); if the leader was waiting
// for its last thread, it may now be reported.
func (t *Task) releaseLocked() {
	tg := t.tg
	if t.released {
		return
	}
	t.released = true
	t.state.Store(int32(DeadState))
	t.unlinkTracerLocked()
	tg.sigMu.Lock()
	t.pending.flush(^abi.SigSet(0))
	tg.sigMu.Unlock()
	tg.usage.add(&t.acct)
	tg.removeTaskLocked(t)
	t.detachPIDLocked()
	t.container.user(t.Creds().RUID).tasks.Add(-1)
	t.container.unchargeTask()
	if t == tg.leader {
		tg.releaseGroupLocked()
		return
	}
	if tg.deadLeaderLocked() && tg.execing == nil {
		l := tg.leader
		reap := false
		if l.tracer != nil {
			reap = l.notifyTracerLocked(abi.SIGCHLD) && l.tracer.tg == tg.parent
		} else {
			reap = tg.notifyParentLocked()
		}
		if reap {
			l.releaseLocked()
		}
	}
}

func (t *Task) detachPIDLocked() {
	p := t.pid.Load()
	for _, ns := range p.spaces {
		if ns.tasks--; ns.dead { // init waits for what is left: itself and its dead threads
			ns.emptyQ.Notify(wait.In)
		}
	}
	p.task = nil
	p.pollQ.Notify(wait.In)
	p.freeIfUnusedLocked()
}

func (tg *ThreadGroup) releaseGroupLocked() {
	tg.sigMu.Lock()
	tg.shared.flush(^abi.SigSet(0))
	tg.sigMu.Unlock()
	p := tg.pid
	if p.group == tg {
		p.group = nil
	}
	tg.leaveGroupLocked()
	p.freeIfUnusedLocked()
	if tg.parent != nil {
		tg.parent.removeChildLocked(tg)
	}
}

// killNamespace is the end of a namespace's init: everybody in it is killed, and init
// waits until they are gone (zap_pid_ns_processes).
func (k *Kernel) killNamespace(t *Task) {
	tg := t.tg
	k.tasksMu.Lock()
	ns := t.pid.Load().ns()
	if ns.init != tg {
		k.tasksMu.Unlock()
		return
	}
	ns.dead = true
	h := tg.handlersNow()
	h.mu.Lock()
	h.actions[abi.SIGCHLD] = abi.Sigaction{Handler: abi.SIG_IGN}
	h.mu.Unlock()
	info := abi.Siginfo{Signo: abi.SIGKILL, Code: abi.SI_KERNEL}
	for _, p := range ns.byNumber {
		if p.group != nil && p.group != tg {
			_ = p.group.leader.SendSignal(&info, toGroup, true)
		}
	}
	t.exitTraceLocked()
	k.tasksMu.Unlock()
	_ = wait.Until(uninterruptible{t}, &ns.emptyQ, wait.All, noDeadline, func() bool {
		k.tasksMu.Lock()
		defer k.tasksMu.Unlock()
		tg.reapAllLocked()
		return ns.tasks <= len(tg.tasks)
	})
}

// reapAllLocked releases every dead child, whatever signal it was to send, as a wait4
// with __WALL in a loop would.
func (tg *ThreadGroup) reapAllLocked() {
	for _, c := range append([]*ThreadGroup(nil), tg.children...) {
		if c.deadLeaderLocked() && (c.leader.tracer == nil || c.leader.tracer.tg == tg) {
			c.leader.releaseLocked()
		}
	}
}
