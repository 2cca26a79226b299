package kernel

import (
	"math/bits"
	"sync"

	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// schedState is what the sched_* calls store. The host's scheduler decides; only the
// affinity changes how tasks run.
type schedState struct {
	mu          sync.Mutex
	policy      int32
	priority    int32 // SCHED_FIFO, SCHED_RR
	nice        int32
	resetOnFork bool
	affinity    []uint64 // bit mask of processors
}

func (s *schedState) init(cpus int) {
	s.affinity = make([]uint64, (cpus+63)/64)
	for i := 0; i < cpus; i++ {
		s.affinity[i/64] |= 1 << (i % 64)
	}
}

func (s *schedState) inherit(o *schedState) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s.policy, s.priority, s.nice = o.policy, o.priority, o.nice
	s.affinity = append([]uint64(nil), o.affinity...)
	if o.resetOnFork {
		if s.policy == abi.SCHED_FIFO || s.policy == abi.SCHED_RR {
			s.policy, s.priority = abi.SCHED_NORMAL, 0
		}
		s.nice = max(s.nice, 0)
	}
}

// SchedParams are what sched_setattr(2) sets.
type SchedParams struct {
	Policy      int32
	Priority    int32
	Nice        int32
	ResetOnFork bool
}

// Sched returns the scheduling parameters.
func (t *Task) Sched() SchedParams {
	t.sched.mu.Lock()
	defer t.sched.mu.Unlock()
	return SchedParams{t.sched.policy, t.sched.priority, t.sched.nice, t.sched.resetOnFork}
}

// PriorityRange returns sched_get_priority_min(2) and max.
func PriorityRange(policy int32) (lo, hi int32, err error) {
	switch policy {
	case abi.SCHED_FIFO, abi.SCHED_RR:
		return 1, 99, nil
	case abi.SCHED_NORMAL, abi.SCHED_BATCH, abi.SCHED_IDLE, abi.SCHED_DEADLINE:
		return 0, 0, nil
	}
	return 0, 0, abi.EINVAL
}

// SetSched changes o's parameters for t, with Linux's permission rules.
func (t *Task) SetSched(o *Task, p SchedParams) error {
	lo, hi, err := PriorityRange(p.Policy)
	if err != nil || p.Priority < lo || p.Priority > hi || p.Policy == abi.SCHED_DEADLINE {
		return abi.EINVAL
	}
	if !t.ownsSched(o) {
		return abi.EPERM
	}
	nice := t.Creds().HasCapIn(abi.CAP_SYS_NICE, t.k.RootUserNS) || t.Creds().HasCap(abi.CAP_SYS_NICE)
	o.sched.mu.Lock()
	defer o.sched.mu.Unlock()
	s := &o.sched
	if !nice {
		rt := p.Policy == abi.SCHED_FIFO || p.Policy == abi.SCHED_RR
		limit := o.tg.Limit(abi.RLIMIT_RTPRIO).Cur
		switch {
		case rt && (limit == 0 && p.Policy != s.policy || p.Priority > s.priority && uint64(p.Priority) > limit),
			!rt && p.Nice < s.nice && !o.niceAllowed(p.Nice),
			s.resetOnFork && !p.ResetOnFork:
			return abi.EPERM
		}
	}
	s.policy, s.priority, s.resetOnFork = p.Policy, p.Priority, p.ResetOnFork
	if lo == 0 {
		s.nice = min(max(p.Nice, -20), 19)
	}
	return nil
}

// niceAllowed is RLIMIT_NICE's rule.
func (t *Task) niceAllowed(nice int32) bool {
	return uint64(20-nice) <= t.tg.Limit(abi.RLIMIT_NICE).Cur
}

func (t *Task) ownsSched(o *Task) bool {
	c, oc := t.Creds(), o.Creds()
	return c.EUID == oc.EUID || c.EUID == oc.RUID || c.HasCapIn(abi.CAP_SYS_NICE, oc.UserNS)
}

