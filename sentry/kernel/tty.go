package kernel

import "lazaret/syscalls/abi"

// TTY is a terminal as the kernel sees it: something comparable that can be a session's
// controlling terminal.
type TTY interface {
	// Device returns the device number that /proc/PID/stat shows.
	Device() (major, minor uint32)
	// LeaderExited is called, without locks, when the leader of the terminal's session
	// has ended: the terminal hangs up.
	LeaderExited()
}

// ttyControl is a terminal's side of job control. Guarded by tasksMu.
type ttyControl struct {
	session    *Session
	foreground *ProcessGroup
}

func (k *Kernel) ttyLocked(tty TTY) *ttyControl {
	k.ttyMu.Lock()
	defer k.ttyMu.Unlock()
	return k.ttys[tty]
}

// SetControllingTTY is TIOCSCTTY: the caller leads a session without a terminal. steal
// takes the terminal from another session and needs CAP_SYS_ADMIN.
func (t *Task) SetControllingTTY(tty TTY, steal bool) error {
	k := t.k
	k.tasksMu.Lock()
	defer k.tasksMu.Unlock()
	s := t.tg.pgrp.session
	if s.leader != t.tg {
		return abi.EPERM
	}
	if s.tty == tty {
		return nil
	}
	if s.tty != nil {
		return abi.EPERM
	}
	if c := k.ttyLocked(tty); c != nil && c.session != nil {
		if !steal || !t.Creds().HasCap(abi.CAP_SYS_ADMIN) {
			return abi.EPERM
		}
		k.detachLocked(c.session)
	}
	k.attachLocked(tty, s, t.tg.pgrp)
	return nil
}

func (k *Kernel) attachLocked(tty TTY, s *Session, fg *ProcessGroup) {
	s.tty, s.oldForeground = tty, nil
	k.ttyMu.Lock()
	k.ttys[tty] = &ttyControl{session: s, foreground: fg}
	k.ttyMu.Unlock()
}

// detachLocked takes its terminal from a session.
func (k *Kernel) detachLocked(s *Session) TTY {
	tty := s.tty
	s.tty = nil
	if tty != nil {
		k.ttyMu.Lock()
		delete(k.ttys, tty)
		k.ttyMu.Unlock()
	}
	return tty
}

// ControllingTTY returns the caller's controlling terminal, nil if it has none.
func (t *Task) ControllingTTY() TTY { return t.tg.ControllingTTY() }

// ControllingTTY returns the process's controlling terminal, nil if it has none.
func (tg *ThreadGroup) ControllingTTY() TTY {
	tg.k.tasksMu.RLock()
	defer tg.k.tasksMu.RUnlock()
	if tg.pgrp == nil {
		return nil
	}
	return tg.pgrp.session.tty
}

// DropControllingTTY is TIOCNOTTY: a session leader gives the terminal up for all, with
// SIGHUP and SIGCONT to the foreground.
func (t *Task) DropControllingTTY(tty TTY) error {
	k := t.k
	k.tasksMu.Lock()
	defer k.tasksMu.Unlock()
	s := t.tg.pgrp.session
	if s.tty == nil || s.tty != tty {
		return abi.ENOTTY
	}
	if s.leader != t.tg {
		// Linux difference: the terminal belongs to the session, so that a process
		// that does not lead it cannot give up its own reference alone.
		return nil
	}
	if c := k.ttyLocked(s.tty); c != nil && c.foreground != nil {
		c.foreground.signalLocked(abi.SIGHUP)
		c.foreground.signalLocked(abi.SIGCONT)
	}
	k.detachLocked(s)
	return nil
}

// leaderExitLocked is disassociate_ctty for a session whose leader ends: the foreground of
// its terminal gets SIGHUP, or what was the foreground of one that has hung up SIGHUP and
// SIGCONT. It returns the terminal that the session had.
func (k *Kernel) leaderExitLocked(s *Session) TTY {
	if s.tty == nil {
		if s.oldForeground != nil {
			s.oldForeground.signalLocked(abi.SIGHUP)
			s.oldForeground.signalLocked(abi.SIGCONT)
			s.oldForeground = nil
		}
		return nil
	}
	if c := k.ttyLocked(s.tty); c != nil && c.foreground != nil {
		c.foreground.signalLocked(abi.SIGHUP)
	}
	return k.detachLocked(s)
}

