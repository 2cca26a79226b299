package netlink

import (
	"encoding/binary"

	"lazaret/sentry/kernel/bpf"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

func i32(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }

// GetOption implements socket.Optioner.
func (s *Socket) GetOption(_ *vfs.Context, level, name, n int) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch level {
	case abi.SOL_SOCKET:
		return s.getSocketLocked(name)
	case abi.SOL_NETLINK:
		switch name {
		case abi.NETLINK_LIST_MEMBERSHIPS:
			return binary.LittleEndian.AppendUint64(nil, s.groups)[:min(n, 8)], nil
		case abi.NETLINK_PKTINFO, abi.NETLINK_BROADCAST_ERROR, abi.NETLINK_NO_ENOBUFS, abi.NETLINK_CAP_ACK, abi.NETLINK_EXT_ACK,
			abi.NETLINK_GET_STRICT_CHK:
			return i32(int(s.flags >> name & 1)), nil
		}
	}
	return nil, abi.ENOPROTOOPT
}

func (s *Socket) getSocketLocked(name int) ([]byte, error) {
	switch name {
	case abi.SO_TYPE:
		return i32(s.id.Type), nil
	case abi.SO_DOMAIN:
		return i32(abi.AF_NETLINK), nil
	case abi.SO_PROTOCOL:
		return i32(s.id.Protocol), nil
	case abi.SO_ERROR:
		e := s.err
		s.err = 0
		return i32(int(e)), nil
	case abi.SO_SNDBUF:
		return i32(212992), nil
	case abi.SO_RCVBUF:
		return i32(s.rcvbuf), nil
	case abi.SO_LOCK_FILTER:
		if s.filter.Locked() {
			return i32(1), nil
		}
		return i32(0), nil
	case abi.SO_ACCEPTCONN, abi.SO_PASSCRED, abi.SO_REUSEADDR, abi.SO_KEEPALIVE, abi.SO_BROADCAST:
		return i32(0), nil
	case abi.SO_RCVTIMEO_OLD, abi.SO_SNDTIMEO_OLD:
		t := s.times[(name-abi.SO_RCVTIMEO_OLD)&1]
		return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(t.Sec)), uint64(t.Usec)), nil
	}
	return nil, abi.ENOPROTOOPT
}

// SetOption implements socket.Optioner.
func (s *Socket) SetOption(ctx *vfs.Context, level, name int, value []byte) error {
	if len(value) < 4 {
		return abi.EINVAL
	}
	v := int(int32(binary.LittleEndian.Uint32(value)))
	s.mu.Lock()
	defer s.mu.Unlock()
	switch level {
	case abi.SOL_SOCKET:
		return s.setSocketLocked(ctx, name, v, value)
	case abi.SOL_NETLINK:
		switch name {
		case abi.NETLINK_ADD_MEMBERSHIP, abi.NETLINK_DROP_MEMBERSHIP:
			if v < 1 || v > 64 {
				return abi.EINVAL
			}
			if name == abi.NETLINK_ADD_MEMBERSHIP {
				s.groups |= 1 << (v - 1)
			} else {
				s.groups &^= 1 << (v - 1)
			}
			return nil
		case abi.NETLINK_PKTINFO, abi.NETLINK_BROADCAST_ERROR, abi.NETLINK_NO_ENOBUFS, abi.NETLINK_CAP_ACK, abi.NETLINK_EXT_ACK,
			abi.NETLINK_GET_STRICT_CHK:
			if s.flags &^= 1 << name; v != 0 {
				s.flags |= 1 << name
			}
			return nil
		}
	}
	return abi.ENOPROTOOPT
}

func (s *Socket) setSocketLocked(ctx *vfs.Context, name, v int, value []byte) error {
	switch name {
	case abi.SO_RCVBUFFORCE, abi.SO_SNDBUFFORCE:
		if !ctx.Creds.HasCapIn(abi.CAP_NET_ADMIN, s.ns.inet.UserNS) {
			return abi.EPERM
		}
		fallthrough
	case abi.SO_RCVBUF, abi.SO_SNDBUF:
		if name == abi.SO_RCVBUF || name == abi.SO_RCVBUFFORCE {
			s.rcvbuf = max(min(v, 212992)*2, 2304)
		}
		return nil
	case abi.SO_RCVTIMEO_OLD, abi.SO_SNDTIMEO_OLD:
		if len(value) < 16 {
			return abi.EINVAL
		}
		t := abi.Timeval{Sec: int64(binary.LittleEndian.Uint64(value)), Usec: int64(binary.LittleEndian.Uint64(value[8:]))}
		if t.Usec < 0 || t.Usec >= 1_000_000 {
			return abi.EDOM
		}
		if t.Sec < 0 {
			t = abi.Timeval{}
		}
		s.times[(name-abi.SO_RCVTIMEO_OLD)&1] = t
		return nil
	case abi.SO_REUSEADDR, abi.SO_KEEPALIVE, abi.SO_BROADCAST, abi.SO_PRIORITY, abi.SO_PASSCRED, abi.SO_TIMESTAMP:
		return nil
	case abi.SO_DETACH_FILTER:
		return s.filter.Set(s.acct, nil)
	case abi.SO_LOCK_FILTER:
		return s.filter.Lock(v != 0)
	}
	return abi.ENOPROTOOPT
}

// AttachFilter implements socket.Filterer.
func (s *Socket) AttachFilter(p *bpf.Program) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return abi.EBADF
	}
	return s.filter.Set(s.acct, p)
}
