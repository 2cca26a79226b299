package inet

import (
	"encoding/binary"

	"lazaret/netstack"
	"lazaret/sentry/socket"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// options are a socket's; under Socket.mu.
type options struct {
	values             [maxOptions]int32
	sendBuf, recvBuf   int32 // doubled, as SO_SNDBUF shows them; 0: the default
	recvTime, sendTime abi.Timeval
	linger             [8]byte
	device             int32 // SO_BINDTODEVICE
	icmpFilter         uint32
	icmp6Filter        [8]uint32
	pacing             uint64
	mcastIf            [4]byte // IP_MULTICAST_IF as it was given
}

// newOptions returns what a fresh socket has.
func (s *Socket) newOptions() options {
	o := options{values: optDefaults()}
	s.ns.mu.Lock()
	o.values[optTTL] = int32(s.ns.settings.ttl)
	o.values[optV6Only] = int32(s.ns.settings.v6only)
	s.ns.mu.Unlock()
	if s.kind == netstack.Raw && s.id.Protocol == abi.IPPROTO_RAW {
		o.values[optHdrIncl] = 1
	}
	return o
}

// option returns a value that only changes by one word; the caller may hold mu.
func (s *Socket) option(id optID) int32 { return s.opts.values[id] }

// applyLocked sets at ep what differs from the default. What the stack refused once it was
// told to keep is not an error here.
func (s *Socket) applyLocked(ep *netstack.Endpoint) {
	optIndex() // the rows have their places
	for i := range optTable {
		r := &optTable[i]
		if v := s.opts.values[r.id]; r.stack != netstack.Kept && v != r.def && r.on&(1<<s.kind) != 0 && s.hasLevel(r.level) {
			_ = ep.Set(r.stack, int(v))
		}
	}
	if s.kind == netstack.TCP && s.opts.values[optNoDelay] == 0 {
		_ = ep.Set(netstack.NoDelay, 0) // Nagle's algorithm is on, tcp(7)
	}
	ep.SetOwner(s)
	if m := s.opts.values[optMark]; m != 0 {
		ep.SetMark(uint32(m))
	}
	if s.opts.sendBuf != 0 {
		ep.SetSendBuffer(int(s.opts.sendBuf))
	}
	if s.opts.recvBuf != 0 {
		ep.SetReceiveBuffer(int(s.opts.recvBuf))
	}
	if s.opts.device != 0 {
		_ = ep.Set(netstack.BindToDevice, int(s.opts.device))
	}
}

// inherit sets on an accepted endpoint what it does not take over from its listener.
func (s *Socket) inherit(ep *netstack.Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applyLocked(ep)
}

func (s *Socket) hasLevel(level int) bool { return level != abi.SOL_IPV6 || s.v6 }

// find returns the row of an option that the socket has: ENOPROTOOPT, EOPNOTSUPP.
func (s *Socket) find(level, name int) (*optRow, error) {
	known := false
	switch level {
	case abi.SOL_SOCKET, abi.SOL_IP:
		known = true
	case abi.SOL_IPV6:
		known = s.v6
	case abi.SOL_TCP:
		known = s.kind == netstack.TCP
	case abi.SOL_UDP:
		known = s.kind == netstack.UDP
	}
	switch {
	case !known && s.v6:
		return nil, abi.ENOPROTOOPT
	case !known:
		return nil, abi.EOPNOTSUPP
	}
	if level == abi.SOL_SOCKET && name == abi.SO_PASSCRED {
		return nil, abi.EOPNOTSUPP
	}
	r := optIndex()[optKey{level, name}]
	if r == nil || r.on&(1<<s.kind) == 0 {
		return nil, abi.ENOPROTOOPT
	}
	return r, nil
}

func i32(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }

func word(b []byte) int { return int(int32(binary.LittleEndian.Uint32(b))) }

// GetOption implements socket.Optioner.
func (s *Socket) GetOption(ctx *vfs.Context, level, name, n int) ([]byte, error) {
	b, err := s.getSpecial(ctx, level, name, n)
	if err != errNotSpecial {
		return b, err
	}
	r, err := s.find(level, name)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	v := s.opts.values[r.id]
	s.mu.Unlock()
	if r.level == abi.SOL_IP && n > 0 && n < 4 && v >= 0 && v <= 255 {
		return []byte{byte(v)}, nil // ip(7) options may be one byte
	}
	return i32(int(v)), nil
}

// SetOption implements socket.Optioner.
func (s *Socket) SetOption(ctx *vfs.Context, level, name int, value []byte) error {
	if err := s.setSpecial(ctx, level, name, value); err != errNotSpecial {
		return err
	}
	r, err := s.find(level, name)
	if err != nil {
		return err
	}
	var v int
	switch {
	case len(value) >= 4:
		v = word(value)
	case r.how&bytes1 != 0:
		if len(value) > 0 {
			v = int(value[0])
		}
	default:
		return abi.EINVAL
	}
	return s.setValue(ctx, r, v)
}

// setValue checks a number and sets it.
func (s *Socket) setValue(ctx *vfs.Context, r *optRow, v int) error {
	switch {
	case r.how&readOnly != 0, r.id == optHdrIncl && s.kind != netstack.Raw, r.id == optMcastHops6 && s.kind == netstack.TCP:
		return abi.ENOPROTOOPT
	case r.id == optMcastTTL && s.kind == netstack.TCP:
		return abi.EINVAL
	case r.how&netAdmin != 0 && !s.ns.capable(ctx, abi.CAP_NET_ADMIN),
		r.how&netRaw != 0 && !s.ns.capable(ctx, abi.CAP_NET_ADMIN) && !s.ns.capable(ctx, abi.CAP_NET_RAW):
		return abi.EPERM
	case r.how&minusOne != 0 && v == -1:
		v = int(r.def)
	case v < int(r.min) || v > int(r.max):
		return abi.EINVAL
	}
	if r.how&boolean != 0 && v != 0 {
		v = 1
	}
	switch r.id {
	case optTOS:
		if s.kind == netstack.TCP {
			v &^= 3 // INET_ECN_MASK: TCP's own
		}
	case optRcvLowat:
		if v == 0 {
			v = 1
		} else if v < 0 {
			v = maxI
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ep := s.ep.Load()
	if r.how&freshOnly != 0 && (s.bound != nil || s.kind == netstack.TCP && !ep.Fresh() || s.peer) {
		return abi.EINVAL
	}
	if r.id == optStampNS && v != 0 {
		s.opts.values[optStamp] = 0
	}
	if r.id == optStamp && v != 0 {
		s.opts.values[optStampNS] = 0
	}
	if r.stack != netstack.Kept {
		if err := ep.Set(r.stack, v); err != nil {
			return err
		}
	}
	if r.id == optMark {
		ep.SetMark(uint32(v))
	}
	s.opts.values[r.id] = int32(v)
	return nil
}

var _ socket.Optioner = (*Socket)(nil)
