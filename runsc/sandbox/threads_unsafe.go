package sandbox

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// allThreads makes a system call on every thread of this process. Credentials and
// no_new_privs belong to threads; Go offers this for binaries without cgo only.
func allThreads(nr, a, b uintptr) error {
	if _, _, errno := syscall.AllThreadsSyscall6(nr, a, b, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// capset gives every thread exactly these permitted and effective capabilities.
func capset(set uint64) error {
	head := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := &[2]unix.CapUserData{
		{Effective: uint32(set), Permitted: uint32(set)},
		{Effective: uint32(set >> 32), Permitted: uint32(set >> 32)},
	}
	// SAFETY: both structures outlive the call (KeepAlive below) and do not move: they
	// escape to the heap, and Go's collector does not move heap objects.
	err := allThreads(unix.SYS_CAPSET, uintptr(unsafe.Pointer(head)), uintptr(unsafe.Pointer(data)))
	runtime.KeepAlive(head)
	runtime.KeepAlive(data)
	return err
}
