package server

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// fchmodat2 is called here because x/sys tries other calls first when flags are set.
func fchmodat2(dir int, name string, mode uint32, flags int) error {
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	// SAFETY: p is a NUL-terminated string that lives for the call.
	_, _, e := unix.Syscall6(sysFchmodat2, uintptr(dir), uintptr(unsafe.Pointer(p)), uintptr(mode), uintptr(flags), 0, 0)
	if e != 0 {
		return e
	}
	return nil
}
