package kernel

import (
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// OOMWitness is what a container's Data may be: it hears of the OOM killer before that acts.
type OOMWitness interface{ OOMKill() }

// OOMKills returns how often a process was killed for want of memory.
func (c *Container) OOMKills() uint64 { return c.oomKills.Load() }

// oomKill kills the task's process: a system call could not be given what its mappings promise,
// and cannot be begun anew.
func (t *Task) oomKill() {
	t.container.oomVictim.Store(t.tg)
	t.tg.oomKill()
}

func (tg *ThreadGroup) oomKill() {
	tg.sigMu.Lock()
	dying := tg.groupExit
	tg.sigMu.Unlock()
	if c := tg.Container(); !dying { // by another of its threads
		c.oomKills.Add(1)
		if w, ok := c.Data.(OOMWitness); ok {
			w.OOMKill()
		}
	}
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	tg.unkillable = false
	tg.killLocked(abi.SIGKILL)
}

// faultOOM makes room for a fault: the process of the container that has most memory is
// killed, as on Linux (proc(5), oom_score), and the fault is begun anew when it is dead. While one
// dies no other is chosen.
func (t *Task) faultOOM() {
	c := t.container
	victim := c.oomVictim.Load()
	if !victim.dying() {
		next := c.largest(t.tg)
		if !c.oomVictim.CompareAndSwap(victim, next) {
			return // another task chose
		}
		next.oomKill()
		victim = next
	}
	if victim == t.tg {
		return
	}
	// Only what kills this task too ends the wait early.
	_ = wait.Until(killable{t}, &victim.exitQ, wait.All, noDeadline, func() bool { return !victim.dying() })
}

// dying reports whether the group was killed and is not dead yet. The nil group is not.
func (tg *ThreadGroup) dying() bool {
	if tg == nil {
		return false
	}
	_, dead := tg.Dead()
	return !dead
}

// largest returns the group with the most memory, oom_score_adj counted in thousandths of the
// limit (proc(5)); own when there is nothing larger.
func (c *Container) largest(own *ThreadGroup) *ThreadGroup {
	best, most := own, own.badness()
	for _, tg := range c.k.Groups(c.pidNS) {
		if tg.Container() != c {
			continue
		}
		if n := tg.badness(); n > most {
			best, most = tg, n
		}
	}
	return best
}

// badness is what the group's end would give back; below 0 for one that may not be chosen.
func (tg *ThreadGroup) badness() int64 {
	adj := int64(tg.OOMScoreAdj())
	m := tg.Leader().MM()
	if adj <= minOOMScoreAdj || m == nil || !m.TryIncUsers() {
		return -1
	}
	defer m.DecUsers()
	total, _ := tg.Container().Memory()
	return max(int64(m.Stats().VmRSS)+adj*int64(total/1000), 0)
}

const minOOMScoreAdj = -1000
