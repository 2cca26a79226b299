//go:build amd64

package ptrace

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazaret/platform"
)

// forkParams is read by the template while it still has a copy of the Sentry's memory;
// stub_amd64.s knows the offsets.
type forkParams struct {
	pid        int64           // out: the template
	_          uint64          // scratch: the caller's signal mask
	filter     *unix.SockFprog // its seccomp filter
	allSignals uint64
	parent     int64     // the Sentry's process
	helper     int64     // out: the process in between, or a negated errno
	ignore     [4]int    // sigaction: SIG_IGN
	_          [2]uint64 // rlimit: no core dumps
	codeLen    int64
	capHeader  unix.CapUserHeader
	_          [2]unix.CapUserData // none
	name       [16]byte
	_          uint64 // signal mask: none blocked
}

func forkTemplate(p *forkParams)

// startTemplate clones the first stub from the Sentry and returns its process id. The
// caller is locked to its thread; when that thread ends, every stub dies.
func startTemplate() (int, error) {
	filter := stubFilter()
	p := &forkParams{
		filter:     &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]},
		allSignals: ^uint64(0),
		parent:     int64(unix.Getpid()),
		ignore:     [4]int{1},
		codeLen:    stubCodeSz,
		capHeader:  unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3},
	}
	copy(p.name[:], "stub")
	// SAFETY: the assembler keeps to the struct's layout, and its child processes touch
	// nothing of the Go runtime. p and the filter are reachable until the call returns.
	forkTemplate(p)
	runtime.KeepAlive(filter)
	if p.helper < 0 {
		return 0, fmt.Errorf("%w: clone a stub process: %v", platform.ErrUnsupported, unix.Errno(-p.helper))
	}
	if _, err := waitStatus(int32(p.helper)); err != nil {
		return 0, fmt.Errorf("wait for the process that made the first stub: %w", err)
	}
	if p.pid <= 0 {
		return 0, fmt.Errorf("%w: clone a stub process: %v", platform.ErrUnsupported, unix.Errno(-p.pid))
	}
	return int(p.pid), nil
}

// keepStopsQuiet sets SA_NOCLDSTOP on the process's SIGCHLD action: or every stop of a
// stub would interrupt some thread of the Sentry with a signal.
func keepStopsQuiet() error {
	var act struct {
		handler  uintptr
		flags    uint64
		restorer uintptr
		mask     uint64
	}
	// SAFETY: act has the layout of the kernel's struct sigaction and outlives both calls.
	_, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD), 0,
		uintptr(unsafe.Pointer(&act)), 8, 0, 0)
	if e != 0 {
		return e
	}
	const noCldStop = 1
	act.flags |= noCldStop
	_, _, e = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD),
		uintptr(unsafe.Pointer(&act)), 0, 8, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}
