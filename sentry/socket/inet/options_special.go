package inet

import (
	"bytes"
	"encoding/binary"
	"time"

	"lazaret/netstack"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// errNotSpecial says that an option is in the table.
const errNotSpecial = abi.Errno(0xffff)

// Smallest buffers (SOCK_MIN_SNDBUF, SOCK_MIN_RCVBUF).
const (
	minSndBuf = 4608
	minRcvBuf = 2304
)

// getSpecial returns the options whose value is not a kept number.
func (s *Socket) getSpecial(ctx *vfs.Context, level, name, n int) ([]byte, error) {
	switch level {
	case abi.SOL_SOCKET:
		return s.getSocket(ctx, name, n)
	case abi.SOL_TCP:
		if s.kind == netstack.TCP {
			return s.getTCP(name, n)
		}
	case abi.SOL_IP:
		return s.getIP(name)
	case abi.SOL_IPV6:
		return s.getIPv6(name)
	case abi.SOL_RAW:
		if s.kind == netstack.Raw && s.id.Protocol == abi.IPPROTO_ICMP && name == 1 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return i32(int(s.opts.icmpFilter)), nil
		}
	case abi.SOL_ICMPV6:
		if s.kind == netstack.Raw && s.id.Protocol == abi.IPPROTO_ICMPV6 && name == 1 {
			s.mu.Lock()
			defer s.mu.Unlock()
			var b []byte
			for _, w := range s.opts.icmp6Filter {
				b = binary.LittleEndian.AppendUint32(b, w)
			}
			return b, nil
		}
	}
	return nil, errNotSpecial
}

