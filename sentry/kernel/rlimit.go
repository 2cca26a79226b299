package kernel

import (
	"sync"

	"lazaret/sentry/mm"
	"lazaret/syscalls/abi"
)

// limits are the resource limits of a process.
type limits struct {
	mu sync.Mutex
	v  [abi.RLIM_NLIMITS]abi.Rlimit
}

func (l *limits) get(res int) abi.Rlimit {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.v[res]
}

func (l *limits) copyFrom(o *limits) {
	o.mu.Lock()
	v := o.v
	o.mu.Unlock()
	l.v = v
}

// DefaultLimits are what Linux gives to its first process.
func DefaultLimits() [abi.RLIM_NLIMITS]abi.Rlimit {
	var v [abi.RLIM_NLIMITS]abi.Rlimit
	for i := range v {
		v[i] = abi.Rlimit{Cur: abi.RlimInfinity, Max: abi.RlimInfinity}
	}
	v[abi.RLIMIT_STACK].Cur = 8 << 20
	v[abi.RLIMIT_CORE].Cur = 0
	v[abi.RLIMIT_NPROC] = abi.Rlimit{Cur: 63000, Max: 63000}
	v[abi.RLIMIT_NOFILE] = abi.Rlimit{Cur: 1024, Max: 1 << 20}
	v[abi.RLIMIT_MEMLOCK] = abi.Rlimit{Cur: 8 << 20, Max: 8 << 20}
	v[abi.RLIMIT_SIGPENDING] = abi.Rlimit{Cur: 63000, Max: 63000}
	v[abi.RLIMIT_MSGQUEUE] = abi.Rlimit{Cur: 819200, Max: 819200}
	v[abi.RLIMIT_NICE] = abi.Rlimit{}
	v[abi.RLIMIT_RTPRIO] = abi.Rlimit{}
	return v
}

// Prlimit is prlimit(2): pid 0 is the caller, new nil only asks.
func (t *Task) Prlimit(pid int32, res uint32, new *abi.Rlimit) (abi.Rlimit, error) {
	if res >= abi.RLIM_NLIMITS || new != nil && new.Cur > new.Max {
		return abi.Rlimit{}, abi.EINVAL
	}
	tg := t.tg
	if pid != 0 {
		o := t.k.TaskByID(t.PIDNS(), pid)
		if o == nil {
			return abi.Rlimit{}, abi.ESRCH
		}
		if err := t.mayPrlimit(o); err != nil {
			return abi.Rlimit{}, err
		}
		tg = o.tg
	}
	tg.limits.mu.Lock()
	old := tg.limits.v[res]
	if new != nil {
		if new.Max > old.Max && !t.Creds().HasCap(abi.CAP_SYS_RESOURCE) ||
			res == abi.RLIMIT_NOFILE && new.Max > maxOpenFiles {
			tg.limits.mu.Unlock()
			return abi.Rlimit{}, abi.EPERM
		}
		tg.limits.v[res] = *new
	}
	tg.limits.mu.Unlock()
	if new != nil {
		tg.limitChanged(res)
	}
	return old, nil
}

// maxOpenFiles is fs.nr_open.
const maxOpenFiles = 1 << 20

// limitChanged passes a limit, or a capability that lifts it, on to who enforces it.
func (tg *ThreadGroup) limitChanged(res uint32) {
	switch res {
	case abi.RLIMIT_AS, abi.RLIMIT_DATA, abi.RLIMIT_STACK, abi.RLIMIT_MEMLOCK:
		for _, t := range tg.Tasks() {
			if m := t.mm.Load(); m != nil {
				m.SetLimits(tg.MemoryLimits())
				return
			}
		}
	case abi.RLIMIT_CPU:
		tg.armCPULimit()
	}
}

// MemoryLimits returns what the address space enforces.
func (tg *ThreadGroup) MemoryLimits() mm.Limits {
	t := tg.Leader()
	return mm.Limits{
		AS: tg.Limit(abi.RLIMIT_AS).Cur, Data: tg.Limit(abi.RLIMIT_DATA).Cur,
		Stack: tg.Limit(abi.RLIMIT_STACK).Cur, Memlock: tg.Limit(abi.RLIMIT_MEMLOCK).Cur,
		LockUnlimited: t.Creds().HasCapIn(abi.CAP_IPC_LOCK, t.k.RootUserNS),
	}
}

func (t *Task) mayPrlimit(o *Task) error {
	c, oc := t.Creds(), o.Creds()
	if t.tg == o.tg || c.RUID == oc.EUID && c.RUID == oc.SUID && c.RUID == oc.RUID &&
		c.RGID == oc.EGID && c.RGID == oc.SGID && c.RGID == oc.RGID || c.HasCapIn(abi.CAP_SYS_RESOURCE, oc.UserNS) {
		return nil
	}
	return abi.EPERM
}
