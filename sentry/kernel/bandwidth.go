package kernel

import (
	"sync"
	"time"

	"lazaret/sentry/kernel/clock"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Bandwidth is how much processor time a container may use: QuotaNS in each PeriodNS, of
// all processors together (cpu.max of cgroups(7)). A QuotaNS of 0 is no limit.
type Bandwidth struct{ QuotaNS, PeriodNS int64 }

// Throttling is what nr_periods, nr_throttled and throttled_usec of cpu.stat count.
type Throttling struct {
	Periods, Throttled uint64
	ThrottledNS        int64
}

// Bounds of a period, as Linux has them, and of the time
// between two looks at what was used.
const (
	minBandwidthNS = 1_000_000
	maxBandwidthNS = 1_000_000_000
	minLookNS      = 1_000_000
)

// bandwidth keeps a container within its Bandwidth. A timer fires when the quota could be
// used up at the earliest and at the end of a period; what was used beyond is taken off the
// next one. While no task runs there is no timer: gateIdle makes the next one set it.
type bandwidth struct {
	c     *Container
	timer clock.Timer

	mu      sync.Mutex
	limit   Bandwidth
	startNS int64 // of the period
	leftNS  int64 // of the quota; a debt is negative
	seen    usedCPU
	seenNS  int64 // when
	sinceNS int64 // throttled since, 0: not
	counts  Throttling
}

// usedCPU is processor time in nanoseconds: of a container and of the whole sandbox.
type usedCPU struct{ own, all int64 }

// SetBandwidth sets the limit; values out of bounds are brought into them.
func (c *Container) SetBandwidth(l Bandwidth) {
	b := &c.bandwidth
	if l.QuotaNS > 0 {
		l.PeriodNS = min(max(l.PeriodNS, minBandwidthNS), maxBandwidthNS)
		l.QuotaNS = max(l.QuotaNS, minBandwidthNS)
	} else {
		l = Bandwidth{}
	}
	used, now := c.usedCPU(), nowNS()
	b.mu.Lock()
	defer b.mu.Unlock()
	if l == b.limit {
		return
	}
	b.limit = l
	b.startNS, b.leftNS, b.seen, b.seenNS = now, l.QuotaNS, used, now
	b.releaseLocked(now)
	c.gate.And(^gateIdle)
	c.k.Timers.Set(&b.timer, clock.Setting{LeftNS: b.nextLocked(now)})
}

// Bandwidth returns the limit.
func (c *Container) Bandwidth() Bandwidth {
	c.bandwidth.mu.Lock()
	defer c.bandwidth.mu.Unlock()
	return c.bandwidth.limit
}

// Throttling returns how often and how long the container was held back.
func (c *Container) Throttling() Throttling {
	b := &c.bandwidth
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.counts
	if b.sinceNS != 0 {
		t.ThrottledNS += nowNS() - b.sinceNS
	}
	return t
}

// TimerFired is clock.Owner.
func (b *bandwidth) TimerFired(*clock.Timer, uint64) {
	used, now := b.c.usedCPU(), nowNS()
	b.mu.Lock()
	if b.limit.QuotaNS == 0 {
		b.mu.Unlock()
		return
	}
	progress := used.own != b.seen.own
	hold := b.advanceLocked(now, used)
	if b.sinceNS == 0 && !progress && b.idleLocked() {
		b.mu.Unlock()
		return
	}
	b.c.k.Timers.Set(&b.timer, clock.Setting{LeftNS: b.nextLocked(now)})
	b.mu.Unlock()
	if hold {
		b.c.interruptUsers()
	}
}

// advanceLocked takes in what was used until now and reports whether the container has just
// come to its limit.
func (b *bandwidth) advanceLocked(now int64, used usedCPU) (hold bool) {
	b.leftNS -= charge(b.seen, used, now-b.seenNS, b.c.k.CPUs)
	b.seen, b.seenNS = used, now
	fresh := (now - b.startNS) / b.limit.PeriodNS
	if fresh > 0 {
		b.startNS += fresh * b.limit.PeriodNS
		b.leftNS = min(b.leftNS+fresh*b.limit.QuotaNS, b.limit.QuotaNS)
		b.counts.Periods += uint64(fresh)
	}
	if b.leftNS > 0 {
		b.releaseLocked(now)
		return false
	}
	if fresh > 0 || b.sinceNS == 0 {
		b.counts.Throttled++
	}
	if b.sinceNS != 0 {
		return false
	}
	b.sinceNS = now
	b.c.gate.Or(gateThrottled)
	return true
}

// charge returns what a container used between two looks that are passed nanoseconds apart.
// Time is counted by the clock, so that tasks which wait for a processor of the host seem to
// run: together they ran no longer than the processors did.
func charge(seen, used usedCPU, passed int64, cpus int) int64 {
	own, all := max(used.own-seen.own, 0), used.all-seen.all
	if could := passed * int64(cpus); all > could && all > 0 {
		return int64(float64(own) * float64(could) / float64(all))
	}
	return own
}

// nextLocked returns how long the container may go on without a look; 0 without a limit.
func (b *bandwidth) nextLocked(now int64) int64 {
	if b.limit.QuotaNS == 0 {
		return 0
	}
	end := max(b.startNS+b.limit.PeriodNS-now, 1)
	if b.leftNS <= 0 {
		return end
	}
	busy := int64(max(min(int(b.c.tasks.Load()), b.c.k.CPUs), 1))
	return min(end, max(b.leftNS/busy, minLookNS))
}

// idleLocked stops looking unless a task runs.
func (b *bandwidth) idleLocked() bool {
	b.c.gate.Or(gateIdle)
	for _, t := range b.c.allTasks() { // who comes later finds gateIdle
		if t.inUser.Load() {
			b.c.gate.And(^gateIdle)
			return false
		}
	}
	return true
}

// resume looks again: a task of an idle container is about to run.
func (b *bandwidth) resume() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.c.gate.And(^gateIdle)&gateIdle == 0 || b.limit.QuotaNS == 0 {
		return
	}
	now := nowNS()
	if now-b.startNS >= b.limit.PeriodNS {
		b.startNS, b.leftNS = now, b.limit.QuotaNS
	}
	b.c.k.Timers.Set(&b.timer, clock.Setting{LeftNS: b.nextLocked(now)})
}

