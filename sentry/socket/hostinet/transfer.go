package hostinet

import (
	"golang.org/x/sys/unix"

	"lazaret/sentry/socket"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Flags that the host is given as they are.
const (
	sendFlags = abi.MSG_OOB | abi.MSG_MORE | abi.MSG_EOR | abi.MSG_DONTROUTE | abi.MSG_CONFIRM
	recvFlags = abi.MSG_OOB | abi.MSG_PEEK | abi.MSG_TRUNC | abi.MSG_ERRQUEUE
)

// maxControl bounds ancillary data in either direction.
const maxControl = 1024

// maxBlocks is the host's UIO_MAXIOV.
const maxBlocks = 1024

// sendable are the kinds of ancillary data that a sender may give, with the size of each:
// 0 for any up to 4 bytes.
var sendable = []struct{ level, typ, size int }{
	{abi.SOL_IP, unix.IP_TTL, 0}, {abi.SOL_IP, unix.IP_TOS, 0}, {abi.SOL_IP, unix.IP_PKTINFO, 12},
	{abi.SOL_IPV6, unix.IPV6_PKTINFO, 20}, {abi.SOL_IPV6, unix.IPV6_HOPLIMIT, 0}, {abi.SOL_IPV6, unix.IPV6_TCLASS, 0},
	{unix.SOL_UDP, unix.UDP_SEGMENT, 2},
}

// controlIn gives ancillary data the host's form: EINVAL for what is not on the list. As on
// Linux, that of other levels is not looked at.
// TRUST: the data is the application's.
func controlIn(list []socket.Cmsg) ([]byte, error) {
	var b []byte
	for _, c := range list {
		if c.Level != abi.SOL_IP && c.Level != abi.SOL_IPV6 && c.Level != unix.SOL_UDP {
			continue
		}
		known := false
		for _, k := range sendable {
			known = known || k.level == c.Level && k.typ == c.Type && (k.size == len(c.Data) || k.size == 0 && len(c.Data) <= 4)
		}
		if !known {
			return nil, abi.EINVAL
		}
		var ok bool
		if b, ok = socket.AppendCmsg(b, maxControl, c.Level, c.Type, c.Data); !ok {
			return nil, abi.ENOBUFS
		}
	}
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	return b, nil
}

// Send implements socket.Socket.
func (s *Socket) Send(_ *vfs.Context, m *socket.Message) (int, error) {
	control, err := controlIn(m.Control.Cmsgs)
	if err != nil {
		return 0, err
	}
	bufs := m.Bufs
	if len(bufs) > maxBlocks {
		if s.id.Type != abi.SOCK_STREAM {
			return 0, abi.EMSGSIZE
		}
		bufs = bufs[:maxBlocks]
	}
	msg := hostMessage{name: m.Name, control: control}
	n, err := msg.send(s.fd, bufs, m.Flags&sendFlags|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if err == nil {
		m.Control.Release() // descriptors mean nothing here, as on Linux
	}
	if err == abi.EAGAIN || err == nil && n < m.Bufs.Len() {
		s.watch.Arm(wait.Out)
	}
	return n, err
}

// Recv implements socket.Socket.
func (s *Socket) Recv(_ *vfs.Context, m *socket.Message) (int, error) {
	var name [128]byte
	var control [maxControl]byte
	bufs := m.Bufs
	if len(bufs) > maxBlocks {
		bufs = bufs[:maxBlocks]
	}
	msg := hostMessage{name: name[:], control: control[:]}
	n, err := msg.recv(s.fd, bufs, m.Flags&recvFlags|unix.MSG_DONTWAIT)
	if err != nil {
		if err == abi.EAGAIN {
			s.watch.Arm(wait.In | wait.RdHup | wait.Err)
		}
		return 0, err
	}
	// An edge-triggered epoll waits for the next bytes. If some are there already it hears of
	// them at once, which is an event too many and not one too few.
	s.watch.Arm(wait.In | wait.RdHup)
	m.Flags = msg.flags & (abi.MSG_TRUNC | abi.MSG_OOB | abi.MSG_ERRQUEUE | abi.MSG_EOR)
	m.Name = nil
	if s.id.Type != abi.SOCK_STREAM {
		m.Name = append([]byte(nil), msg.name...)
	}
	if len(msg.control) > 0 {
		list, err := socket.ParseControl(append([]byte(nil), msg.control...))
		if err == nil {
			m.Control.Cmsgs = list
		}
	}
	return n, nil
}
