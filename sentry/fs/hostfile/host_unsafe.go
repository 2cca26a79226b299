package hostfile

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// epollWait waits without limit. It is epoll_pwait(2), which the Go runtime needs too:
// one host call less on the list than with epoll_wait.
func epollWait(epfd int, events []unix.EpollEvent) (int, error) {
	// SAFETY: events is not empty and stays alive for the call; the host writes at most
	// len(events) elements; there is no signal mask.
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), ^uintptr(0), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// RecvMsg and SendMsg are recvmsg(2) and sendmsg(2) of one list of blocks, without an address
// and without ancillary data: descriptors that somebody sends are not taken (MSG_CTRUNC).
// got are the flags of what was received.
func RecvMsg(fd int, blocks [][]byte, flags int) (n, got int, err error) {
	var hdr unix.Msghdr
	n, err = again(func() (int, error) { return msgCall(unix.SYS_RECVMSG, fd, &hdr, blocks, flags) })
	return n, int(hdr.Flags), err
}

// SendMsg is RecvMsg's other direction. No signal comes of it.
func SendMsg(fd int, blocks [][]byte, flags int) (int, error) {
	var hdr unix.Msghdr
	return again(func() (int, error) { return msgCall(unix.SYS_SENDMSG, fd, &hdr, blocks, flags|unix.MSG_NOSIGNAL) })
}

func msgCall(nr uintptr, fd int, hdr *unix.Msghdr, blocks [][]byte, flags int) (int, error) {
	iovs := make([]unix.Iovec, 0, len(blocks))
	for _, b := range blocks {
		if len(b) == 0 {
			continue
		}
		// SAFETY: b stays alive in blocks for the call, and its length goes with it.
		v := unix.Iovec{Base: unsafe.SliceData(b)}
		v.SetLen(len(b))
		iovs = append(iovs, v)
	}
	*hdr = unix.Msghdr{}
	if len(iovs) > 0 {
		hdr.Iov = &iovs[0]
		hdr.SetIovlen(len(iovs))
	}
	// SAFETY: hdr and what it points to stay alive for the call; the host writes only
	// into the blocks and into hdr.
	n, _, errno := unix.Syscall(nr, uintptr(fd), uintptr(unsafe.Pointer(hdr)), uintptr(flags))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
