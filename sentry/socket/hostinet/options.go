package hostinet

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Sizes of values that are no int.
const (
	sizeInt    = 4
	sizeLinger = 8
	sizeName   = 16  // TCP_CA_NAME_MAX
	sizeInfo   = 256 // room for struct tcp_info
)

// row is an option that is passed on. min and max bound the size of a value that is set;
// max is also how much is got at most. max 0 of set: it cannot be set.
type row struct {
	level, name    int
	setMin, setMax int
	get            int
}

func word(level int, names ...int) []row {
	var out []row
	for _, n := range names {
		out = append(out, row{level, n, sizeInt, sizeInt, sizeInt})
	}
	return out
}

// byteOrWord are options of IP that take one byte, too.
func byteOrWord(level int, names ...int) []row {
	var out []row
	for _, n := range names {
		out = append(out, row{level, n, 1, sizeInt, sizeInt})
	}
	return out
}

// passed are the options that the host sees. What needs a capability there is not among
// them: the Sentry has none.
var passed = concat(
	word(abi.SOL_SOCKET, unix.SO_REUSEADDR, unix.SO_REUSEPORT, unix.SO_KEEPALIVE, unix.SO_BROADCAST, unix.SO_OOBINLINE,
		unix.SO_SNDBUF, unix.SO_RCVBUF, unix.SO_RCVLOWAT, unix.SO_PRIORITY, unix.SO_TIMESTAMP, unix.SO_TIMESTAMPNS),
	[]row{{abi.SOL_SOCKET, unix.SO_LINGER, sizeLinger, sizeLinger, sizeLinger},
		{abi.SOL_SOCKET, unix.SO_ERROR, 0, 0, sizeInt}, {abi.SOL_SOCKET, unix.SO_ACCEPTCONN, 0, 0, sizeInt}},
	byteOrWord(abi.SOL_IP, unix.IP_TOS, unix.IP_TTL, unix.IP_PKTINFO, unix.IP_RECVTTL, unix.IP_RECVTOS, unix.IP_RECVERR,
		unix.IP_MTU_DISCOVER, unix.IP_MULTICAST_TTL, unix.IP_MULTICAST_LOOP, unix.IP_MULTICAST_ALL, unix.IP_BIND_ADDRESS_NO_PORT),
	[]row{{abi.SOL_IP, unix.IP_MTU, 0, 0, sizeInt}, {abi.SOL_IP, unix.IP_MULTICAST_IF, 4, 12, 4},
		{abi.SOL_IP, unix.IP_ADD_MEMBERSHIP, 8, 12, 0}, {abi.SOL_IP, unix.IP_DROP_MEMBERSHIP, 8, 12, 0}},
	word(abi.SOL_IPV6, unix.IPV6_V6ONLY, unix.IPV6_UNICAST_HOPS, unix.IPV6_MULTICAST_HOPS, unix.IPV6_MULTICAST_LOOP,
		unix.IPV6_MULTICAST_IF, unix.IPV6_RECVPKTINFO, unix.IPV6_RECVHOPLIMIT, unix.IPV6_RECVTCLASS, unix.IPV6_TCLASS,
		unix.IPV6_RECVERR, unix.IPV6_MTU_DISCOVER, unix.IPV6_DONTFRAG),
	[]row{{abi.SOL_IPV6, unix.IPV6_MTU, 0, 0, sizeInt}, {abi.SOL_IPV6, unix.IPV6_JOIN_GROUP, 20, 20, 0},
		{abi.SOL_IPV6, unix.IPV6_LEAVE_GROUP, 20, 20, 0}},
	word(abi.SOL_TCP, unix.TCP_NODELAY, unix.TCP_MAXSEG, unix.TCP_CORK, unix.TCP_KEEPIDLE, unix.TCP_KEEPINTVL,
		unix.TCP_KEEPCNT, unix.TCP_SYNCNT, unix.TCP_LINGER2, unix.TCP_DEFER_ACCEPT, unix.TCP_WINDOW_CLAMP, unix.TCP_QUICKACK,
		unix.TCP_USER_TIMEOUT, unix.TCP_NOTSENT_LOWAT),
	[]row{{abi.SOL_TCP, unix.TCP_INFO, 0, 0, sizeInfo}, {abi.SOL_TCP, unix.TCP_CONGESTION, 1, sizeName, sizeName}},
)

func concat(lists ...[]row) []row {
	var out []row
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

func find(level, name int) *row {
	for i := range passed {
		if passed[i].level == level && passed[i].name == name {
			return &passed[i]
		}
	}
	return nil
}

// GetOption implements socket.Optioner.
func (s *Socket) GetOption(_ *vfs.Context, level, name, n int) ([]byte, error) {
	if level == abi.SOL_SOCKET {
		if b, ok := s.own(name); ok {
			return b, nil
		}
	}
	r := find(level, name)
	if r == nil || r.get == 0 {
		return nil, abi.ENOPROTOOPT
	}
	b := make([]byte, min(r.get, max(n, 0)))
	got, err := hostGetOption(s.fd, level, name, b)
	return b[:got], err
}

// own are the options that are answered here.
func (s *Socket) own(name int) ([]byte, bool) {
	number := func(n int) ([]byte, bool) { return binary.LittleEndian.AppendUint32(nil, uint32(n)), true }
	s.mu.Lock()
	defer s.mu.Unlock()
	switch name {
	case unix.SO_TYPE:
		return number(s.id.Type)
	case unix.SO_DOMAIN:
		return number(s.id.Family)
	case unix.SO_PROTOCOL:
		return number(s.id.Protocol)
	case unix.SO_RCVTIMEO:
		return timeval(s.recvTime), true
	case unix.SO_SNDTIMEO:
		return timeval(s.sendTime), true
	}
	return nil, false
}

func timeval(t abi.Timeval) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(t.Sec))
	return binary.LittleEndian.AppendUint64(b, uint64(t.Usec))
}

// SetOption implements socket.Optioner.
// TRUST: value is the application's; its size is checked here, its meaning by the host.
func (s *Socket) SetOption(_ *vfs.Context, level, name int, value []byte) error {
	if level == abi.SOL_SOCKET {
		switch name {
		case unix.SO_RCVTIMEO, unix.SO_SNDTIMEO:
			return s.setTimeout(name, value)
		case unix.SO_BINDTODEVICE, unix.SO_MARK, unix.SO_SNDBUFFORCE, unix.SO_RCVBUFFORCE:
			return abi.EPERM
		}
	}
	r := find(level, name)
	if r == nil || r.setMax == 0 {
		return abi.ENOPROTOOPT
	}
	if len(value) < r.setMin {
		return abi.EINVAL
	}
	return hostSetOption(s.fd, level, name, value[:min(len(value), r.setMax)])
}

// setTimeout sets SO_RCVTIMEO or SO_SNDTIMEO: EDOM for wrong microseconds, not for negative seconds.
func (s *Socket) setTimeout(name int, value []byte) error {
	if len(value) < 16 {
		return abi.EINVAL
	}
	t := abi.Timeval{Sec: int64(binary.LittleEndian.Uint64(value)), Usec: int64(binary.LittleEndian.Uint64(value[8:]))}
	if t.Usec < 0 || t.Usec >= 1e6 {
		return abi.EDOM
	}
	if t.Sec < 0 || t.Sec > 1<<32 {
		t = abi.Timeval{} // for ever
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == unix.SO_RCVTIMEO {
		s.recvTime = t
	} else {
		s.sendTime = t
	}
	return nil
}
