package trap

import (
	"slices"

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
	n := len(c.p.xstate.Init)
	off, ok := t.slot.offset(t.slot.get(slotFP), n)
	if !ok {
		return slices.Clone(c.p.xstate.Init), nil
	}
	return c.p.xstate.FromFrame(t.slot.mem[off : off+n]), nil
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
	copy(s.mem[slotFPArea:slotStack], c.fp)
	s.put(slotFP, s.addr(slotFPArea))
	c.fp = nil
}
