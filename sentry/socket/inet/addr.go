package inet

import (
	"encoding/binary"
	"net/netip"

	"lazaret/netstack"
	"lazaret/syscalls/abi"
)

// Sizes of struct sockaddr_in and sockaddr_in6; of the latter RFC 2133 had no scope.
const (
	sizeIn4 = 16
	sizeIn6 = 28
	minIn6  = 24
)

// family returns sa_family of an address: EINVAL for one that is too short to have it.
func family(b []byte) (int, error) {
	if len(b) < 2 {
		return 0, abi.EINVAL
	}
	return int(binary.LittleEndian.Uint16(b)), nil
}

// parse4 reads a struct sockaddr_in.
func parse4(b []byte) netstack.Addr {
	ip := netip.AddrFrom4([4]byte(b[4:8]))
	return netstack.Addr{IP: ip, Port: binary.BigEndian.Uint16(b[2:])}
}

// parse6 reads a struct sockaddr_in6; the scope of a link-local address is its interface.
func parse6(b []byte) netstack.Addr {
	a := netstack.Addr{IP: netip.AddrFrom16([16]byte(b[8:24])), Port: binary.BigEndian.Uint16(b[2:])}
	if len(b) >= sizeIn6 && scoped(a.IP) {
		a.NIC = int32(binary.LittleEndian.Uint32(b[24:]))
	}
	return a
}

// scoped reports whether an address means something only together with an interface.
func scoped(ip netip.Addr) bool { return ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() }

// anyAddr makes the unspecified address the invalid one that netstack takes for any.
func anyAddr(a netstack.Addr) netstack.Addr {
	if a.IP.IsUnspecified() {
		a.IP = netip.Addr{}
	}
	return a
}

// sockaddr gives an address the form of the socket's family.
func (s *Socket) sockaddr(a netstack.Addr) []byte {
	if !s.v6 {
		b := make([]byte, sizeIn4)
		binary.LittleEndian.PutUint16(b, abi.AF_INET)
		binary.BigEndian.PutUint16(b[2:], a.Port)
		if a.IP.Unmap().Is4() {
			ip := a.IP.Unmap().As4()
			copy(b[4:], ip[:])
		}
		return b
	}
	b := make([]byte, sizeIn6)
	binary.LittleEndian.PutUint16(b, abi.AF_INET6)
	binary.BigEndian.PutUint16(b[2:], a.Port)
	if a.IP.IsValid() {
		ip := a.IP.As16() // an IPv4 address comes out mapped
		copy(b[8:], ip[:])
	}
	if scoped(a.IP) {
		binary.LittleEndian.PutUint32(b[24:], uint32(a.NIC))
	}
	return b
}

// bindAddr parses the argument of bind(2).
func (s *Socket) bindAddr(b []byte) (netstack.Addr, error) {
	f, err := family(b)
	if err != nil {
		return netstack.Addr{}, err
	}
	if !s.v6 {
		if len(b) < sizeIn4 {
			return netstack.Addr{}, abi.EINVAL
		}
		a := parse4(b)
		if f != abi.AF_INET && (f != abi.AF_UNSPEC || !a.IP.IsUnspecified()) {
			return netstack.Addr{}, abi.EAFNOSUPPORT
		}
		return a, nil
	}
	if len(b) < minIn6 {
		return netstack.Addr{}, abi.EINVAL
	}
	if f != abi.AF_INET6 {
		return netstack.Addr{}, abi.EAFNOSUPPORT
	}
	return parse6(b), nil
}

// peerAddr parses an address to connect or send to. A datagram socket of AF_INET6 takes
// an IPv4 address too.
func (s *Socket) peerAddr(b []byte) (netstack.Addr, error) {
	f, err := family(b)
	switch {
	case err != nil:
		return netstack.Addr{}, err
	case f == abi.AF_INET && (!s.v6 || s.kind == netstack.UDP):
		if len(b) < sizeIn4 {
			return netstack.Addr{}, abi.EINVAL
		}
		a := parse4(b)
		if s.v6 {
			if s.option(optV6Only) != 0 {
				return a, abi.ENETUNREACH
			}
			a.IP = netip.AddrFrom16(a.IP.As16())
		}
		return a, nil
	case f == abi.AF_INET6 && s.v6:
		if len(b) < minIn6 {
			return netstack.Addr{}, abi.EINVAL
		}
		return parse6(b), nil
	}
	if !s.v6 && len(b) < sizeIn4 || s.v6 && len(b) < minIn6 {
		return netstack.Addr{}, abi.EINVAL
	}
	return netstack.Addr{}, abi.EAFNOSUPPORT
}
