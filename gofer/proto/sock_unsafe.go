package proto

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazaret/syscalls/abi"
)

// The calls are made here and not through x/sys because its wrappers allocate an address
// and a buffer for each message.

const cmsgHead = 16 // bytes of a cmsghdr

// control is a control message with descriptors.
type control struct {
	hdr unix.Cmsghdr
	fds [MaxFDs]int32
}

// sendmsg sends b, and descriptors with it.
func sendmsg(sock int, b []byte, fds []int32) (int, abi.Errno) {
	iov := unix.Iovec{Base: unsafe.SliceData(b)}
	iov.SetLen(len(b))
	msg := unix.Msghdr{Iov: &iov}
	msg.SetIovlen(1)
	var c control
	if n := copy(c.fds[:], fds); n > 0 {
		c.hdr.SetLen(cmsgHead + 4*n)
		c.hdr.Level = unix.SOL_SOCKET
		c.hdr.Type = unix.SCM_RIGHTS
		// SAFETY: c outlives the call below, which keeps msg and all it points to alive.
		msg.Control = (*byte)(unsafe.Pointer(&c))
		msg.SetControllen(cmsgHead + 4*n)
	}
	// SAFETY: msg is valid for the call, its buffers have the lengths given.
	n, _, e := unix.Syscall(unix.SYS_SENDMSG, uintptr(sock), uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL)
	return int(n), abi.Errno(e)
}

// recvmsg receives into b, and as many descriptors as fds has room for (the kernel drops
// others and sets MSG_CTRUNC; without room it drops them silently). With MSG_DONTWAIT in
// flags the scheduler is not told.
func recvmsg(sock int, b []byte, flags uintptr, fds []int32) (n, nfds int, got int32, errno abi.Errno) {
	iov := unix.Iovec{Base: unsafe.SliceData(b)}
	iov.SetLen(len(b))
	msg := unix.Msghdr{Iov: &iov}
	msg.SetIovlen(1)
	var c control
	room := min(len(fds), MaxFDs)
	if room > 0 {
		// SAFETY: as in sendmsg.
		msg.Control = (*byte)(unsafe.Pointer(&c))
		msg.SetControllen(cmsgHead + 4*room)
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
		return 0, 0, 0, abi.Errno(e)
	}
	if msg.Controllen > cmsgHead && c.hdr.Level == unix.SOL_SOCKET && c.hdr.Type == unix.SCM_RIGHTS {
		nfds = copy(fds, c.fds[:min((int(c.hdr.Len)-cmsgHead)/4, room)])
	}
	return int(r), nfds, msg.Flags, 0
}

// pollIn waits until there is something to receive, and reports whether there is, or a
// signal ended the wait. The scheduler is not told.
func pollIn(sock int, most time.Duration) (ready, interrupted bool) {
	pfd := unix.PollFd{Fd: int32(sock), Events: unix.POLLIN}
	ts := unix.NsecToTimespec(int64(most))
	// SAFETY: pfd and ts live for the call; there is no signal mask.
	n, _, e := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&pfd)), 1, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	return e == 0 && n > 0, e == unix.EINTR
}
