package kernel

import (
	"lazaret/sentry/auth"
	"lazaret/syscalls/abi"
)

// mayKillLocked checks whether t may send sig to o (check_kill_permission). tasksMu is held.
func (t *Task) mayKillLocked(o *Task, sig int) error {
	if t.tg == o.tg {
		return nil
	}
	c, oc := t.Creds(), o.Creds()
	if c.EUID == oc.SUID || c.EUID == oc.RUID || c.RUID == oc.SUID || c.RUID == oc.RUID {
		return nil
	}
	if c.HasCapIn(abi.CAP_KILL, oc.UserNS) {
		return nil
	}
	if sig == abi.SIGCONT && t.tg.pgrp != nil && o.tg.pgrp != nil && t.tg.pgrp.session == o.tg.pgrp.session {
		return nil
	}
	return abi.EPERM
}

// userInfoFor fills in who sends, as the receiver sees it.
func (t *Task) userInfoFor(o *Task, info abi.Siginfo) (abi.Siginfo, bool) {
	ns := o.pid.Load().ns()
	info.SetPID(t.tg.pid.in(ns))
	info.SetUID(o.UserNS().UID(auth.KUID(t.Creds().RUID)))
	// A sender that the receiver's namespace cannot see is above it: init obeys.
	return info, t.pid.Load().in(ns) == 0
}

func (t *Task) killOneLocked(o *Task, sig int, info *abi.Siginfo, to target) error {
	if err := t.mayKillLocked(o, sig); err != nil {
		return err
	}
	if sig == 0 {
		return nil
	}
	i, force := *info, false
	if info.Code == abi.SI_USER || info.Code == abi.SI_TKILL {
		i, force = t.userInfoFor(o, i)
	} else {
		force = t.pid.Load().in(o.pid.Load().ns()) == 0
	}
	return o.SendSignal(&i, to, force)
}

func badSignal(sig int) bool { return sig < 0 || sig > abi.NSIG }

// Kill is kill(2).
func (t *Task) Kill(pid int32, sig int) error {
	if badSignal(sig) {
		return abi.EINVAL
	}
	info := abi.Siginfo{Signo: int32(sig), Code: abi.SI_USER}
	t.k.tasksMu.RLock()
	defer t.k.tasksMu.RUnlock()
	ns := t.pid.Load().ns()
	switch {
	case pid > 0:
		return t.killGroupLocked(ns.findGroupLocked(pid), sig, &info)
	case pid == 0:
		return t.killPgrpLocked(t.tg.pgrp, sig, &info)
	case pid == -1:
		return t.killAllLocked(ns, sig, &info)
	case pid == -1<<31:
		return abi.ESRCH
	}
	p := ns.byNumber[-pid]
	if p == nil || p.pgrp == nil {
		return abi.ESRCH
	}
	return t.killPgrpLocked(p.pgrp, sig, &info)
}

func (t *Task) killGroupLocked(tg *ThreadGroup, sig int, info *abi.Siginfo) error {
	if tg == nil {
		return abi.ESRCH
	}
	return t.killOneLocked(tg.leader, sig, info, toGroup)
}

func (t *Task) killPgrpLocked(pg *ProcessGroup, sig int, info *abi.Siginfo) error {
	if pg == nil || len(pg.members) == 0 {
		return abi.ESRCH
	}
	var last error
	done := false
	for _, tg := range pg.members {
		if err := t.killOneLocked(tg.leader, sig, info, toGroup); err != nil {
			last = err
		} else {
			done = true
		}
	}
	if done {
		return nil
	}
	return last
}

func (t *Task) killAllLocked(ns *PIDNamespace, sig int, info *abi.Siginfo) error {
	count, last := 0, error(nil)
	for nr, p := range ns.byNumber {
		tg := p.group
		if tg == nil || nr <= 1 || tg == t.tg {
			continue
		}
		count++
		if err := t.killOneLocked(tg.leader, sig, info, toGroup); err != nil && err != error(abi.EPERM) {
			last = err
		}
	}
	if count == 0 {
		return abi.ESRCH
	}
	return last
}

