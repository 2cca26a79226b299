package kernel

import (
	"sync"

	"lazaret/sentry/kernel/clock"
	"lazaret/syscalls/abi"
)

// Tags of the clock timers that a process owns.
const (
	tagReal = iota
	tagCPU
)

// cpuTimer is a timer on processor time.
type cpuTimer struct{ nextNS, intervalNS int64 } // nextNS 0: disarmed

// intervalTimers are a process's interval timers (setitimer(2)) and all its timers on
// processor time. Processor time is not watched while nobody uses it: cpu fires after
// what is left would have passed, looks, and sleeps until the process runs again.
type intervalTimers struct {
	tg   *ThreadGroup
	real clock.Timer
	cpu  clock.Timer

	mu       sync.Mutex
	virtual  cpuTimer // user time
	prof     cpuTimer // user and system time
	posix    map[*PosixTimer]*cpuTimer
	lastSeen int64
}

func (tg *ThreadGroup) initTimers() {
	it := &tg.itimers
	it.tg = tg
	it.real = clock.Timer{Owner: it, ClockID: abi.CLOCK_MONOTONIC, Tag: tagReal}
	it.cpu = clock.Timer{Owner: it, ClockID: abi.CLOCK_MONOTONIC, Tag: tagCPU}
	tg.armCPULimit()
}

// stopTimers ends all timers of a dying process.
func (tg *ThreadGroup) stopTimers() {
	tg.clearPosixTimers()
	tg.k.Timers.SetAbs(&tg.itimers.real, 0, 0)
	it := &tg.itimers
	it.mu.Lock()
	it.virtual, it.prof, it.posix = cpuTimer{}, cpuTimer{}, nil
	it.mu.Unlock()
	tg.k.Timers.SetAbs(&it.cpu, 0, 0)
}

// TimerFired is clock.Owner.
func (it *intervalTimers) TimerFired(t *clock.Timer, _ uint64) {
	if t.Tag == tagReal {
		_ = it.tg.SendInfo(&abi.Siginfo{Signo: abi.SIGALRM, Code: abi.SI_KERNEL})
		return
	}
	it.checkCPU()
}

// Setitimer is setitimer(2).
func (t *Task) Setitimer(which int32, s clock.Setting) (clock.Setting, error) {
	it := &t.tg.itimers
	if which == abi.ITIMER_REAL {
		return t.k.Timers.Set(&it.real, s), nil
	}
	c := it.cpuTimer(which)
	if c == nil {
		return clock.Setting{}, abi.EINVAL
	}
	now := it.now(which)
	it.mu.Lock()
	old := c.setting(now)
	*c = cpuTimer{intervalNS: s.IntervalNS}
	if s.LeftNS > 0 {
		c.nextNS = now + s.LeftNS
	}
	it.mu.Unlock()
	it.checkCPU()
	return old, nil
}

// Getitimer is getitimer(2).
func (t *Task) Getitimer(which int32) (clock.Setting, error) {
	it := &t.tg.itimers
	if which == abi.ITIMER_REAL {
		return t.k.Timers.Get(&it.real), nil
	}
	c := it.cpuTimer(which)
	if c == nil {
		return clock.Setting{}, abi.EINVAL
	}
	now := it.now(which)
	it.mu.Lock()
	defer it.mu.Unlock()
	return c.setting(now), nil
}

// Alarm is alarm(2): it returns the seconds that were left, rounded as Linux does.
func (t *Task) Alarm(seconds uint32) uint32 {
	old := t.k.Timers.Set(&t.tg.itimers.real, clock.Setting{LeftNS: int64(seconds) * abi.NsecPerSec})
	s, ns := old.LeftNS/abi.NsecPerSec, old.LeftNS%abi.NsecPerSec
	if s == 0 && ns != 0 || ns >= abi.NsecPerSec/2 {
		s++
	}
	return uint32(s)
}

func (it *intervalTimers) cpuTimer(which int32) *cpuTimer {
	switch which {
	case abi.ITIMER_VIRTUAL:
		return &it.virtual
	case abi.ITIMER_PROF:
		return &it.prof
	}
	return nil
}

func (it *intervalTimers) now(which int32) int64 {
	u, s := it.tg.usage.totals(it.tg)
	if which == abi.ITIMER_VIRTUAL {
		return u
	}
	return u + s
}

func (c *cpuTimer) setting(now int64) clock.Setting {
	s := clock.Setting{IntervalNS: c.intervalNS}
	if c.nextNS != 0 {
		s.LeftNS = max(c.nextNS-now, 1)
	}
	return s
}

// expire reports whether the timer is due and sets it for its next period.
func (c *cpuTimer) expire(now int64) uint64 {
	if c.nextNS == 0 || now < c.nextNS {
		return 0
	}
	if c.intervalNS == 0 {
		c.nextNS = 0
		return 1
	}
	n := (now-c.nextNS)/c.intervalNS + 1
	c.nextNS += n * c.intervalNS
	return uint64(n)
}

