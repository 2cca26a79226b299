package netstack

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// Addr is an address of the transport layer. An IP that is not valid stands for any
// address, or for no destination. NIC is the interface's index, 0 for any.
type Addr struct {
	IP   netip.Addr
	Port uint16
	NIC  int32
}

func toAddress(ip netip.Addr) tcpip.Address {
	switch {
	case ip.Is4():
		return tcpip.AddrFrom4(ip.As4())
	case ip.Is6():
		return tcpip.AddrFrom16(ip.As16())
	}
	return tcpip.Address{}
}

func fromAddress(a tcpip.Address) netip.Addr {
	switch a.Len() {
	case 4:
		return netip.AddrFrom4(a.As4())
	case 16:
		return netip.AddrFrom16(a.As16())
	}
	return netip.Addr{}
}

func (a Addr) full() tcpip.FullAddress {
	return tcpip.FullAddress{NIC: tcpip.NICID(a.NIC), Addr: toAddress(a.IP), Port: a.Port}
}

func fromFull(f tcpip.FullAddress) Addr {
	return Addr{IP: fromAddress(f.Addr), Port: f.Port, NIC: int32(f.NIC)}
}

// toSubnet gives a prefix the stack's form.
func toSubnet(p netip.Prefix) (tcpip.Subnet, error) {
	m := make([]byte, len(p.Addr().AsSlice()))
	for i := range p.Bits() {
		m[i/8] |= 0x80 >> (i % 8)
	}
	return tcpip.NewSubnet(toAddress(p.Masked().Addr()), tcpip.MaskFromBytes(m))
}
