package kernel

import (
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// WaitArgs are the arguments of wait4(2) and waitid(2).
type WaitArgs struct {
	Which   int          // abi.P_ALL, P_PID, P_PGID; P_PIDFD is resolved into Group
	ID      int32        // pid or process group, in the caller's namespace; P_PGID 0 is the caller's
	Group   *ThreadGroup // P_PIDFD
	Options uint32       // WNOHANG, WEXITED, WSTOPPED, WCONTINUED, WNOWAIT, __W*
}

// WaitResult is what a wait found. PID 0: nothing (WNOHANG).
type WaitResult struct {
	PID    int32
	UID    uint32
	Status int32 // as wait4 gives it
	Code   int32 // CLD_*
	Sig    int32 // si_status
	Usage  abi.Rusage
}

// Wait is wait4(2) and waitid(2). ECHILD: nobody to wait for.
func (t *Task) Wait(a *WaitArgs) (WaitResult, error) {
	var res WaitResult
	var err error
	serr := wait.Until(t, &t.tg.childQ, wait.All, noDeadline, func() bool {
		var found, any bool
		found, any = t.scanChildren(a, &res)
		switch {
		case found:
			return true
		case !any:
			err = abi.ECHILD
			return true
		}
		return a.Options&abi.WNOHANG != 0
	})
	if err != nil {
		return res, err
	}
	if serr != nil {
		return res, serr
	}
	return res, nil
}

// scanChildren looks through children and tracees once. any: there is one that may be
// waited for.
func (t *Task) scanChildren(a *WaitArgs, res *WaitResult) (found, any bool) {
	k := t.k
	k.tasksMu.Lock()
	defer k.tasksMu.Unlock()
	m := matcher{t: t, a: a}
	if !m.resolveLocked() {
		return false, false
	}
	for _, c := range t.tg.children {
		if a.Options&abi.WNOTHREAD != 0 && c.parentTask != t {
			continue
		}
		if !m.matches(c.leader, false) {
			continue
		}
		if c.leader.tracer != nil && c.leader.tracer.tg != t.tg {
			any = true // its tracer sees it first
			continue
		}
		any = true
		if t.waitConsiderLocked(c.leader, a, res, c.leader.tracer != nil) {
			return true, true
		}
	}
	for _, o := range t.tg.tasks {
		if a.Options&abi.WNOTHREAD != 0 && o != t {
			continue
		}
		for _, c := range o.tracees {
			if !m.matches(c, true) {
				continue
			}
			any = true
			if t.waitConsiderLocked(c, a, res, true) {
				return true, true
			}
		}
	}
	return false, any
}

// matcher says which children a wait is for.
type matcher struct {
	t    *Task
	a    *WaitArgs
	pid  *PID
	pgrp *ProcessGroup
}

func (m *matcher) resolveLocked() bool {
	ns := m.t.pid.Load().ns()
	switch m.a.Which {
	case abi.P_ALL:
		return true
	case abi.P_PID:
		m.pid = ns.byNumber[m.a.ID]
		return m.pid != nil
	case abi.P_PIDFD:
		return m.a.Group != nil
	}
	if m.a.ID == 0 {
		m.pgrp = m.t.tg.pgrp
		return m.pgrp != nil
	}
	if p := ns.byNumber[m.a.ID]; p != nil {
		m.pgrp = p.pgrp
	}
	return m.pgrp != nil
}

func (m *matcher) matches(c *Task, traced bool) bool {
	switch m.a.Which {
	case abi.P_PID:
		if c.pid.Load() != m.pid {
			return false
		}
	case abi.P_PIDFD:
		if c.tg != m.a.Group || c != c.tg.leader {
			return false
		}
	case abi.P_PGID:
		if c.tg.pgrp != m.pgrp {
			return false
		}
	}
	if traced || m.a.Options&abi.WALL != 0 {
		return true
	}
	clone := c.exitSignal != abi.SIGCHLD
	return clone == (m.a.Options&abi.WCLONE != 0)
}

// waitConsiderLocked takes an event of c if there is one that the caller wants.
func (t *Task) waitConsiderLocked(c *Task, a *WaitArgs, res *WaitResult, traced bool) bool {
	if c.released {
		return false
	}
	if c.zombie {
		last := c != c.tg.leader || len(c.tg.tasks) == 1
		if !last {
			return t.waitStoppedLocked(c, a, res, traced)
		}
		if traced && (c.tracer == nil || c.tracer.tg != t.tg) {
			return false
		}
		return a.Options&abi.WEXITED != 0 && t.waitZombieLocked(c, a, res)
	}
	return t.waitStoppedLocked(c, a, res, traced) || t.waitContinuedLocked(c, a, res)
}

func (t *Task) fillResultLocked(c *Task, res *WaitResult) {
	res.PID = c.pid.Load().in(t.pid.Load().ns())
	res.UID = t.UserNS().UID(c.Creds().RUID)
	res.Usage = c.tg.usage.both(c.tg)
}

func (t *Task) waitZombieLocked(c *Task, a *WaitArgs, res *WaitResult) bool {
	t.fillResultLocked(c, res)
	res.Status = c.exitStatus
	if c == c.tg.leader {
		res.Status = c.tg.waitStatusLocked()
	}
	info := exitInfo(0, res.Status)
	res.Code, res.Sig = info.Code, info.Status()
	if a.Options&abi.WNOWAIT != 0 {
		return true
	}
	if c.tracer != nil && c.tracer.tg != c.tg.parent || c.tracer != nil && c != c.tg.leader {
		// The tracer has seen it; now it is the real parent's turn.
		c.unlinkTracerLocked()
		if c != c.tg.leader {
			c.releaseLocked()
			return true
		}
		if c.tg.notifyParentLocked() {
			c.releaseLocked()
		}
		return true
	}
	if c.tg.parent == t.tg {
		t.tg.usage.reap(c.tg)
	}
	c.releaseLocked()
	return true
}

func (t *Task) waitStoppedLocked(c *Task, a *WaitArgs, res *WaitResult, traced bool) bool {
	if !traced && a.Options&abi.WUNTRACED == 0 {
		return false
	}
	tg := c.tg
	tg.sigMu.Lock()
	code := int32(0)
	keep := a.Options&abi.WNOWAIT != 0
	why := int32(abi.CLD_STOPPED)
	if traced {
		if c.stop.parked == parkedTraced && c.jobctl&jobListening == 0 {
			code, why = c.traceCode, abi.CLD_TRAPPED
			if !keep {
				c.traceCode = 0
			}
		}
	} else if tg.stopFlags&groupStopped != 0 {
		if code = int32(tg.groupStopSig); !keep {
			tg.groupStopSig = 0
		}
	}
	tg.sigMu.Unlock()
	if code == 0 {
		return false
	}
	t.fillResultLocked(c, res)
	res.Status, res.Code, res.Sig = code<<8|0x7f, why, code
	return true
}

func (t *Task) waitContinuedLocked(c *Task, a *WaitArgs, res *WaitResult) bool {
	if a.Options&abi.WCONTINUED == 0 {
		return false
	}
	tg := c.tg
	tg.sigMu.Lock()
	ok := tg.stopFlags&groupContinued != 0
	if ok && a.Options&abi.WNOWAIT == 0 {
		tg.stopFlags &^= groupContinued
	}
	tg.sigMu.Unlock()
	if !ok {
		return false
	}
	t.fillResultLocked(c, res)
	res.Status, res.Code, res.Sig = 0xffff, abi.CLD_CONTINUED, abi.SIGCONT
	return true
}