// SetNice is setpriority(2) for one task.
func (t *Task) SetNice(o *Task, nice int32) error {
	nice = min(max(nice, -20), 19)
	if c, oc := t.Creds(), o.Creds(); c.RUID != oc.RUID && c.EUID != oc.EUID && c.EUID != oc.RUID && !c.HasCapIn(abi.CAP_SYS_NICE, oc.UserNS) {
		return abi.EPERM
	}
	o.sched.mu.Lock()
	defer o.sched.mu.Unlock()
	if nice < o.sched.nice && !o.niceAllowed(nice) && !t.Creds().HasCap(abi.CAP_SYS_NICE) {
		return abi.EACCES
	}
	o.sched.nice = nice
	return nil
}

// Affinity returns the processors that the task may use, as a bit mask.
func (t *Task) Affinity() []uint64 {
	t.sched.mu.Lock()
	defer t.sched.mu.Unlock()
	return append([]uint64(nil), t.sched.affinity...)
}

// SetAffinity is sched_setaffinity(2) for o; processors that do not exist are dropped.
func (t *Task) SetAffinity(o *Task, mask []uint64) error {
	if !t.ownsSched(o) {
		return abi.EPERM
	}
	n := make([]uint64, (t.k.CPUs+63)/64)
	any := uint64(0)
	for i := 0; i < t.k.CPUs; i++ {
		if i/64 < len(mask) {
			n[i/64] |= mask[i/64] & (1 << (i % 64))
		}
		any |= n[i/64]
	}
	if any == 0 {
		return abi.EINVAL
	}
	o.sched.mu.Lock()
	o.sched.affinity = n
	o.sched.mu.Unlock()
	o.tg.sigMu.Lock() // so that it has not released its context
	defer o.tg.sigMu.Unlock()
	o.placeContext()
	if o.inUser.Load() {
		o.pctx.Interrupt()
	}
	return nil
}

// placeContext tells the platform the task's affinity, which it may not be able to keep.
func (t *Task) placeContext() {
	p, ok := t.pctx.(platform.Placer)
	if !ok {
		return
	}
	mask := t.Affinity()
	n := 0
	for _, w := range mask {
		n += bits.OnesCount64(w)
	}
	if n == t.k.CPUs {
		mask = nil
	}
	p.SetProcessors(mask)
}

// FindTask returns the task with id pid for the caller (0: the caller), or ESRCH.
func (t *Task) FindTask(pid int32) (*Task, error) {
	if pid == 0 {
		return t, nil
	}
	if pid < 0 {
		return nil, abi.EINVAL
	}
	if o := t.k.TaskByID(t.PIDNS(), pid); o != nil {
		return o, nil
	}
	return nil, abi.ESRCH
}

// PriorityTargets returns the tasks that getpriority(2) and setpriority(2) mean.
func (t *Task) PriorityTargets(which, who int32) ([]*Task, error) {
	k := t.k
	switch which {
	case abi.PRIO_PROCESS:
		o, err := t.FindTask(who)
		if err != nil {
			return nil, abi.ESRCH
		}
		return []*Task{o}, nil
	case abi.PRIO_PGRP:
		k.tasksMu.RLock()
		defer k.tasksMu.RUnlock()
		pg := t.tg.pgrp
		if who != 0 {
			p := t.pid.Load().ns().byNumber[who]
			if p == nil || p.pgrp == nil {
				return nil, abi.ESRCH
			}
			pg = p.pgrp
		}
		var out []*Task
		for _, m := range pg.members {
			out = append(out, m.tasks...)
		}
		return out, nil
	case abi.PRIO_USER:
		uid := t.Creds().RUID
		if who != 0 {
			var ok bool
			if uid, ok = t.UserNS().KUID(uint32(who)); !ok {
				return nil, abi.ESRCH
			}
		}
		k.tasksMu.RLock()
		defer k.tasksMu.RUnlock()
		var out []*Task
		for _, p := range t.pid.Load().ns().byNumber {
			if p.task != nil && p.task.Creds().RUID == uid {
				out = append(out, p.task)
			}
		}
		if len(out) == 0 {
			return nil, abi.ESRCH
		}
		return out, nil
	}
	return nil, abi.EINVAL
}
