package trap

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// placement is the governor of hand-overs. A busy context's two threads, its driver in
// the Sentry and its stub thread, are in one of two states:
//
//   - together: pinned to one processor, and whoever waits sleeps. A hand-over costs two
//     switches of one processor; waking another processor would be ten times as dear.
//   - apart: on two processors, and whoever waits spins for a while. A hand-over costs
//     next to nothing, but takes both processors.
//
// Apart needs a processor that nobody else wants: it is tried for contexts that hand over
// all the time, when there are at most half as many as processors, and given up, for a while, when spinning mostly
// fails. Contexts that compute or sleep for longer than a tick are left to the host's
// scheduler.
type placement struct {
	all  unix.CPUSet
	cpus []int

	mu      sync.Mutex
	load    map[int]int // threads of seated contexts on each processor
	seated  []*context
	ticking bool

	counters struct {
		quick, slow, together, apart, seats atomic.Uint64
	}
}

// seat is a context's part of the placement.
type seat struct {
	pinned  atomic.Bool
	apart   atomic.Bool
	allowed atomic.Pointer[unix.CPUSet] // nil: all
	applied *unix.CPUSet                // what the stub thread runs under; the driver's own
	quick   atomic.Uint64               // hand-overs without sleep
	slow    atomic.Uint64

	// Guarded by placement.mu.
	driverCPU, stubCPU int
	index              int // in placement.seated
	seenQuick          uint64
	seenSlow           uint64
	hot                bool // it hands over so often that apart may pay
	penance            int  // ticks before it may be apart again
}

const (
	placementTick = 10 * time.Millisecond
	hotCalls      = 200 // a tick
	penanceTicks  = 20
)

func (p *placement) init() {
	p.load = make(map[int]int)
	if err := unix.SchedGetaffinity(0, &p.all); err != nil {
		return // nothing is pinned then
	}
	for i := range len(p.all) * 64 {
		if p.all.IsSet(i) {
			p.cpus = append(p.cpus, i)
		}
	}
}

// pin ties a thread to one processor.
func (p *placement) pin(tid int32, cpu int) bool {
	var set unix.CPUSet
	set.Set(cpu)
	return setAffinity(tid, &set)
}

// pinMapper puts the address space's mapper next to the caller, who will sleep.
//
// Preconditions: a.askMu is held.
func (p *placement) pinMapper(a *addressSpace) {
	if len(p.cpus) < 2 {
		return
	}
	if cpu := currentCPU(); cpu >= 0 && cpu != a.mapperCPU && p.pin(a.pid, cpu) {
		a.mapperCPU = cpu
	}
}

// spin returns how often the driver may look before it sleeps, and tells the stub.
func (c *context) spin() int {
	host, stub := 0, uint32(0)
	if c.seat.apart.Load() {
		host, stub = hostSpin, stubSpin
	}
	if t := c.thread; t.spin != stub {
		t.spin = stub
		t.slot.put32(slotSpin, stub)
	}
	return host
}

// count notes whether a hand-over and its answer did without sleep.
func (s *seat) count(quick bool) {
	if quick {
		s.quick.Add(1)
	} else {
		s.slow.Add(1)
	}
}

// enter is called before the context runs, by its driver.
func (p *placement) enter(c *context) {
	s := &c.seat
	allowed := s.allowed.Load()
	if s.pinned.Load() && allowed == s.applied || len(p.cpus) < 2 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.pinned.Load() {
		p.unseatLocked(c)
	}
	s.applied = allowed
	cpu := currentCPU()
	for _, other := range p.cpus {
		if s.mayUse(other) && (p.load[other] < p.load[cpu] || !s.mayUse(cpu)) {
			cpu = other
		}
	}
	s.driverCPU, s.stubCPU = cpu, cpu
	s.hot = false
	s.seenQuick, s.seenSlow = s.quick.Load(), s.slow.Load()
	s.index = len(p.seated)
	p.seated = append(p.seated, c)
	p.load[cpu] += 2
	p.counters.seats.Add(1)
	s.pinned.Store(true)
	p.pin(c.driver, cpu)
	p.pinStub(c)
	p.rearrangeLocked()
	if !p.ticking {
		p.ticking = true
		go p.run()
	}
}

func (p *placement) pinStub(c *context) {
	if tid := int32(uint32(c.target.Load())); tid != 0 {
		p.pin(tid, c.seat.stubCPU)
	}
}

