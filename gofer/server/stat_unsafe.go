package server

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// statEntry is statAt for a name as getdents64 left it, with the NUL behind it: x/sys would
// copy each.
func statEntry(dir int, name []byte, st *unix.Statx_t) error {
	if n := len(name); n == 0 || cap(name) == n || name[:n+1][n] != 0 {
		return unix.EINVAL
	}
	const flags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	for {
		// SAFETY: name is NUL-terminated (checked above); it and st live for the call.
		_, _, e := unix.Syscall6(unix.SYS_STATX, uintptr(dir), uintptr(unsafe.Pointer(&name[0])), flags, statMask,
			uintptr(unsafe.Pointer(st)), 0)
		switch e {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return e
		}
	}
}

// readlinkEntry is readlinkat(2) for such a name.
func readlinkEntry(dir int, name, buf []byte) (int, error) {
	if n := len(name); n == 0 || cap(name) == n || name[:n+1][n] != 0 || len(buf) == 0 {
		return 0, unix.EINVAL
	}
	// SAFETY: name is NUL-terminated (checked above); it and buf live for the call.
	k, _, e := unix.Syscall6(unix.SYS_READLINKAT, uintptr(dir), uintptr(unsafe.Pointer(&name[0])),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(k), nil
}
