//go:build amd64

package trap

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"lazaret/platform"
)

// forkParams is read by the template while it still has a copy of the Sentry's memory;
// template_amd64.s knows the offsets.
type forkParams struct {
	pid        int64           // 0, out: the template
	_          uint64          // 8, scratch: the caller's signal mask
	filter     *unix.SockFprog // 16: its seccomp filter
	allSignals uint64          // 24
	parent     int64           // 32: the Sentry's process
	helper     int64           // 40, out: the process in between, or a negated errno
	image      *byte           // 48: the code and data pages
	file       int64           // 56: the slots' file
	slotOff    int64           // 64: of the template's slot in it
	event      int64           // 72: the eventfd that it reports to
	_          [2]uint64       // 80, rlimit: no core dumps
	actions    *[65]sigaction  // 96
	capHeader  unix.CapUserHeader
	_          [2]unix.CapUserData // 112: none
	name       [16]byte            // 136
}

func forkTemplate(p *forkParams)

// codePage returns the machine code of the code page: that of stubCode, which is at least
// codeLen bytes long (the regions' marks are checked).
func codePage() *[codeLen]byte

// startTemplate clones the first stub from the Sentry and returns its process id. The
// caller is locked to its thread; when that thread ends, every stub dies.
func startTemplate(p *trapPlatform, image []byte, slot, event int) (int, error) {
	filter := mapperFilter(p.fsgs)
	params := &forkParams{
		filter:     &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]},
		allSignals: ^uint64(0),
		parent:     int64(p.parent),
		image:      &image[0],
		file:       int64(p.slots.fd),
		slotOff:    int64(slot) * slotLen,
		event:      int64(event),
		actions:    buildActions(),
		capHeader:  unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3},
	}
	copy(params.name[:], "stub")
	// SAFETY: the assembler keeps to the struct's layout, and its child processes touch
	// nothing of the Go runtime. All that params names is reachable until the call returns.
	forkTemplate(params)
	runtime.KeepAlive(filter)
	runtime.KeepAlive(image)
	if params.helper < 0 {
		return 0, fmt.Errorf("%w: clone a stub process: %v", platform.ErrUnsupported, unix.Errno(-params.helper))
	}
	if _, err := waitPID(int32(params.helper)); err != nil {
		return 0, fmt.Errorf("wait for the process that made the first stub: %w", err)
	}
	if params.pid <= 0 {
		return 0, fmt.Errorf("%w: clone a stub process: %v", platform.ErrUnsupported, unix.Errno(-params.pid))
	}
	return int(params.pid), nil
}