// moved is called when the context has a new stub thread.
func (p *placement) moved(c *context) {
	if !c.seat.pinned.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.seat.pinned.Load() {
		p.pinStub(c)
	}
}

// leave is called when the context ends.
func (p *placement) leave(c *context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.seat.pinned.Load() {
		p.unseatLocked(c)
	}
}

// SetProcessors implements platform.Placer.
func (c *context) SetProcessors(mask []uint64) {
	var set *unix.CPUSet
	if mask != nil {
		set = new(unix.CPUSet)
		for n, cpu := range c.p.place.cpus {
			if n/64 < len(mask) && mask[n/64]>>(n%64)&1 != 0 {
				set.Set(cpu)
			}
		}
		if set.Count() == 0 {
			set = nil
		}
	}
	c.seat.allowed.Store(set)
}

func (s *seat) mayUse(cpu int) bool {
	set := s.allowed.Load()
	return set == nil || set.IsSet(cpu)
}

// unseatLocked lets the context's driver run anywhere and its stub thread where it may.
func (p *placement) unseatLocked(c *context) {
	s := &c.seat
	p.load[s.driverCPU]--
	p.load[s.stubCPU]--
	last := len(p.seated) - 1
	p.seated[s.index] = p.seated[last]
	p.seated[s.index].seat.index = s.index
	p.seated[last] = nil
	p.seated = p.seated[:last]
	s.pinned.Store(false)
	s.apart.Store(false)
	setAffinity(c.driver, &p.all)
	if tid := int32(uint32(c.target.Load())); tid != 0 {
		set := s.allowed.Load()
		if set == nil {
			set = &p.all
		}
		setAffinity(tid, set)
	}
}

// rearrangeLocked decides who is apart.
func (p *placement) rearrangeLocked() {
	room := len(p.seated)*2 <= len(p.cpus)
	for _, c := range p.seated {
		s := &c.seat
		// A program that chose its processors keeps its driver with it.
		if want := room && s.hot && s.penance == 0 && s.allowed.Load() == nil; want != s.apart.Load() {
			p.moveStubLocked(c, want)
		}
	}
}

// moveStubLocked puts a context's threads apart or together.
func (p *placement) moveStubLocked(c *context, apart bool) {
	s := &c.seat
	p.load[s.stubCPU]--
	s.stubCPU = s.driverCPU
	if apart {
		p.counters.apart.Add(1)
		best := -1
		for _, cpu := range p.cpus {
			if cpu != s.driverCPU && (best < 0 || p.load[cpu] < p.load[best]) {
				best = cpu
			}
		}
		s.stubCPU = best
	} else {
		p.counters.together.Add(1)
	}
	p.load[s.stubCPU]++
	s.apart.Store(apart)
	p.pinStub(c)
}

// run ticks until no context is pinned.
func (p *placement) run() {
	for {
		time.Sleep(placementTick)
		p.mu.Lock()
		p.tickLocked()
		if len(p.seated) == 0 {
			p.ticking = false
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
	}
}

func (p *placement) tickLocked() {
	for i := len(p.seated) - 1; i >= 0; i-- {
		c := p.seated[i]
		s := &c.seat
		quick, slow := s.quick.Load()-s.seenQuick, s.slow.Load()-s.seenSlow
		s.seenQuick += quick
		s.seenSlow += slow
		p.counters.quick.Add(quick)
		p.counters.slow.Add(slow)
		if quick+slow == 0 {
			p.unseatLocked(c)
			continue
		}
		s.hot = quick+slow >= hotCalls
		if s.penance > 0 {
			s.penance--
		}
		if s.apart.Load() && slow*4 > quick {
			s.penance = penanceTicks
		}
	}
	p.rearrangeLocked()
	p.balanceLocked()
}

// balanceLocked moves one context from the fullest to the emptiest processor.
func (p *placement) balanceLocked() {
	low, high := p.cpus[0], p.cpus[0]
	for _, cpu := range p.cpus {
		if p.load[cpu] < p.load[low] {
			low = cpu
		}
		if p.load[cpu] > p.load[high] {
			high = cpu
		}
	}
	if p.load[high]-p.load[low] < 4 {
		return
	}
	for _, c := range p.seated {
		s := &c.seat
		if s.driverCPU == high && !s.apart.Load() && s.mayUse(low) {
			p.load[high] -= 2
			p.load[low] += 2
			s.driverCPU, s.stubCPU = low, low
			p.pin(c.driver, low)
			p.pinStub(c)
			return
		}
	}
}
