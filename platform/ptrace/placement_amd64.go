package ptrace

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// placement keeps a busy context's two threads, the tracer and the stub, on one
// processor: a hand-over to another processor is six times as dear. Contexts that trap
// often are spread evenly over the processors and pinned; those that compute or sleep
// for longer than a tick are left to the host's scheduler.
type placement struct {
	all  unix.CPUSet
	cpus []int

	mu      sync.Mutex
	load    map[int]int // pinned contexts of each processor
	seated  []*context
	ticking bool
}

// seat is a context's part of the placement.
type seat struct {
	pinned   atomic.Bool
	switches atomic.Uint64
	allowed  atomic.Pointer[unix.CPUSet] // nil: all
	applied  *unix.CPUSet                // what the stub thread runs under; the tracer's own

	// Guarded by placement.mu.
	cpu    int
	tracer int32
	index  int    // in placement.seated
	seen   uint64 // switches at the last tick
}

const placementTick = 10 * time.Millisecond

func (p *placement) init() error {
	if err := unix.SchedGetaffinity(0, &p.all); err != nil {
		return err
	}
	p.load = make(map[int]int)
	for i := range len(p.all) * 64 {
		if p.all.IsSet(i) {
			p.cpus = append(p.cpus, i)
		}
	}
	return nil
}

// pin ties a thread to one processor.
func (p *placement) pin(tid int32, cpu int) bool {
	if len(p.cpus) < 2 || cpu < 0 {
		return false
	}
	var set unix.CPUSet
	set.Set(cpu)
	return setAffinity(tid, &set)
}

// enter is called before the context runs, on its tracer's thread.
func (p *placement) enter(c *context) {
	s := &c.seat
	s.switches.Add(1)
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
	s.cpu, s.tracer, s.seen = cpu, c.tracer, s.switches.Load()-1
	s.index = len(p.seated)
	p.seated = append(p.seated, c)
	p.load[cpu]++
	s.pinned.Store(true)
	p.pin(s.tracer, cpu)
	if tid := uint32(c.target.Load()); tid != 0 {
		p.pin(int32(tid), cpu)
	}
	if !p.ticking {
		p.ticking = true
		go p.run()
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

// moved is called when the context has a new stub thread.
func (p *placement) moved(c *context) {
	if !c.seat.pinned.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.seat.pinned.Load() {
		p.pin(c.thread.tid, c.seat.cpu)
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

// unseatLocked lets the context's tracer run anywhere and its stub thread where it may.
func (p *placement) unseatLocked(c *context) {
	s := &c.seat
	p.load[s.cpu]--
	last := len(p.seated) - 1
	p.seated[s.index] = p.seated[last]
	p.seated[s.index].seat.index = s.index
	p.seated[last] = nil
	p.seated = p.seated[:last]
	s.pinned.Store(false)
	setAffinity(s.tracer, &p.all)
	if tid := uint32(c.target.Load()); tid != 0 {
		set := s.allowed.Load()
		if set == nil {
			set = &p.all
		}
		setAffinity(int32(tid), set)
	}
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
		if n := c.seat.switches.Load(); n != c.seat.seen {
			c.seat.seen = n
		} else {
			p.unseatLocked(c)
		}
	}
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
	if p.load[high]-p.load[low] < 2 {
		return
	}
	for _, c := range p.seated {
		if c.seat.cpu == high && c.seat.mayUse(low) {
			p.load[high]--
			p.load[low]++
			c.seat.cpu = low
			p.pin(c.seat.tracer, low)
			if tid := uint32(c.target.Load()); tid != 0 {
				p.pin(int32(tid), low)
			}
			return
		}
	}
}