// releaseLocked lets the container go on.
func (b *bandwidth) releaseLocked(now int64) {
	if b.sinceNS == 0 {
		return
	}
	b.counts.ThrottledNS += now - b.sinceNS
	b.sinceNS = 0
	b.c.gate.And(^gateThrottled)
	b.c.gateQ.Notify(wait.All)
}

// stop ends the timer of a container that is forgotten.
func (b *bandwidth) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limit = Bandwidth{}
	b.c.k.Timers.Set(&b.timer, clock.Setting{})
}

func (b *bandwidth) init(c *Container) {
	b.c = c
	b.timer = clock.Timer{Owner: b, ClockID: abi.CLOCK_MONOTONIC}
}

// goneCPU is the processor time of tasks that have ended.
type goneCPU struct{ user, system int64 }

// leaveCPU takes over the time of a task that ends: its container keeps it, whoever waits
// for the process.
func (t *Task) leaveCPU() {
	c := t.container
	c.mu.Lock()
	defer c.mu.Unlock()
	u, s := t.acct.read()
	c.gone.user += u
	c.gone.system += s
	t.cpuLeft = true
}

// CPUTimes returns the user and system time of all tasks that the container ever had.
func (c *Container) CPUTimes() (user, system time.Duration) {
	tasks := c.allTasks()
	c.mu.Lock()
	defer c.mu.Unlock()
	u, s := c.gone.user, c.gone.system
	for _, t := range tasks {
		if !t.cpuLeft {
			tu, ts := t.acct.read()
			u, s = u+tu, s+ts
		}
	}
	return time.Duration(u), time.Duration(s)
}

// usedCPU returns the processor time of the container and of all.
func (c *Container) usedCPU() usedCPU {
	c.k.tasksMu.RLock()
	all := make([]*Container, 0, len(c.k.containers))
	for _, o := range c.k.containers {
		all = append(all, o)
	}
	c.k.tasksMu.RUnlock()
	var sum usedCPU
	for _, o := range all {
		u, s := o.CPUTimes()
		sum.all += int64(u + s)
		if o == c {
			sum.own = int64(u + s)
		}
	}
	return sum
}
