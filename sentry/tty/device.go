package tty

import (
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Device numbers (tty(4), console(4), ptmx(4)).
const (
	AuxMajor  = 5 // /dev/tty, /dev/console, /dev/ptmx
	TTYMinor  = 0
	PTMXMinor = 2
	PTSMajor  = 136
)

// DevTTY opens /dev/tty: the controlling terminal of the caller, ENXIO without one.
type DevTTY struct{}

// OpenDevice implements vfs.DeviceOpener.
func (DevTTY) OpenDevice(ctx *vfs.Context, f *vfs.File, _, _ uint32) (vfs.FileOps, error) {
	t, err := controllingTTY(ctx)
	if err != nil {
		return nil, err
	}
	f.Mode |= vfs.ModeStream | vfs.ModeAsync
	return t.Open(ctx, f.Flags()|abi.O_NOCTTY)
}
