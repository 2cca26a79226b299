package kernel

import "lazaret/syscalls/abi"

// Session is a session (setsid(2)). Guarded by Kernel.tasksMu.
type Session struct {
	pid    *PID
	leader *ThreadGroup // nil once it has ended
	groups int          // process groups
	tty    TTY          // the controlling terminal, or nil

	oldForeground *ProcessGroup // of a terminal that has hung up
}

// ProcessGroup is a process group. Guarded by Kernel.tasksMu.
type ProcessGroup struct {
	pid     *PID
	session *Session
	members []*ThreadGroup
}

// joinGroupLocked moves tg to pg.
func (tg *ThreadGroup) joinGroupLocked(pg *ProcessGroup) {
	tg.leaveGroupLocked()
	tg.pgrp = pg
	pg.members = append(pg.members, tg)
}

func (tg *ThreadGroup) leaveGroupLocked() {
	pg := tg.pgrp
	if pg == nil {
		return
	}
	tg.pgrp = nil
	for i, m := range pg.members {
		if m == tg {
			pg.members = append(pg.members[:i], pg.members[i+1:]...)
			break
		}
	}
	if len(pg.members) > 0 {
		return
	}
	s := pg.session
	pg.pid.pgrp = nil
	pg.pid.freeIfUnusedLocked()
	if s.groups--; s.groups == 0 {
		s.pid.session = nil
		s.pid.freeIfUnusedLocked()
	}
}

func newGroupLocked(p *PID, s *Session) *ProcessGroup {
	pg := &ProcessGroup{pid: p, session: s}
	p.pgrp = pg
	s.groups++
	return pg
}

// newSessionLocked makes tg the leader of a new session and process group.
func (tg *ThreadGroup) newSessionLocked() {
	s := &Session{pid: tg.pid, leader: tg}
	tg.pid.session = s
	tg.joinGroupLocked(newGroupLocked(tg.pid, s))
}

// Setsid is setsid(2).
func (t *Task) Setsid() (int32, error) {
	k := t.k
	k.tasksMu.Lock()
	defer k.tasksMu.Unlock()
	p := t.tg.pid
	if p.session != nil || p.pgrp != nil {
		return 0, abi.EPERM
	}
	t.tg.newSessionLocked()
	return p.own(), nil
}

// Setpgid is setpgid(2).
func (t *Task) Setpgid(pid, pgid int32) error {
	if pgid < 0 {
		return abi.EINVAL
	}
	k := t.k
	k.tasksMu.Lock()
	defer k.tasksMu.Unlock()
	ns := t.pid.Load().ns()
	tg := t.tg
	if pid != 0 {
		if tg = ns.findGroupLocked(pid); tg == nil {
			return abi.ESRCH
		}
	}
	if tg != t.tg {
		switch {
		case tg.parent != t.tg:
			return abi.ESRCH
		case tg.pgrp == nil || tg.pgrp.session != t.tg.pgrp.session:
			return abi.EPERM
		case tg.execed:
			return abi.EACCES
		}
	}
	if tg.pid.session != nil {
		return abi.EPERM
	}
	if pgid == 0 || pgid == tg.pid.in(ns) {
		if pg := tg.pid.pgrp; pg != nil {
			if pg.session != t.tg.pgrp.session {
				return abi.EPERM
			}
			if pg != tg.pgrp {
				tg.joinGroupLocked(pg)
			}
			return nil
		}
		tg.joinGroupLocked(newGroupLocked(tg.pid, tg.pgrp.session))
		return nil
	}
	p := ns.byNumber[pgid]
	if p == nil || p.pgrp == nil || p.pgrp.session != t.tg.pgrp.session {
		return abi.EPERM
	}
	if p.pgrp != tg.pgrp {
		tg.joinGroupLocked(p.pgrp)
	}
	return nil
}