func (s *Socket) getSocket(_ *vfs.Context, name, n int) ([]byte, error) {
	switch name {
	case abi.SO_PEERNAME:
		b, err := s.PeerName()
		if err == nil && n > len(b) {
			return nil, abi.EINVAL
		}
		return b, err
	case abi.SO_ERROR:
		return i32(int(s.takeError())), nil
	case abi.SO_TYPE:
		return i32(s.id.Type), nil
	case abi.SO_DOMAIN:
		return i32(s.id.Family), nil
	case abi.SO_PROTOCOL:
		return i32(s.id.Protocol), nil
	case abi.SO_PEERCRED:
		return append(i32(0), append(i32(-1), i32(-1)...)...), nil
	case abi.SO_COOKIE:
		return binary.LittleEndian.AppendUint64(nil, s.ino), nil
	case abi.SO_MEMINFO:
		return s.memInfo(), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	send, recv := s.ep.Load().Buffers()
	switch name {
	case abi.SO_ACCEPTCONN:
		return i32(b2i(s.listening)), nil
	case abi.SO_LOCK_FILTER:
		return i32(b2i(s.filter.Locked())), nil
	case abi.SO_SNDBUF:
		if s.opts.sendBuf != 0 {
			send = int(s.opts.sendBuf)
		}
		return i32(send), nil
	case abi.SO_RCVBUF:
		if s.opts.recvBuf != 0 {
			recv = int(s.opts.recvBuf)
		}
		return i32(recv), nil
	case abi.SO_LINGER:
		return s.opts.linger[:], nil
	case abi.SO_RCVTIMEO_OLD, abi.SO_RCVTIMEO_NEW:
		return timeval(s.opts.recvTime), nil
	case abi.SO_SNDTIMEO_OLD, abi.SO_SNDTIMEO_NEW:
		return timeval(s.opts.sendTime), nil
	case abi.SO_BINDTODEVICE:
		l, ok := s.ns.Stack.LinkByIndex(s.opts.device)
		if !ok {
			return nil, nil
		}
		return append([]byte(l.Name), 0), nil
	case abi.SO_BINDTOIFINDEX:
		return i32(int(s.opts.device)), nil
	case abi.SO_MAX_PACING_RATE:
		if n >= 8 {
			return binary.LittleEndian.AppendUint64(nil, ^s.opts.pacing), nil
		}
		return i32(int(uint32(min(^s.opts.pacing, 1<<32-1)))), nil
	}
	return nil, errNotSpecial
}

// memInfo is SO_MEMINFO: what waits to be received, the limits, and what is not known.
func (s *Socket) memInfo() []byte {
	send, recv := s.ep.Load().Buffers()
	var b []byte
	for _, v := range []int{s.ep.Load().ReadQueue(), recv, s.ep.Load().WriteQueue(), send, 0, 0, 0, 0, 0} {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return b
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func timeval(t abi.Timeval) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(t.Sec))
	return binary.LittleEndian.AppendUint64(b, uint64(t.Usec))
}

func parseTimeval(b []byte) (abi.Timeval, error) {
	if len(b) < 16 {
		return abi.Timeval{}, abi.EINVAL
	}
	t := abi.Timeval{Sec: int64(binary.LittleEndian.Uint64(b)), Usec: int64(binary.LittleEndian.Uint64(b[8:]))}
	if t.Usec < 0 || t.Usec >= 1_000_000 {
		return abi.Timeval{}, abi.EDOM
	}
	if t.Sec < 0 {
		t = abi.Timeval{}
	}
	return t, nil
}

// setSpecial sets the options whose value is not a kept number.
func (s *Socket) setSpecial(ctx *vfs.Context, level, name int, v []byte) error {
	switch level {
	case abi.SOL_SOCKET:
		return s.setSocket(ctx, name, v)
	case abi.SOL_TCP:
		if s.kind == netstack.TCP {
			return s.setTCP(name, v)
		}
	case abi.SOL_IP:
		return s.setIP(ctx, name, v)
	case abi.SOL_IPV6:
		if s.v6 {
			return s.setIPv6(ctx, name, v)
		}
	case abi.SOL_RAW:
		if s.kind == netstack.Raw && s.v6 && name == abi.IPV6_CHECKSUM {
			if s.id.Protocol == abi.IPPROTO_ICMPV6 {
				return nil // the stack sums ICMPv6 up in any case
			}
			return s.SetOption(ctx, abi.SOL_IPV6, name, v) // raw(7) of IPv6 has it at both levels
		}
		if s.kind == netstack.Raw && s.id.Protocol == abi.IPPROTO_ICMP && name == 1 {
			var f [4]byte
			copy(f[:], v)
			s.mu.Lock()
			s.opts.icmpFilter = binary.LittleEndian.Uint32(f[:])
			s.mu.Unlock()
			return nil
		}
	case abi.SOL_ICMPV6:
		if s.kind == netstack.Raw && s.id.Protocol == abi.IPPROTO_ICMPV6 && name == 1 {
			return s.setICMP6Filter(v)
		}
	}
	return errNotSpecial
}

func (s *Socket) setICMP6Filter(v []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &s.opts.icmp6Filter
	for i := 0; i < len(f) && len(v) >= 4*(i+1); i++ {
		f[i] = binary.LittleEndian.Uint32(v[4*i:])
	}
	return s.ep.Load().SetICMPv6Filter(*f)
}

// notSettable are the options of SOL_SOCKET that can only be read.
func notSettable(name int) bool {
	switch name {
	case abi.SO_TYPE, abi.SO_DOMAIN, abi.SO_PROTOCOL, abi.SO_ERROR, abi.SO_ACCEPTCONN, abi.SO_PEERCRED, abi.SO_PEERNAME,
		abi.SO_COOKIE, abi.SO_MEMINFO:
		return true
	}
	return false
}

func (s *Socket) setSocket(ctx *vfs.Context, name int, v []byte) error {
	switch {
	case name == abi.SO_BINDTODEVICE:
		return s.bindToDevice(ctx, v)
	case len(v) < 4:
		return abi.EINVAL
	case notSettable(name):
		return abi.ENOPROTOOPT
	}
	n := word(v)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch name {
	case abi.SO_SNDBUF, abi.SO_SNDBUFFORCE, abi.SO_RCVBUF, abi.SO_RCVBUFFORCE:
		return s.setBufferLocked(ctx, name, n)
	case abi.SO_LINGER:
		if len(v) < 8 {
			return abi.EINVAL
		}
		copy(s.opts.linger[:4], i32(b2i(n != 0)))
		if n != 0 {
			copy(s.opts.linger[4:], v[4:8])
		}
		s.ep.Load().SetLinger(n != 0, time.Duration(word(v[4:]))*time.Second)
		return nil
	case abi.SO_RCVTIMEO_OLD, abi.SO_RCVTIMEO_NEW, abi.SO_SNDTIMEO_OLD, abi.SO_SNDTIMEO_NEW:
		t, err := parseTimeval(v)
		if err != nil {
			return err
		}
		if name == abi.SO_RCVTIMEO_OLD || name == abi.SO_RCVTIMEO_NEW {
			s.opts.recvTime = t
		} else {
			s.opts.sendTime = t
		}
		return nil
	case abi.SO_PRIORITY:
		if (n < 0 || n > 6) && !s.ns.capable(ctx, abi.CAP_NET_ADMIN) {
			return abi.EPERM
		}
	case abi.SO_BINDTOIFINDEX:
		if err := s.ep.Load().Set(netstack.BindToDevice, n); err != nil {
			return err
		}
		s.opts.device = int32(n)
		return nil
	case abi.SO_MAX_PACING_RATE:
		if len(v) >= 8 {
			s.opts.pacing = ^binary.LittleEndian.Uint64(v)
		} else if n != -1 {
			s.opts.pacing = ^uint64(uint32(n))
		}
		return nil
	case abi.SO_ATTACH_FILTER, abi.SO_ATTACH_BPF:
		return abi.ENOPROTOOPT // TODO: programs of bpf(2)
	case abi.SO_DETACH_FILTER:
		return s.filter.Set(s.acct, nil)
	case abi.SO_LOCK_FILTER:
		return s.filter.Lock(n != 0)
	}
	return errNotSpecial
}

func (s *Socket) setBufferLocked(ctx *vfs.Context, name, n int) error {
	force := name == abi.SO_SNDBUFFORCE || name == abi.SO_RCVBUFFORCE
	if force && !s.ns.capable(ctx, abi.CAP_NET_ADMIN) {
		return abi.EPERM
	}
	// Even a forced buffer stays within net.core: what a container may hold in them is
	// the Sentry's memory.
	s.ns.mu.Lock()
	wmem, rmem := s.ns.settings.wmemMax, s.ns.settings.rmemMax
	s.ns.mu.Unlock()
	if name == abi.SO_SNDBUF || name == abi.SO_SNDBUFFORCE {
		v := max(int(min(uint(uint32(n)), uint(wmem)))*2, minSndBuf)
		s.opts.sendBuf = int32(v)
		s.ep.Load().SetSendBuffer(v)
		return nil
	}
	v := max(int(min(uint(uint32(n)), uint(rmem)))*2, minRcvBuf)
	s.opts.recvBuf = int32(v)
	s.ep.Load().SetReceiveBuffer(v)
	return nil
}

// bindToDevice is SO_BINDTODEVICE; an empty name takes it back.
func (s *Socket) bindToDevice(ctx *vfs.Context, v []byte) error {
	if i := bytes.IndexByte(v, 0); i >= 0 {
		v = v[:i]
	}
	if len(v) >= abi.IFNAMSIZ {
		v = v[:abi.IFNAMSIZ-1]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opts.device != 0 && !s.ns.capable(ctx, abi.CAP_NET_RAW) {
		return abi.EPERM
	}
	index := int32(0)
	if len(v) > 0 {
		l, ok := s.ns.Stack.LinkByName(string(v))
		if !ok {
			return abi.ENODEV
		}
		index = l.Index
	}
	if err := s.ep.Load().Set(netstack.BindToDevice, int(index)); err != nil {
		return err
	}
	s.opts.device = index
	return nil
}
