package hostinet

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lazaret/sentry/fs/hostfile"
	"lazaret/sentry/socket"
	"lazaret/sentry/socket/inet"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// maxSockets bounds the host's descriptors that a namespace has for sockets: the Sentry
// needs others for files.
const maxSockets = 8192

// Namespace is the host's network as a sandbox has it.
type Namespace struct {
	// Devices shows the host's interfaces, as they were when the sandbox was created.
	Devices *inet.Namespace

	notifier *hostfile.Notifier
	sockets  atomic.Int32
}

// NewNamespace returns the host's network. n tells when its sockets are ready.
func NewNamespace(devices *inet.Namespace, n *hostfile.Notifier) *Namespace {
	return &Namespace{Devices: devices, notifier: n}
}

// Family makes AF_INET or AF_INET6 sockets.
type Family struct {
	NS *Namespace
	V6 bool
}

// check refuses what is not on the list: streams and datagrams of TCP, UDP and ICMP echo. A
// raw socket would need a capability on the host, which the Sentry has not.
func (f Family) check(typ, protocol int) (proto int, err error) {
	icmp := unix.IPPROTO_ICMP
	if f.V6 {
		icmp = unix.IPPROTO_ICMPV6
	}
	switch {
	case protocol < 0 || protocol >= protocolMax:
		return 0, abi.EINVAL
	case typ == abi.SOCK_STREAM && (protocol == 0 || protocol == unix.IPPROTO_TCP):
		return unix.IPPROTO_TCP, nil
	case typ == abi.SOCK_DGRAM && (protocol == 0 || protocol == unix.IPPROTO_UDP):
		return unix.IPPROTO_UDP, nil
	case typ == abi.SOCK_DGRAM && protocol == icmp:
		return icmp, nil
	case typ == abi.SOCK_STREAM || typ == abi.SOCK_DGRAM || typ == abi.SOCK_RAW && protocol == 0:
		return 0, abi.EPROTONOSUPPORT
	case typ == abi.SOCK_RAW:
		return 0, abi.EPERM
	}
	return 0, abi.ESOCKTNOSUPPORT
}

// protocolMax is IPPROTO_MAX.
const protocolMax = 263

// NewSocket implements socket.Family.
func (f Family) NewSocket(_ *vfs.Context, typ, protocol int) (socket.Socket, error) {
	proto, err := f.check(typ, protocol)
	if err != nil {
		return nil, err
	}
	domain := abi.AF_INET
	if f.V6 {
		domain = abi.AF_INET6
	}
	if err := f.NS.take(); err != nil {
		return nil, err
	}
	fd, err := hostSocket(domain, typ, proto)
	if err != nil {
		f.NS.sockets.Add(-1)
		return nil, err
	}
	return f.NS.newSocket(fd, socket.Identity{Family: domain, Type: typ, Protocol: proto})
}

// take counts a socket that is about to be made: ENFILE.
func (n *Namespace) take() error {
	if n.sockets.Add(1) > maxSockets {
		n.sockets.Add(-1)
		return abi.ENFILE
	}
	return nil
}

// newSocket makes a Socket of a descriptor that it owns from now on and that was counted.
func (n *Namespace) newSocket(fd int, id socket.Identity) (*Socket, error) {
	s := &Socket{ns: n, id: id, fd: fd}
	var err error
	if s.watch, err = n.notifier.Watch(fd, s); err != nil {
		_ = unix.Close(fd)
		n.sockets.Add(-1)
		return nil, err
	}
	return s, nil
}

var (
	_ socket.Binder     = (*Socket)(nil)
	_ socket.Connector  = (*Socket)(nil)
	_ socket.Listener   = (*Socket)(nil)
	_ socket.Optioner   = (*Socket)(nil)
	_ socket.Accepted   = (*Socket)(nil)
	_ socket.Timeouter  = (*Socket)(nil)
	_ hostfile.Handler  = (*Socket)(nil)
	_ socket.Identified = (*Socket)(nil)
	_ vfs.Ioctler       = (*Socket)(nil)
)
