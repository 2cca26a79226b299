package trap

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/syscalls/abi"
)

// FPState implements platform.Context.
func (c *context) FPState() ([]byte, error) {
	if c.fp != nil {
		return slices.Clone(c.fp), nil
	}
	return c.readFP()
}

// readFP copies the image that the stub thread would load.
//
// TRUST: the application can write it; FromFrame makes any bytes a valid image.
func (c *context) readFP() ([]byte, error) {
	t := c.thread
	if t == nil || t.dead.Load() {
		return nil, abi.ESRCH
	}
	if t.live {
		if err := c.askVectors(); err != nil {
			return nil, abi.ESRCH
		}
	}
	n := len(c.p.xstate.Init)
	off, ok := t.slot.offset(t.slot.get(slotFP), n)
	if !ok {
		return slices.Clone(c.p.xstate.Init), nil
	}
	return c.p.xstate.FromFrame(t.slot.mem[off : off+n]), nil
}

// askLimit is when a thread that does not give its vectors is looked after as one that
// does not stop (watch_amd64.go).
const askLimit = 20 * time.Millisecond

// askVectors makes a thread that came through the gate store its vectors.
func (c *context) askVectors() error {
	t := c.thread
	c.asking.Store(true)
	t.tell(goSave)
	limit := unix.NsecToTimespec(int64(askLimit))
	_, err := t.waitFor(c.spin(), &limit, func() { c.p.watch(c) })
	c.asking.Store(false)
	if err != nil {
		return err
	}
	t.slot.word(slotGo).Store(0)
	t.live = false
	c.p.counters.asked.Add(1)
	return nil
}

// SetFPState implements platform.Context.
func (c *context) SetFPState(data []byte) error {
	if data == nil {
		c.fp = c.p.xstate.Init
		return nil
	}
	img, err := c.p.xstate.Check(data)
	if err != nil {
		return err
	}
	c.fp = img
	return nil
}

// saveFP takes the state out of a stub thread that is about to go.
func (c *context) saveFP() error {
	if c.fp != nil {
		return nil
	}
	fp, err := c.readFP()
	if err != nil {
		return err
	}
	c.fp = fp
	return nil
}

// loadFP gives the pending state to the stub thread.
func (c *context) loadFP() {
	if c.fp == nil {
		return
	}
	s := c.thread.slot
	copy(s.mem[slotFPArea:slotLocal], c.fp)
	s.put(slotFP, s.addr(slotFPArea))
	c.thread.live = false
	c.fp = nil
}
