package hostinet

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"lazaret/sentry/uio"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// The calls are made as they are: x/sys decodes addresses and asks the host for more.

func hostErr(err error) error {
	if err == nil {
		return nil
	}
	if n, ok := err.(unix.Errno); ok {
		return abi.Errno(n)
	}
	return abi.EIO
}

// call makes a system call, again when a signal of the Go runtime disturbed it.
func call(nr, a, b, c, d, e uintptr) (int, error) {
	for {
		r, _, errno := unix.Syscall6(nr, a, b, c, d, e, 0)
		if errno == 0 {
			return int(r), nil
		}
		if errno != unix.EINTR {
			return 0, abi.Errno(errno)
		}
	}
}

func hostSocket(domain, typ, proto int) (int, error) {
	return call(unix.SYS_SOCKET, uintptr(domain), uintptr(typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC), uintptr(proto), 0, 0)
}

func hostBind(fd int, addr []byte) error { return withAddr(unix.SYS_BIND, fd, addr) }

func hostConnect(fd int, addr []byte) error { return withAddr(unix.SYS_CONNECT, fd, addr) }

// withAddr gives the host an address.
func withAddr(nr uintptr, fd int, addr []byte) error {
	if len(addr) == 0 {
		return abi.EINVAL
	}
	// SAFETY: addr is not empty and stays alive for the call, which reads it.
	_, err := call(nr, uintptr(fd), uintptr(unsafe.Pointer(&addr[0])), uintptr(len(addr)), 0, 0)
	return err
}

// maxName is the size of struct sockaddr_storage.
const maxName = 128

// hostName is getsockname(2) or getpeername(2).
func hostName(nr uintptr, fd int) ([]byte, error) {
	b := make([]byte, maxName)
	n := uint32(len(b))
	// SAFETY: b has n bytes; both stay alive for the call.
	_, err := call(nr, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), 0, 0)
	if err != nil {
		return nil, err
	}
	return b[:min(n, maxName)], nil
}

func hostAccept(fd int) (int, []byte, error) {
	b := make([]byte, maxName)
	n := uint32(len(b))
	// SAFETY: b has n bytes; both stay alive for the call.
	c, err := call(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, nil, err
	}
	return c, b[:min(n, maxName)], nil
}

// hostCount is an ioctl(2) that answers with an int.
func hostCount(fd int, cmd uintptr) (int32, error) {
	var n int32
	// SAFETY: n stays alive for the call, which writes it.
	_, err := call(unix.SYS_IOCTL, uintptr(fd), cmd, uintptr(unsafe.Pointer(&n)), 0, 0)
	return n, err
}

func hostSetOption(fd, level, name int, value []byte) error {
	var p unsafe.Pointer
	if len(value) > 0 {
		p = unsafe.Pointer(&value[0])
	}
	// SAFETY: p points to value, which stays alive for the call.
	_, err := call(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(p), uintptr(len(value)))
	return err
}

// hostGetOption fills value and returns how much of it the option has.
func hostGetOption(fd, level, name int, value []byte) (int, error) {
	var p unsafe.Pointer
	if len(value) > 0 {
		p = unsafe.Pointer(&value[0])
	}
	n := uint32(len(value))
	// SAFETY: p points to value, of n bytes; both stay alive for the call.
	_, err := call(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(p), uintptr(unsafe.Pointer(&n)))
	return int(min(n, uint32(len(value)))), err
}

// hostMessage is struct msghdr without its blocks. recv shortens name and control to what
// came, and sets flags.
type hostMessage struct {
	name, control []byte
	flags         int
}

func (m *hostMessage) header(bufs uio.Bufs) (*unix.Msghdr, []unix.Iovec) {
	hdr := &unix.Msghdr{}
	iovs := make([]unix.Iovec, 0, len(bufs))
	for _, b := range bufs {
		if len(b) == 0 {
			continue
		}
		// SAFETY: b stays alive in bufs for the call, and its length goes with it.
		v := unix.Iovec{Base: unsafe.SliceData(b)}
		v.SetLen(len(b))
		iovs = append(iovs, v)
	}
	if len(iovs) > 0 {
		hdr.Iov = &iovs[0]
		hdr.SetIovlen(len(iovs))
	}
	if len(m.name) > 0 {
		hdr.Name, hdr.Namelen = &m.name[0], uint32(len(m.name))
	}
	if len(m.control) > 0 {
		hdr.Control = &m.control[0]
		hdr.SetControllen(len(m.control))
	}
	return hdr, iovs
}

func (m *hostMessage) send(fd int, bufs uio.Bufs, flags int) (int, error) {
	hdr, _ := m.header(bufs)
	// SAFETY: hdr and what it points to stay alive for the call, which reads it.
	return call(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(hdr)), uintptr(flags), 0, 0)
}

func (m *hostMessage) recv(fd int, bufs uio.Bufs, flags int) (int, error) {
	hdr, _ := m.header(bufs)
	// SAFETY: hdr and what it points to stay alive for the call, which writes the blocks,
	// name and control within their sizes, and hdr.
	n, err := call(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(hdr)), uintptr(flags), 0, 0)
	if err != nil {
		return 0, err
	}
	m.name = m.name[:min(int(hdr.Namelen), len(m.name))]
	m.control = m.control[:min(int(hdr.Controllen), len(m.control))]
	m.flags = int(hdr.Flags)
	return n, nil
}

// pollNow returns which of events are true on fd now.
func pollNow(fd int, events wait.Mask) wait.Mask {
	p := []unix.PollFd{{Fd: int32(fd), Events: int16(events)}}
	zero := unix.Timespec{}
	for {
		n, err := unix.Ppoll(p, &zero, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return 0
		}
		return wait.Mask(uint16(p[0].Revents)) &^ abi.POLLNVAL
	}
}
