package ptrace

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/platform/internal/machine"
)

// interruptSignal makes a running stub thread stop. Stubs ignore it while untraced.
const interruptSignal = unix.SIGURG

// errStubGone says that the thread's stub was killed.
var errStubGone = errors.New("the stub process has been killed")

// context implements platform.Context. Its first Switch locks the goroutine to its
// thread, until Release: ptrace requests must come from the tracing thread.
type context struct {
	p      *ptracePlatform
	thread *stubThread
	fp     []byte // state to load before running; nil when the stub has it
	locked bool
	tracer int32 // the thread that the task is locked to

	interrupted atomic.Bool
	running     atomic.Bool
	target      atomic.Uint64 // pid<<32 | tid of the stub thread, for Interrupt

	seat seat // guarded by the platform's placement, but for its atomics
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
		c.tracer = gettid()
	}
	// First, so that making a stub thread has no hand-overs to another processor either.
	c.p.place.enter(c)
	if c.thread == nil || c.thread.as != a {
		if err := c.bind(a); err != nil {
			return platform.Event{}, err
		}
	}
	if c.thread.dead.Load() {
		return platform.Event{}, errStubGone
	}
	if c.fp != nil {
		if err := c.loadFP(); err != nil {
			return platform.Event{}, err
		}
	}
	machine.Sanitize(regs)
	// Either this sees a request made before now, or Interrupt sees a running thread.
	c.running.Store(true)
	ev, err := c.run(regs)
	c.running.Store(false)
	c.p.count.countSwitch(&ev, err)
	return ev, err
}

// run resumes the stub thread until something needs the kernel.
func (c *context) run(regs *platform.Regs) (platform.Event, error) {
	if c.interrupted.Swap(false) {
		return platform.Event{Kind: platform.EventInterrupt}, nil
	}
	tid := c.thread.tid
	if e := setRegs(tid, regs); e != 0 {
		return platform.Event{}, c.lost(e)
	}
	for {
		if e := resumeEmu(tid); e != 0 {
			return platform.Event{}, c.lost(e)
		}
		status, err := waitStatus(tid)
		if err != nil {
			return platform.Event{}, c.lost(err)
		}
		if status == syscallStatus {
			return c.syscallStop(regs)
		}
		if !status.Stopped() {
			c.thread.forget()
			return platform.Event{}, errStubGone
		}
		if ev, done, err := c.signalStop(status, regs); done || err != nil {
			return ev, err
		}
		// A signal from outside: dropped.
	}
}

// lost turns a failed request into an error, after the stub's death has been seen.
func (c *context) lost(err error) error {
	if err == unix.ESRCH && gettid() == c.tracer {
		reap(c.thread.tid)
		c.thread.forget()
		return errStubGone
	}
	return fmt.Errorf("trace stub thread %d: %w", c.thread.tid, err)
}

// bind gives the context a stub thread in a.
func (c *context) bind(a *addressSpace) error {
	if c.thread != nil {
		if err := c.saveFP(); err != nil {
			return err
		}
		c.thread.end()
		c.thread = nil
	}
	t, err := a.newThread(c)
	if err != nil {
		return fmt.Errorf("make a stub thread: %w", err)
	}
	c.thread = t
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
	// Should the thread end just now, its ids name nothing, or at worst another stub
	// thread, which drops the signal.
	if t := c.target.Load(); t != 0 {
		tgkill(int32(t>>32), int32(uint32(t)), interruptSignal)
	}
}

// Release implements platform.Context.
func (c *context) Release() {
	if c.thread != nil {
		c.thread.end()
		c.thread = nil
	}
	c.p.place.leave(c)
	if c.locked {
		c.locked = false
		runtime.UnlockOSThread()
	}
}
