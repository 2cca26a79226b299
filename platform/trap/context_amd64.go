package trap

import (
	"fmt"
	"runtime"
	"sync/atomic"

	"lazaret/platform"
	"lazaret/platform/internal/machine"
)

// context implements platform.Context. Its goroutine is locked to its thread from its
// first Switch to Release, for its placement.
type context struct {
	p      *trapPlatform
	thread *stubThread
	fp     []byte // state to load before running; nil when the stub has it
	locked bool
	driver int32 // the thread that the task is locked to

	interrupted atomic.Bool
	running     atomic.Bool
	asking      atomic.Bool   // the Sentry waits for the thread's vectors
	watched     atomic.Bool   // by the platform's watchdog
	switches    atomic.Uint64 // how often Switch ran
	target      atomic.Uint64 // pid<<32 | tid of the stub thread, for Interrupt

	// Guarded by the platform's mutex.
	answering     *stubThread // where answers go; nil when there is no thread
	watchSwitches uint64
	watchTicks    int

	seat  seat
	frame [frameLen]byte // the last signal frame, copied out once
}

// Switch implements platform.Context.
func (c *context) Switch(as platform.AddressSpace, regs *platform.Regs) (platform.Event, error) {
	a, ok := as.(*addressSpace)
	if !ok {
		return platform.Event{}, fmt.Errorf("address space of another platform: %T", as)
	}
	if !c.locked {
		runtime.LockOSThread()
		c.locked = true
		c.p.takeSpare()
		c.driver = gettid()
	}
	c.p.place.enter(c)
	if c.thread == nil || c.thread.as != a {
		if err := c.bind(a); err != nil {
			return platform.Event{}, err
		}
	}
	machine.Sanitize(regs)
	if !canonical(regs.Rip) {
		// The handler could not load it. Linux's IRET does, to fault there.
		return generalProtection(), nil
	}
	c.switches.Add(1)
	// Either this sees a request made before now, or Interrupt sees a running thread.
	c.running.Store(true)
	ev, err := c.run(regs)
	c.running.Store(false)
	if err != nil {
		c.p.counters.lost.Add(1)
	} else {
		c.p.counters.events[ev.Kind].Add(1)
	}
	return ev, err
}

// run resumes the stub thread until something needs the kernel.
func (c *context) run(regs *platform.Regs) (platform.Event, error) {
	t := c.thread
	for {
		if c.interrupted.Swap(false) {
			regs.OrigRax = ^uint64(0)
			return platform.Event{Kind: platform.EventInterrupt}, nil
		}
		if t.dead.Load() {
			return platform.Event{}, errStubGone
		}
		c.loadFP()
		t.load(regs)
		spin := c.spin()
		awake := t.resume()
		quick, err := t.wait(spin)
		if err != nil {
			return platform.Event{}, err
		}
		c.seat.count(awake && quick)
		switch t.slot.word(slotKind).Load() {
		case kindNotRun:
			t.live = false
			c.p.counters.notRun.Add(1)
			continue // an interrupt came before the first instruction
		case kindCall:
			return c.gateCall(regs), nil
		}
		ev, done := c.stopped(regs)
		if done {
			return ev, nil
		}
		c.p.counters.dropped.Add(1) // a signal from outside
	}
}

// bind gives the context a stub thread in a.
func (c *context) bind(a *addressSpace) error {
	if c.thread != nil {
		if err := c.saveFP(); err != nil {
			return err
		}
		c.target.Store(0)
		c.setAnswering(nil)
		c.thread.end()
		c.thread = nil
	}
	t, err := a.newThread(c)
	if err != nil {
		return fmt.Errorf("make a stub thread: %w", err)
	}
	c.thread = t
	c.setAnswering(t)
	c.target.Store(uint64(a.pid)<<32 | uint64(t.tid))
	c.p.place.moved(c)
	return nil
}

// Interrupt implements platform.Context.
func (c *context) Interrupt() {
	c.interrupted.Store(true)
	if !c.running.Load() {
		return
	}
	c.signal()
	c.p.watch(c)
}

// signal interrupts the stub thread. Should it end just now, its ids name nothing, or at
// worst another stub thread, which drops the signal.
func (c *context) signal() {
	if t := c.target.Load(); t != 0 {
		tgkill(int32(t>>32), int32(uint32(t)), interruptSignal)
	}
}

// Release implements platform.Context.
func (c *context) Release() {
	c.p.place.leave(c)
	c.target.Store(0)
	c.setAnswering(nil)
	if c.thread != nil {
		c.thread.end()
		c.thread = nil
	}
	if c.locked && c.p.keepSpare() {
		runtime.UnlockOSThread()
	}
	c.locked = false
}

// maxSpare is how many of the Sentry's threads are kept for new contexts. The scheduler
// keeps every thread that a goroutine gives back for ever, so the drivers of the others
// end locked, which ends their threads.
const maxSpare = 32

func (p *trapPlatform) takeSpare() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spare = max(p.spare-1, 0)
}

func (p *trapPlatform) keepSpare() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spare >= maxSpare {
		return false
	}
	p.spare++
	return true
}

// canonical says whether the processor takes an address. Those of the upper half fault
// in the application as they should.
func canonical(a uint64) bool { return int64(a<<16)>>16 == int64(a) }