// Getpgid is getpgid(2); pid 0 is the caller.
func (t *Task) Getpgid(pid int32) (int32, error) {
	t.k.tasksMu.RLock()
	defer t.k.tasksMu.RUnlock()
	tg := t.lookupLocked(pid)
	if tg == nil || tg.pgrp == nil {
		return 0, abi.ESRCH
	}
	return tg.pgrp.pid.in(t.pid.Load().ns()), nil
}

// Getsid is getsid(2); pid 0 is the caller.
func (t *Task) Getsid(pid int32) (int32, error) {
	t.k.tasksMu.RLock()
	defer t.k.tasksMu.RUnlock()
	tg := t.lookupLocked(pid)
	if tg == nil || tg.pgrp == nil {
		return 0, abi.ESRCH
	}
	return tg.pgrp.session.pid.in(t.pid.Load().ns()), nil
}

func (t *Task) lookupLocked(pid int32) *ThreadGroup {
	if pid == 0 {
		return t.tg
	}
	if o := t.pid.Load().ns().findTaskLocked(pid); o != nil {
		return o.tg
	}
	return nil
}

// GroupIDs returns process group and session as ns sees them (/proc/PID/stat).
func (tg *ThreadGroup) GroupIDs(ns *PIDNamespace) (pgid, sid int32) {
	tg.k.tasksMu.RLock()
	defer tg.k.tasksMu.RUnlock()
	if tg.pgrp == nil {
		return 0, 0
	}
	return tg.pgrp.pid.in(ns), tg.pgrp.session.pid.in(ns)
}

// orphanedLocked reports whether no member of pg has a parent in another group of the
// session; except is not counted as a member (will_become_orphaned_pgrp).
func (pg *ProcessGroup) orphanedLocked(except *ThreadGroup) bool {
	for _, m := range pg.members {
		if m == except || m.dead || m.parent == nil || m.parent.pgrp == nil {
			continue
		}
		if m.parent.pgrp != pg && m.parent.pgrp.session == pg.session && !isInit(m.parent) {
			return false
		}
	}
	return true
}

func isInit(tg *ThreadGroup) bool { return tg.pid.own() == 1 && len(tg.pid.numbers) == 1 }

func (pg *ProcessGroup) hasStoppedLocked() bool {
	for _, m := range pg.members {
		m.sigMu.Lock()
		stopped := m.stopFlags&groupStopped != 0
		m.sigMu.Unlock()
		if stopped {
			return true
		}
	}
	return false
}

// orphaned reports whether the process group of tg is orphaned: its stop signals from
// the terminal are ignored.
func (tg *ThreadGroup) orphaned() bool {
	tg.k.tasksMu.RLock()
	defer tg.k.tasksMu.RUnlock()
	return tg.pgrp == nil || tg.pgrp.orphanedLocked(nil)
}

// IsOrphaned reports whether the caller's process group is orphaned.
func (t *Task) IsOrphaned() bool { return t.tg.orphaned() }

// signalOrphansLocked is POSIX's rule for a group that becomes orphaned with stopped
// members: SIGHUP, then SIGCONT. tg exits, or loses its parent.
func (tg *ThreadGroup) signalOrphansLocked(parent *ThreadGroup, exiting bool) {
	pg := tg.pgrp
	if pg == nil || parent == nil || parent.pgrp == nil || parent.pgrp == pg || parent.pgrp.session != pg.session {
		return
	}
	except := (*ThreadGroup)(nil)
	if exiting {
		except = tg
	}
	if pg.orphanedLocked(except) && pg.hasStoppedLocked() {
		pg.signalLocked(abi.SIGHUP)
		pg.signalLocked(abi.SIGCONT)
	}
}

// signalLocked sends a signal of the kernel to every member.
func (pg *ProcessGroup) signalLocked(sig int) {
	info := abi.Siginfo{Signo: int32(sig), Code: abi.SI_KERNEL}
	for _, m := range pg.members {
		_ = m.leader.SendSignal(&info, toGroup, true)
	}
}
