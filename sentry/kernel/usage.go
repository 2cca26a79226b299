package kernel

import (
	"sync"
	"sync/atomic"

	"lazaret/sentry/mm"
	"lazaret/syscalls/abi"
)

// nsPerTick is the length of a clock tick as times(2) and SIGCHLD count (USER_HZ 100).
const nsPerTick = 10_000_000

// cpuAccount counts a task's processor time in nanoseconds. User time is what passes
// inside Switch, system time what passes outside without sleeping.
type cpuAccount struct {
	user, system atomic.Int64
	userSince    atomic.Int64 // start of the Switch that runs now, 0 outside
	minflt       atomic.Int64
	switches     atomic.Int64
	io           ioAccount
}

func (a *cpuAccount) enterUser(now, kernelNS int64) {
	a.system.Add(max(kernelNS, 0))
	a.userSince.Store(now)
}

func (a *cpuAccount) leaveUser(now int64) {
	a.user.Add(max(now-a.userSince.Load(), 0))
	a.userSince.Store(0)
}

func (a *cpuAccount) leave(kernelNS int64) { a.system.Add(max(kernelNS, 0)) }

// read returns user and system time, including the Switch that runs now.
func (a *cpuAccount) read() (user, system int64) {
	user, system = a.user.Load(), a.system.Load()
	if since := a.userSince.Load(); since != 0 {
		user += max(nowNS()-since, 0)
	}
	return user, system
}

// usageSum is an amount of used resources.
type usageSum struct {
	user, system, minflt, switches int64
	maxRSS                         int64 // KiB
	io                             IOCounts
}

func (u *usageSum) add(o usageSum) {
	u.user += o.user
	u.system += o.system
	u.minflt += o.minflt
	u.switches += o.switches
	u.maxRSS = max(u.maxRSS, o.maxRSS)
	u.io.add(o.io)
}

func (u *usageSum) rusage() abi.Rusage {
	return abi.Rusage{
		Utime: abi.NsecToTimeval(u.user), Stime: abi.NsecToTimeval(u.system),
		Maxrss: u.maxRSS, Minflt: u.minflt, Nvcsw: u.switches,
	}
}

// groupUsage counts what a process has used.
type groupUsage struct {
	cpuTimersIdle atomic.Bool // CPU timers wait for the process to run again

	mu       sync.Mutex
	gone     usageSum // released tasks
	children usageSum // reaped children, theirs included
	maxRSS   int64
}

func (t *Task) usageNow() usageSum {
	u, s := t.acct.read()
	return usageSum{user: u, system: s, minflt: t.acct.minflt.Load(), switches: t.acct.switches.Load(), io: t.acct.io.read()}
}

// add takes over the counts of a task that is released.
func (g *groupUsage) add(a *cpuAccount) {
	u, s := a.read()
	g.mu.Lock()
	g.gone.add(usageSum{user: u, system: s, minflt: a.minflt.Load(), switches: a.switches.Load(), io: a.io.read()})
	g.mu.Unlock()
}

// self returns what the process has used. Its sigMu is not held.
func (g *groupUsage) self(tg *ThreadGroup) usageSum {
	g.mu.Lock()
	sum := g.gone
	sum.maxRSS = g.maxRSS
	g.mu.Unlock()
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	for _, t := range tg.tasks {
		sum.add(t.usageNow())
	}
	return sum
}

// totals returns user and system time of the process.
func (g *groupUsage) totals(tg *ThreadGroup) (user, system int64) {
	s := g.self(tg)
	return s.user, s.system
}

// both returns what the process and its reaped children have used, as wait4 reports.
func (g *groupUsage) both(tg *ThreadGroup) abi.Rusage {
	s := g.self(tg)
	g.mu.Lock()
	s.add(g.children)
	g.mu.Unlock()
	return s.rusage()
}

// reap adds a child that was waited for.
func (g *groupUsage) reap(c *ThreadGroup) {
	s := c.usage.self(c)
	c.usage.mu.Lock()
	s.add(c.usage.children)
	c.usage.mu.Unlock()
	g.mu.Lock()
	g.gone.io.add(s.io) // a process has its children's reads and writes among its own
	s.io = IOCounts{}
	g.children.add(s)
	g.mu.Unlock()
}

func (tg *ThreadGroup) noteMaxRSS(m *mm.MM) {
	if m == nil {
		return
	}
	kib := int64(peakRSS(m) / 1024)
	tg.usage.mu.Lock()
	tg.usage.maxRSS = max(tg.usage.maxRSS, kib)
	tg.usage.mu.Unlock()
}

// Rusage is getrusage(2).
func (t *Task) Rusage(who int32) (abi.Rusage, error) {
	tg := t.tg
	switch who {
	case abi.RUSAGE_SELF:
		tg.noteMaxRSS(t.mm.Load())
		s := tg.usage.self(tg)
		return s.rusage(), nil
	case abi.RUSAGE_THREAD:
		s := t.usageNow()
		s.maxRSS = int64(peakRSS(t.mm.Load()) / 1024)
		return s.rusage(), nil
	case abi.RUSAGE_CHILDREN:
		tg.usage.mu.Lock()
		defer tg.usage.mu.Unlock()
		return tg.usage.children.rusage(), nil
	}
	return abi.Rusage{}, abi.EINVAL
}

// CPUTimes returns user and system time of the process and of its reaped children, in
// nanoseconds (times(2), /proc/PID/stat).
func (tg *ThreadGroup) CPUTimes() (user, system, childUser, childSystem int64) {
	s := tg.usage.self(tg)
	tg.usage.mu.Lock()
	defer tg.usage.mu.Unlock()
	return s.user, s.system, tg.usage.children.user, tg.usage.children.system
}

// CPUTimes returns user and system time of the task in nanoseconds.
func (t *Task) CPUTimes() (user, system int64) { return t.acct.read() }

// Faults returns the page faults that the kernel served for the task.
func (t *Task) Faults() int64 { return t.acct.minflt.Load() }
