package netproxy

import (
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// hostSocket is a socket of the host: non-blocking, and waited for by the Go runtime.
type hostSocket struct{ f *os.File }

func newHostSocket(fd int) *hostSocket { return &hostSocket{os.NewFile(uintptr(fd), "socket")} }

// sockaddr gives an address the form that system calls take.
func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	zone, _ := strconv.ParseUint(a.Addr().Zone(), 10, 32) // of a resolver on a link
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port()), ZoneId: uint32(zone)}
}

func family(ip netip.Addr) int {
	if ip.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// dial makes a socket that is connected to a, which takes as long as the host's kernel
// tries. The error is a unix.Errno.
func dial(typ, proto int, a netip.AddrPort) (*hostSocket, error) {
	fd, err := unix.Socket(family(a.Addr()), typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return nil, err
	}
	s := newHostSocket(fd)
	// Asking again tells how it went (connect(2)).
	to := sockaddr(a)
	werr := s.waitWrite(func(fd int) bool {
		err = unix.Connect(fd, to)
		return err != unix.EINPROGRESS && err != unix.EALREADY && err != unix.EINTR
	})
	if err == unix.EISCONN {
		err = nil
	}
	if werr != nil {
		err = werr
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *hostSocket) waitWrite(try func(fd int) bool) error {
	c, err := s.f.SyscallConn()
	if err != nil {
		return err
	}
	return c.Write(func(fd uintptr) bool { return try(int(fd)) })
}

func (s *hostSocket) waitRead(try func(fd int) bool) error {
	c, err := s.f.SyscallConn()
	if err != nil {
		return err
	}
	return c.Read(func(fd uintptr) bool { return try(int(fd)) })
}

// control runs a call that does not wait.
func (s *hostSocket) control(f func(fd int)) {
	if c, err := s.f.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { f(int(fd)) })
	}
}

// Read implements netstack.Stream.
func (s *hostSocket) Read(b []byte) (int, error) { return s.f.Read(b) }

// Write implements netstack.Stream.
func (s *hostSocket) Write(b []byte) (int, error) { return s.f.Write(b) }

// CloseWrite sends FIN.
func (s *hostSocket) CloseWrite() error {
	s.control(func(fd int) { _ = unix.Shutdown(fd, unix.SHUT_WR) })
	return nil
}

// Abort ends the connection with a reset.
func (s *hostSocket) Abort() {
	s.reset()
	s.close()
}

// reset makes the coming close a reset.
func (s *hostSocket) reset() {
	s.control(func(fd int) {
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	})
}

func (s *hostSocket) noDelay() {
	s.control(func(fd int) { _ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) })
}

// accept waits for a connection.
func (s *hostSocket) accept() (*hostSocket, error) {
	nfd, err := -1, error(nil)
	werr := s.waitRead(func(fd int) bool {
		// Not x/sys': that asks for the protocol, a call more.
		nfd, _, err = syscall.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		return err != syscall.EAGAIN && err != syscall.EINTR
	})
	if werr != nil {
		return nil, werr
	}
	if err != nil {
		return nil, err
	}
	return newHostSocket(nfd), nil
}

// recv waits for a datagram. b comes from the pool when there is one, and is the caller's
// to give back.
func (s *hostSocket) recv() (b *[]byte, n int, from netip.AddrPort, err error) {
	werr := s.waitRead(func(fd int) bool {
		b = buffers.Get().(*[]byte)
		var sa syscall.Sockaddr
		n, sa, err = syscall.Recvfrom(fd, *b, 0) // not x/sys', as in accept
		if err == syscall.EAGAIN || err == syscall.EINTR {
			buffers.Put(b)
			b = nil
			return false
		}
		from = fromSockaddr(sa)
		return true
	})
	if werr != nil {
		err = werr
	}
	if err != nil && b != nil {
		buffers.Put(b)
		b = nil
	}
	return b, n, from, err
}

func fromSockaddr(sa syscall.Sockaddr) netip.AddrPort {
	switch a := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	return netip.AddrPort{}
}

// send sends a datagram to the peer, or drops it when the host has no room.
func (s *hostSocket) send(b []byte) error {
	_, err := s.f.Write(b)
	return cause(err)
}

func (s *hostSocket) close() { _ = s.f.Close() }
