package netstack

import (
	"context"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
)

// InwardPorts is how many bytes the ports have to which connections from the host's side of
// the namespace lead: a bit for each port of IPv4, then of IPv6.
const InwardPorts = 2 * (1 << 16) / 8

const (
	// maxInward bounds those connections; further ones wait in the host's queue.
	maxInward = 256

	// inwardLimit is how long a program inside may take to accept one.
	inwardLimit = 30 * time.Second
)

// inward has the ports of the loopback on which somebody listens, in memory that the host's
// kernel looks at: a connection to any other is refused there.
type inward struct {
	mu    sync.Mutex
	bits  []byte // nil: nobody looks
	count map[uint32]int
}

var (
	loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	loopback6 = netip.IPv6Loopback()
)

// v6Port is added to a port of IPv6.
const v6Port = 1 << 16

// heard are the ports that an endpoint listens on; none has two of a family.
type heard [2]uint32

// listens notes that e, which is bound, listens.
func (in *inward) listens(e *Endpoint) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.bits == nil || e.kind != TCP || e.heard != (heard{}) {
		return
	}
	a, err := e.ep.GetLocalAddress()
	if err != nil || a.Port == 0 {
		return
	}
	port := uint32(a.Port)
	ip := fromAddress(a.Addr).Unmap()
	on4, on6 := ip == loopback4, ip == loopback6
	switch {
	case !ip.IsValid(), ip == netip.IPv6Unspecified():
		on4, on6 = !e.v6 || !e.ep.SocketOptions().GetV6Only(), e.v6
	case ip == netip.IPv4Unspecified():
		on4 = true
	}
	if on4 {
		e.heard[0] = port
	}
	if on6 {
		e.heard[1] = port | v6Port
	}
	for _, p := range e.heard {
		if p != 0 {
			in.count[p]++
			in.bits[p/8] |= 1 << (p % 8)
		}
	}
}

// silent undoes listens.
func (in *inward) silent(e *Endpoint) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, p := range e.heard {
		if p == 0 {
			continue
		}
		if in.count[p]--; in.count[p] == 0 {
			delete(in.count, p)
			in.bits[p/8] &^= 1 << (p % 8)
		}
	}
	e.heard = heard{}
}

// takeInward takes over a listening socket of the host, and the memory in which its kernel
// reads what leads there.
func (s *Stack) takeInward(listener, ports int) error {
	bits, err := unix.Mmap(ports, 0, InwardPorts, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	_ = unix.Close(ports)
	if err == nil {
		err = unix.SetNonblock(listener, true)
	}
	if err != nil {
		_ = unix.Close(listener)
		return err
	}
	s.inward.mu.Lock()
	s.inward.bits, s.inward.count = bits, map[uint32]int{}
	s.inward.mu.Unlock()
	go s.serveInward(os.NewFile(uintptr(listener), "loopback"))
	return nil
}

// serveInward takes connections as long as the namespace is there.
func (s *Stack) serveInward(l *os.File) {
	defer l.Close()
	slots := make(chan struct{}, maxInward)
	for !s.Dead() {
		slots <- struct{}{}
		fd, err := accept(l)
		if err != nil {
			<-slots
			time.Sleep(10 * time.Millisecond) // too many descriptors, or it is gone already
			continue
		}
		go func() {
			defer func() { <-slots }()
			s.carryInward(hostStream{os.NewFile(uintptr(fd), "inward")})
		}()
	}
}

// accept waits for a connection.
func accept(l *os.File) (int, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	werr := raw.Read(func(lfd uintptr) bool {
		// Not x/sys': that asks for the protocol, a call more.
		fd, _, err = syscall.Accept4(int(lfd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		return err != syscall.EAGAIN && err != syscall.EINTR
	})
	if werr != nil {
		return -1, werr
	}
	return fd, err
}

// carryInward connects an accepted connection to the port inside that it was made to.
func (s *Stack) carryInward(host hostStream) {
	defer host.Close()
	to, err := host.target()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), inwardLimit)
	defer cancel()
	c, err := Dial(ctx, s.get(), tcpip.FullAddress{}, to)
	if err != nil {
		return // who listened has gone just now
	}
	Splice(host, c)
	_ = host.Close()
	c.Finish()
}

// hostStream is a connection of the host.
type hostStream struct{ *os.File }

// target is the port inside that the connection was made to.
func (h hostStream) target() (to tcpip.FullAddress, err error) {
	to = tcpip.FullAddress{NIC: Loopback, Addr: toAddress(loopback4)}
	h.control(func(fd int) {
		var local syscall.Sockaddr
		local, err = syscall.Getsockname(fd)
		switch a := local.(type) {
		case *syscall.SockaddrInet4:
			to.Port = uint16(a.Port)
		case *syscall.SockaddrInet6:
			to.Port = uint16(a.Port)
			if a.Addr == loopback6.As16() {
				to.Addr = toAddress(loopback6)
			}
		}
	})
	return to, err
}

// CloseWrite implements Stream.
func (h hostStream) CloseWrite() error {
	h.control(func(fd int) { _ = unix.Shutdown(fd, unix.SHUT_WR) })
	return nil
}

// Abort implements Stream. It wakes who reads or writes; the end is a reset if the peer has
// sent what nobody reads.
func (h hostStream) Abort() {
	h.control(func(fd int) { _ = unix.Shutdown(fd, unix.SHUT_RD) })
	_ = h.Close()
}

func (h hostStream) control(f func(fd int)) {
	if c, err := h.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { f(int(fd)) })
	}
}
