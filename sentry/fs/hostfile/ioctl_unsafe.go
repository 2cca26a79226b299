package hostfile

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"lazaret/sentry/uio"
	"lazaret/syscalls/abi"
)

// Sizes of what terminal ioctls carry.
const (
	termiosSize = 36 // struct termios of the kernel: 4 flags, c_line, 19 characters
	winsizeSize = 8
)

// ioctls that pass to the host: which way the argument goes and its size. Everything
// that acts on processes (TIOCSPGRP, TIOCSCTTY) or types for the user (TIOCSTI) does not.
var hostIoctls = map[uint32]struct {
	size int
	in   bool // the application gives it
	tty  bool
}{
	abi.FIONREAD:   {4, false, false},
	abi.TIOCOUTQ:   {4, false, true},
	abi.TCGETS:     {termiosSize, false, true},
	abi.TCSETS:     {termiosSize, true, true},
	abi.TCSETSW:    {termiosSize, true, true},
	abi.TCSETSF:    {termiosSize, true, true},
	abi.TIOCGWINSZ: {winsizeSize, false, true},
	abi.TIOCSWINSZ: {winsizeSize, true, true},
}

func hostIoctl(fd int, tty bool, cmd uint32, arg abi.Addr, mem uio.Memory) (uint64, error) {
	d, ok := hostIoctls[cmd]
	if !ok || d.tty && !tty {
		return 0, abi.ENOTTY
	}
	var buf [64]byte
	if d.in {
		if err := mem.CopyIn(arg, buf[:d.size]); err != nil {
			return 0, err
		}
	}
	if err := rawIoctl(fd, cmd, &buf); err != nil {
		return 0, err
	}
	if !d.in {
		if err := mem.CopyOut(arg, buf[:d.size]); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// rawIoctl calls ioctl(2) with a buffer that is larger than any request here needs.
func rawIoctl(fd int, cmd uint32, buf *[64]byte) error {
	for {
		// SAFETY: buf stays alive for the call and every request in this package
		// transfers at most 44 bytes.
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(cmd), uintptr(unsafe.Pointer(buf)))
		if errno == 0 {
			return nil
		}
		if errno != unix.EINTR {
			return abi.Errno(errno)
		}
	}
}
