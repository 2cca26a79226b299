package ptrace

import (
	"slices"

	"golang.org/x/sys/unix"

	"lazaret/platform/internal/machine"
	"lazaret/syscalls/abi"
)

const maxXstate = 64 << 10

// learnXstate reads the format of the host's XSAVE image from a stopped stub, and gives
// the stub the image of a new program.
func (p *ptracePlatform) learnXstate(pid int32) error {
	buf := make([]byte, maxXstate)
	n, e := getXstate(pid, buf)
	if e != 0 {
		return templateFailed(e)
	}
	p.xstate = machine.NewXstate(buf[:n], 0)
	if e := setXstate(pid, p.xstate.Init); e != 0 {
		return templateFailed(e)
	}
	return nil
}

// FPState implements platform.Context.
func (c *context) FPState() ([]byte, error) {
	if c.fp != nil {
		return slices.Clone(c.fp), nil
	}
	return c.readFP()
}

func (c *context) readFP() ([]byte, error) {
	buf := make([]byte, len(c.p.xstate.Init))
	if c.thread == nil {
		return nil, abi.ESRCH
	}
	n, e := getXstate(c.thread.tid, buf)
	if e != 0 {
		return nil, toErrno(e)
	}
	return buf[:n], nil
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

// saveFP takes the state out of a stub thread that is about to end.
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
func (c *context) loadFP() error {
	e := setXstate(c.thread.tid, c.fp)
	if e == unix.EINVAL || e == unix.EFAULT {
		// Checked before, so this is a processor that we do not know well enough.
		e = setXstate(c.thread.tid, c.p.xstate.Init)
	}
	if e != 0 {
		return c.lost(e)
	}
	c.fp = nil
	return nil
}