// Tgkill is tgkill(2), and tkill(2) with tgid -1 as the system call has no such number.
func (t *Task) Tgkill(tgid, tid int32, sig int) error {
	info := abi.Siginfo{Signo: int32(sig), Code: abi.SI_TKILL}
	return t.queueThread(tgid, tid, sig, &info, true)
}

// Tkill is tkill(2).
func (t *Task) Tkill(tid int32, sig int) error {
	info := abi.Siginfo{Signo: int32(sig), Code: abi.SI_TKILL}
	return t.queueThread(0, tid, sig, &info, true)
}

func (t *Task) queueThread(tgid, tid int32, sig int, info *abi.Siginfo, own bool) error {
	if badSignal(sig) || tid <= 0 || tgid < 0 {
		return abi.EINVAL
	}
	t.k.tasksMu.RLock()
	defer t.k.tasksMu.RUnlock()
	ns := t.pid.Load().ns()
	o := ns.findTaskLocked(tid)
	if o == nil || tgid != 0 && o.tg.pid.in(ns) != tgid {
		return abi.ESRCH
	}
	if !own && forgedInfo(info) && o.tg != t.tg {
		return abi.EPERM
	}
	return t.killOneLocked(o, sig, info, toThread)
}

// forgedInfo reports whether only the kernel may send such information to others
// (rt_sigqueueinfo(2)).
func forgedInfo(info *abi.Siginfo) bool { return info.Code >= 0 || info.Code == abi.SI_TKILL }

// SigQueueInfo is rt_sigqueueinfo(2).
func (t *Task) SigQueueInfo(pid int32, sig int, info *abi.Siginfo) error {
	if badSignal(sig) {
		return abi.EINVAL
	}
	i := *info
	i.Signo = int32(sig)
	t.k.tasksMu.RLock()
	defer t.k.tasksMu.RUnlock()
	tg := t.pid.Load().ns().findGroupLocked(pid)
	if tg == nil {
		return abi.ESRCH
	}
	if forgedInfo(&i) && tg != t.tg {
		return abi.EPERM
	}
	return t.killGroupLocked(tg, sig, &i)
}

// TgSigQueueInfo is rt_tgsigqueueinfo(2).
func (t *Task) TgSigQueueInfo(tgid, tid int32, sig int, info *abi.Siginfo) error {
	i := *info
	i.Signo = int32(sig)
	if tgid <= 0 {
		return abi.EINVAL
	}
	return t.queueThread(tgid, tid, sig, &i, false)
}

// SignalOutside sends a signal from outside the sandbox to a process of ns. all: to all
// processes of the namespace.
func (k *Kernel) SignalOutside(ns *PIDNamespace, pid int32, sig int) error {
	if badSignal(sig) {
		return abi.EINVAL
	}
	info := abi.Siginfo{Signo: int32(sig), Code: abi.SI_USER}
	k.tasksMu.RLock()
	defer k.tasksMu.RUnlock()
	tg := ns.findGroupLocked(pid)
	if tg == nil {
		return abi.ESRCH
	}
	return tg.leader.SendSignal(&info, toGroup, true)
}

// SignalContainer sends a signal from outside to every process of a container.
func (k *Kernel) SignalContainer(c *Container, sig int) error {
	if badSignal(sig) {
		return abi.EINVAL
	}
	info := abi.Siginfo{Signo: int32(sig), Code: abi.SI_USER}
	k.tasksMu.RLock()
	defer k.tasksMu.RUnlock()
	n := 0
	for _, p := range k.RootPIDNS.byNumber {
		if p.group != nil && p.group.container == c {
			n++
			_ = p.group.leader.SendSignal(&info, toGroup, true)
		}
	}
	if n == 0 {
		return abi.ESRCH
	}
	return nil
}