// HangupTTY is what a terminal calls when its other side is gone: the session leader gets
// SIGHUP and SIGCONT and the session loses the terminal. The foreground hears of it when
// the leader ends.
func (k *Kernel) HangupTTY(tty TTY) {
	k.tasksMu.Lock()
	defer k.tasksMu.Unlock()
	c := k.ttyLocked(tty)
	if c == nil {
		return
	}
	if l := c.session.leader; l != nil {
		for _, sig := range []int32{abi.SIGHUP, abi.SIGCONT} {
			_ = l.leader.SendSignal(&abi.Siginfo{Signo: sig, Code: abi.SI_KERNEL}, toGroup, true)
		}
		c.session.oldForeground = c.foreground
	}
	k.detachLocked(c.session)
}

// ForegroundPGID is TIOCGPGRP: 0 for none. Who asks through the master needs not belong
// to the terminal's session.
func (t *Task) ForegroundPGID(tty TTY, master bool) (int32, error) {
	k := t.k
	k.tasksMu.RLock()
	defer k.tasksMu.RUnlock()
	c := k.ttyLocked(tty)
	if !master && (c == nil || t.tg.pgrp.session != c.session) {
		return 0, abi.ENOTTY
	}
	if c == nil || c.foreground == nil {
		return 0, nil
	}
	return c.foreground.pid.in(t.pid.Load().ns()), nil
}

// SetForegroundPGID is TIOCSPGRP. The terminal has asked CheckBackground(SIGTTOU) before.
func (t *Task) SetForegroundPGID(tty TTY, pgid int32) error {
	k := t.k
	k.tasksMu.Lock()
	defer k.tasksMu.Unlock()
	c := k.ttyLocked(tty)
	if c == nil || t.tg.pgrp.session != c.session {
		return abi.ENOTTY
	}
	if pgid < 0 {
		return abi.EINVAL
	}
	p := t.pid.Load().ns().byNumber[pgid]
	if p == nil || p.pgrp == nil {
		return abi.ESRCH
	}
	if p.pgrp.session != c.session {
		return abi.EPERM
	}
	c.foreground = p.pgrp
	return nil
}

// SessionID is TIOCGSID; master as in ForegroundPGID.
func (t *Task) SessionID(tty TTY, master bool) (int32, error) {
	k := t.k
	k.tasksMu.RLock()
	defer k.tasksMu.RUnlock()
	c := k.ttyLocked(tty)
	if c == nil || !master && t.tg.pgrp.session != c.session {
		return 0, abi.ENOTTY
	}
	return c.session.pid.in(t.pid.Load().ns()), nil
}

// CheckBackground is what a terminal asks before a read (SIGTTIN) or a write or change
// (SIGTTOU): nil to go on; EIO or ERESTARTSYS, with the signal sent, for a background
// process (credentials(7), "Process groups and sessions"; termios(3), TOSTOP).
func (t *Task) CheckBackground(tty TTY, sig int) error {
	k := t.k
	k.tasksMu.RLock()
	c := k.ttyLocked(tty)
	pg := t.tg.pgrp
	background := c != nil && pg != nil && pg.session == c.session && c.foreground != nil && c.foreground != pg
	orphaned := background && pg.orphanedLocked(nil)
	k.tasksMu.RUnlock()
	if !background {
		return nil
	}
	if t.IgnoredOrBlocked(sig) {
		if sig == abi.SIGTTIN {
			return abi.EIO
		}
		return nil
	}
	if orphaned {
		return abi.EIO
	}
	k.tasksMu.RLock()
	pg.signalLocked(sig)
	k.tasksMu.RUnlock()
	return abi.ERESTARTSYS
}

// SignalForeground sends a signal of the terminal (SIGINT, SIGQUIT, SIGTSTP, SIGWINCH) to
// its foreground process group.
func (k *Kernel) SignalForeground(tty TTY, sig int) {
	k.tasksMu.RLock()
	defer k.tasksMu.RUnlock()
	if c := k.ttyLocked(tty); c != nil && c.foreground != nil {
		c.foreground.signalLocked(sig)
	}
}

// ForegroundIn returns the foreground group of tg's terminal as ns sees it, -1 without a
// terminal (/proc/PID/stat).
func (tg *ThreadGroup) ForegroundIn(ns *PIDNamespace) int32 {
	tg.k.tasksMu.RLock()
	defer tg.k.tasksMu.RUnlock()
	if tg.pgrp == nil || tg.pgrp.session.tty == nil {
		return -1
	}
	c := tg.k.ttyLocked(tg.pgrp.session.tty)
	if c == nil || c.foreground == nil {
		return -1
	}
	return c.foreground.pid.in(ns)
}
