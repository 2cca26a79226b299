package tty

import (
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// task returns the calling task, nil in kernel-internal work, which is under no job
// control.
func task(ctx *vfs.Context) *kernel.Task {
	if ctx == nil {
		return nil
	}
	t, _ := ctx.Sleeper.(*kernel.Task)
	return t
}

// checkBackground is nil for whom the terminal is in the foreground or not the controlling
// one; otherwise sig was sent and the call fails (EIO, ERESTARTSYS).
func (t *TTY) checkBackground(ctx *vfs.Context, sig int) error {
	if c := task(ctx); c != nil && c.ControllingTTY() == kernel.TTY(t) {
		return c.CheckBackground(t, sig)
	}
	return nil
}

// setControlling is TIOCSCTTY.
func (t *TTY) setControlling(ctx *vfs.Context, steal bool) error {
	c := task(ctx)
	if c == nil {
		return abi.EPERM
	}
	t.setKernel(c.Kernel())
	return c.SetControllingTTY(t, steal)
}

func (t *TTY) setKernel(k *kernel.Kernel) {
	t.mu.Lock()
	t.k = k
	t.mu.Unlock()
}

// adopt makes t the controlling terminal of a session leader without one that opens it
// for reading without O_NOCTTY.
func (t *TTY) adopt(ctx *vfs.Context, flags uint32) {
	if c := task(ctx); c != nil && flags&abi.O_NOCTTY == 0 && flags&abi.O_ACCMODE != abi.O_WRONLY && c.ControllingTTY() == nil {
		_ = t.setControlling(ctx, false) // EPERM: not a leader, or the terminal is taken
	}
}

func (t *TTY) kernel() *kernel.Kernel {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.k
}

func (t *TTY) signalForeground(sig int) {
	if k := t.kernel(); k != nil {
		k.SignalForeground(t, sig)
	}
}

func (t *TTY) hangupSession() {
	if k := t.kernel(); k != nil {
		k.HangupTTY(t)
	}
}

// LeaderExited implements kernel.TTY: the session has ended and the terminal is free for
// the next. As with a pseudoterminal on Linux, files that are open stay usable.
func (t *TTY) LeaderExited() {}

// controllingTTY returns the caller's terminal: ENXIO without one.
func controllingTTY(ctx *vfs.Context) (*TTY, error) {
	if c := task(ctx); c != nil {
		if t, ok := c.ControllingTTY().(*TTY); ok {
			return t, nil
		}
	}
	return nil, abi.ENXIO
}
