package tty

import (
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Device numbers (tty(4), console(4), ptmx(4)).
const (
	AuxMajor     = 5 // /dev/tty, /dev/console, /dev/ptmx
	TTYMinor     = 0
	ConsoleMinor = 1
	PTMXMinor    = 2
	PTSMajor     = 136
)

// DevTTY opens /dev/tty: the controlling terminal of the caller, ENXIO without one.
type DevTTY struct{}

// OpenDevice implements vfs.DeviceOpener.
func (DevTTY) OpenDevice(ctx *vfs.Context, f *vfs.File, _, _ uint32) (vfs.FileOps, error) {
	t, err := controllingTTY(ctx)
	if err != nil {
		return nil, err
	}
	f.Mode |= vfs.ModeStream
	return t.Open(ctx, f.Flags()|abi.O_NOCTTY)
}

// DevConsole opens /dev/console: the terminal T.
type DevConsole struct{ T *TTY }

// OpenDevice implements vfs.DeviceOpener.
func (d DevConsole) OpenDevice(ctx *vfs.Context, f *vfs.File, _, _ uint32) (vfs.FileOps, error) {
	if d.T == nil {
		return nil, abi.ENODEV
	}
	f.Mode |= vfs.ModeStream
	return d.T.Open(ctx, f.Flags()|abi.O_NOCTTY)
}

// Adopt makes t the controlling terminal of c, who leads a session without one, as login
// does. Boot calls it for the first process of a container with a terminal.
func (t *TTY) Adopt(c *kernel.Task) error {
	t.setKernel(c.Kernel())
	return c.SetControllingTTY(t, false)
}
