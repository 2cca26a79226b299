package proto

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"lazaret/syscalls/abi"
)

// The calls are made here and not through x/sys because its wrappers allocate an address
// and a buffer for each message.

const fdLen = 20 // a cmsghdr and one descriptor: no room for a second one

// control is a control message with one descriptor.
type control struct {
	hdr unix.Cmsghdr
	fd  int32
	_   int32
}

// sendmsg sends b, and fd with it unless it is negative.
func sendmsg(sock int, b []byte, fd int) (int, abi.Errno) {
	iov := unix.Iovec{Base: unsafe.SliceData(b)}
	iov.SetLen(len(b))
	msg := unix.Msghdr{Iov: &iov}
	msg.SetIovlen(1)
	var c control
	if fd >= 0 {
		c.hdr.SetLen(fdLen)
		c.hdr.Level = unix.SOL_SOCKET
		c.hdr.Type = unix.SCM_RIGHTS
		c.fd = int32(fd)
		// SAFETY: c outlives the call below, which keeps msg and all it points to alive.
		msg.Control = (*byte)(unsafe.Pointer(&c))
		msg.SetControllen(fdLen)
	}
	// SAFETY: msg is valid for the call, its buffers have the lengths given.
	n, _, e := unix.Syscall(unix.SYS_SENDMSG, uintptr(sock), uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL)
	return int(n), abi.Errno(e)
}

// recvmsg receives into b, and at most one descriptor if wantFD (else any that come are
// dropped by the kernel). With MSG_DONTWAIT in flags the scheduler is not told.
func recvmsg(sock int, b []byte, flags uintptr, wantFD bool) (n, fd int, got int32, errno abi.Errno) {
	iov := unix.Iovec{Base: unsafe.SliceData(b)}
	iov.SetLen(len(b))
	msg := unix.Msghdr{Iov: &iov}
	msg.SetIovlen(1)
	var c control
	if wantFD {
		// SAFETY: as in sendmsg.
		msg.Control = (*byte)(unsafe.Pointer(&c))
		msg.SetControllen(fdLen)
	}
	flags |= unix.MSG_CMSG_CLOEXEC
	var r uintptr
	var e unix.Errno
	// SAFETY: msg is valid for the call, its buffers have the lengths given.
	if flags&unix.MSG_DONTWAIT != 0 {
		r, _, e = unix.RawSyscall(unix.SYS_RECVMSG, uintptr(sock), uintptr(unsafe.Pointer(&msg)), flags)
	} else {
		r, _, e = unix.Syscall(unix.SYS_RECVMSG, uintptr(sock), uintptr(unsafe.Pointer(&msg)), flags)
	}
	if e != 0 {
		return 0, -1, 0, abi.Errno(e)
	}
	fd = -1
	if msg.Controllen >= fdLen && c.hdr.Level == unix.SOL_SOCKET && c.hdr.Type == unix.SCM_RIGHTS {
		fd = int(c.fd)
	}
	return int(r), fd, msg.Flags, 0
}