// left lowers *least to the time until c is due.
func (c *cpuTimer) left(now int64, least *int64) {
	if c.nextNS != 0 {
		*least = min(*least, max(c.nextNS-now, 1))
	}
}

const never = int64(1) << 62

// checkCPU fires what is due and sets the watch for the rest.
func (it *intervalTimers) checkCPU() {
	tg := it.tg
	user, system := tg.usage.totals(tg)
	least := never
	var sigs []int
	var due []*PosixTimer
	var counts []uint64
	it.mu.Lock()
	if it.virtual.expire(user) > 0 {
		sigs = append(sigs, abi.SIGVTALRM)
	}
	if it.prof.expire(user+system) > 0 {
		sigs = append(sigs, abi.SIGPROF)
	}
	it.virtual.left(user, &least)
	it.prof.left(user+system, &least)
	for p, c := range it.posix {
		now := p.cpu.read()
		if n := c.expire(now); n > 0 {
			due, counts = append(due, p), append(counts, n)
		}
		c.left(now, &least)
	}
	progress := user+system != it.lastSeen
	it.lastSeen = user + system
	it.mu.Unlock()
	if sig := it.cpuLimit(user+system, &least); sig != 0 {
		sigs = append(sigs, sig)
	}
	for _, sig := range sigs {
		_ = tg.SendInfo(&abi.Siginfo{Signo: int32(sig), Code: abi.SI_KERNEL})
	}
	for i, p := range due {
		p.TimerFired(nil, counts[i])
	}
	if least == never {
		return
	}
	if !progress && !tg.running() {
		tg.usage.cpuTimersIdle.Store(true)
		return
	}
	wait := max(least/int64(max(tg.live.Load(), 1)), 1_000_000)
	tg.k.Timers.Set(&it.cpu, clock.Setting{LeftNS: wait})
}

// cpuLimit is RLIMIT_CPU: SIGKILL at the hard limit, SIGXCPU at the soft one, which moves
// on by a second then (check_process_timers of Linux; getrlimit(2) shows it).
func (it *intervalTimers) cpuLimit(now int64, least *int64) int {
	lim := &it.tg.limits
	lim.mu.Lock()
	defer lim.mu.Unlock()
	l := &lim.v[abi.RLIMIT_CPU]
	if l.Cur >= maxCPULimit {
		return 0
	}
	if l.Max < maxCPULimit {
		hard := int64(l.Max) * abi.NsecPerSec
		if now >= hard {
			return abi.SIGKILL
		}
		*least = min(*least, hard-now)
	}
	sig := 0
	if now >= int64(l.Cur)*abi.NsecPerSec {
		sig = abi.SIGXCPU
		l.Cur++
	}
	*least = min(*least, max(int64(l.Cur)*abi.NsecPerSec-now, 1))
	return sig
}

// maxCPULimit in seconds: above is as good as no limit.
const maxCPULimit = 1 << 32

// armCPULimit starts to watch RLIMIT_CPU.
func (tg *ThreadGroup) armCPULimit() {
	if tg.Limit(abi.RLIMIT_CPU).Cur < maxCPULimit {
		tg.k.Timers.Set(&tg.itimers.cpu, clock.Setting{LeftNS: 1_000_000})
	}
}

// running reports whether a task of the group is in application code.
func (tg *ThreadGroup) running() bool {
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	for _, t := range tg.tasks {
		if t.inUser.Load() {
			return true
		}
	}
	return false
}

// wakeCPUTimers sets the watch again when a task of an idle process runs.
func (g *groupUsage) wakeCPUTimers(tg *ThreadGroup) {
	if g.cpuTimersIdle.Load() && g.cpuTimersIdle.CompareAndSwap(true, false) {
		tg.k.Timers.Set(&tg.itimers.cpu, clock.Setting{LeftNS: 1_000_000})
	}
}

func (it *intervalTimers) setPosix(p *PosixTimer, s clock.Setting, abs bool) clock.Setting {
	now := p.cpu.read()
	it.mu.Lock()
	old := clock.Setting{}
	if c := it.posix[p]; c != nil {
		old = c.setting(now)
	}
	if s.LeftNS == 0 {
		delete(it.posix, p)
	} else {
		if it.posix == nil {
			it.posix = map[*PosixTimer]*cpuTimer{}
		}
		c := &cpuTimer{nextNS: s.LeftNS, intervalNS: s.IntervalNS}
		if !abs {
			c.nextNS += now
		}
		it.posix[p] = c
	}
	it.mu.Unlock()
	it.checkCPU()
	return old
}

func (it *intervalTimers) getPosix(p *PosixTimer) clock.Setting {
	now := p.cpu.read()
	it.mu.Lock()
	defer it.mu.Unlock()
	if c := it.posix[p]; c != nil {
		return c.setting(now)
	}
	return clock.Setting{}
}
