package inet

import (
	"encoding/binary"
	"net/netip"

	"lazaret/netstack"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// getIP returns the options of SOL_IP that are not in the table.
func (s *Socket) getIP(name int) ([]byte, error) {
	switch name {
	case abi.IP_MTU:
		return s.pathMTU()
	case abi.IP_OPTIONS:
		return []byte{}, nil
	case soOriginalDst:
		return s.originalDst()
	case abi.IP_MULTICAST_IF:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.opts.mcastIf[:], nil
	}
	return nil, errNotSpecial
}

// soOriginalDst is SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST.
const soOriginalDst = abi.IP6T_SO_ORIGINAL_DST

// originalDst is where a connection went before the rules of iptables(8) sent it here.
func (s *Socket) originalDst() ([]byte, error) {
	if s.kind != netstack.TCP {
		return nil, abi.ENOPROTOOPT
	}
	a, err := s.ep.Load().OriginalDst()
	if err != nil {
		return nil, err
	}
	return s.sockaddr(a), nil
}

// pathMTU is IP_MTU and IPV6_MTU of a connected socket: ENOTCONN.
func (s *Socket) pathMTU() ([]byte, error) {
	a, err := s.ep.Load().RemoteAddr()
	if err != nil {
		return nil, abi.ENOTCONN
	}
	r, err := s.ns.Stack.RouteTo(a.IP.Unmap(), netip.Addr{}, 0)
	if err != nil {
		return nil, err
	}
	l, _ := s.ns.Stack.LinkByIndex(r.Link)
	return i32(int(l.MTU)), nil
}

// setIP sets the options of SOL_IP that are not in the table.
func (s *Socket) setIP(ctx *vfs.Context, name int, v []byte) error {
	switch name {
	case abi.IP_OPTIONS:
		if len(v) > 40 {
			return abi.EINVAL
		}
		if len(v) > 0 {
			return abi.ENOPROTOOPT // TODO: IP options of packets that are sent
		}
		return nil
	case abi.IP_MULTICAST_IF:
		return s.setMulticastIf(v)
	case abi.IP_ADD_MEMBERSHIP, abi.IP_DROP_MEMBERSHIP:
		return s.membership(name == abi.IP_ADD_MEMBERSHIP, v)
	case abi.IP_MTU_DISCOVER:
		return errNotSpecial
	case abi.IP_IPSEC_POLICY, abi.IP_XFRM_POLICY:
		if !s.ns.capable(ctx, abi.CAP_NET_ADMIN) {
			return abi.EPERM
		}
		return abi.ENOPROTOOPT
	}
	return errNotSpecial
}

// mreq reads a struct ip_mreq or ip_mreqn: group, address and index of the interface.
func mreq(v []byte) (group, local netip.Addr, index int32, err error) {
	if len(v) < 8 {
		return group, local, 0, abi.EINVAL
	}
	group = netip.AddrFrom4([4]byte(v[:4]))
	if local = netip.AddrFrom4([4]byte(v[4:8])); local.IsUnspecified() {
		local = netip.Addr{}
	}
	if len(v) >= 12 {
		index = int32(binary.LittleEndian.Uint32(v[8:]))
	}
	return group, local, index, nil
}

func (s *Socket) setMulticastIf(v []byte) error {
	if s.kind == netstack.TCP {
		return abi.EINVAL
	}
	var ip netip.Addr
	index := int32(0)
	switch {
	case len(v) >= 8:
		_, l, i, err := mreq(v)
		if err != nil {
			return err
		}
		ip, index = l, i
	case len(v) >= 4:
		if a := netip.AddrFrom4([4]byte(v[:4])); !a.IsUnspecified() {
			ip = a
		}
	default:
		return abi.EINVAL
	}
	if err := s.ep.Load().SetMulticastLink(index, ip); err != nil {
		return abi.EADDRNOTAVAIL
	}
	s.mu.Lock()
	s.opts.mcastIf = [4]byte{}
	if ip.IsValid() {
		s.opts.mcastIf = ip.As4()
	}
	s.mu.Unlock()
	return nil
}

func (s *Socket) membership(join bool, v []byte) error {
	if s.kind == netstack.TCP {
		return abi.EPROTO
	}
	group, local, index, err := mreq(v)
	if err != nil {
		return err
	}
	return s.joinOrLeave(join, group, index, local)
}

func (s *Socket) joinOrLeave(join bool, group netip.Addr, index int32, local netip.Addr) error {
	if !group.IsMulticast() {
		return abi.EINVAL
	}
	ep := s.ep.Load()
	if !join {
		if err := ep.Leave(group, index, local); err != nil {
			return abi.EADDRNOTAVAIL
		}
		return nil
	}
	switch err := ep.Join(group, index, local); err {
	case abi.EHOSTUNREACH, abi.ENETUNREACH:
		return abi.ENODEV
	default:
		return err
	}
}

// getIPv6 returns the options of SOL_IPV6 that are not in the table.
func (s *Socket) getIPv6(name int) ([]byte, error) {
	if !s.v6 {
		return nil, errNotSpecial
	}
	switch name {
	case abi.IPV6_MTU:
		return s.pathMTU()
	case soOriginalDst:
		return s.originalDst()
	case abi.IPV6_MULTICAST_IF:
		s.mu.Lock()
		defer s.mu.Unlock()
		return i32(int(s.opts.values[optMcastIf6])), nil
	}
	return nil, errNotSpecial
}

// setIPv6 sets the options of SOL_IPV6 that are not in the table.
func (s *Socket) setIPv6(_ *vfs.Context, name int, v []byte) error {
	switch name {
	case abi.IPV6_ADD_MEMBERSHIP, abi.IPV6_DROP_MEMBERSHIP:
		if len(v) < 20 {
			return abi.EINVAL
		}
		group := netip.AddrFrom16([16]byte(v[:16]))
		if s.kind == netstack.TCP {
			return abi.EPROTO
		}
		return s.joinOrLeave(name == abi.IPV6_ADD_MEMBERSHIP, group, int32(binary.LittleEndian.Uint32(v[16:])), netip.Addr{})
	case abi.IPV6_MULTICAST_IF:
		if len(v) < 4 {
			return abi.EINVAL
		}
		if s.kind == netstack.TCP {
			return abi.ENOPROTOOPT
		}
		index := word(v)
		if index != 0 {
			if _, ok := s.ns.Stack.LinkByIndex(int32(index)); !ok {
				return abi.ENODEV
			}
		}
		if err := s.ep.Load().SetMulticastLink(int32(index), netip.Addr{}); err != nil {
			return err
		}
		s.mu.Lock()
		s.opts.values[optMcastIf6] = int32(index)
		s.mu.Unlock()
		return nil
	}
	return errNotSpecial
}
