package hostnet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"lazaret/netstack"
)

// nudPermanent is NUD_PERMANENT.
const nudPermanent = 0x80

// readConfig reads the namespace that the thread is in: interfaces that are up.
func readConfig(warn func(string)) (netstack.Config, error) {
	r := reader{warn: warn}
	return r.read()
}

// Shown reads the namespace that the thread is in, for looking at it.
func Shown() (netstack.Config, error) {
	r := reader{all: true}
	c, err := r.read()
	c.Shown = true
	return c, err
}

func (r *reader) read() (netstack.Config, error) {
	for _, dump := range []struct {
		what string
		typ  int
		take func(fixed []byte, at map[uint16][]byte)
		size int
	}{
		{"interfaces", unix.RTM_GETLINK, r.link, unix.SizeofIfInfomsg},
		{"addresses", unix.RTM_GETADDR, r.address, unix.SizeofIfAddrmsg},
		{"routes", unix.RTM_GETROUTE, r.route, unix.SizeofRtMsg},
		{"neighbours", unix.RTM_GETNEIGH, r.neighbour, unix.SizeofNdMsg},
	} {
		raw, err := syscall.NetlinkRIB(dump.typ, unix.AF_UNSPEC)
		if err != nil {
			return r.c, fmt.Errorf("list %s: %w", dump.what, err)
		}
		list, err := syscall.ParseNetlinkMessage(raw)
		if err != nil {
			return r.c, fmt.Errorf("list %s: %w", dump.what, err)
		}
		for i := range list {
			if d := list[i].Data; list[i].Header.Type == uint16(dump.typ-2) && len(d) >= dump.size {
				dump.take(d, attributes(d[dump.size:]))
			}
		}
	}
	return r.c, nil
}

// reader collects a Config; the RTM_NEW* that answer a dump have the number of RTM_GET*
// less two.
type reader struct {
	c    netstack.Config
	warn func(string)
	all  bool // also links that cannot be taken over
}

// attributes splits a list of struct rtattr.
func attributes(b []byte) map[uint16][]byte {
	out := map[uint16][]byte{}
	for len(b) >= 4 {
		n := int(binary.LittleEndian.Uint16(b))
		if n < 4 || n > len(b) {
			break
		}
		out[binary.LittleEndian.Uint16(b[2:])&0x3fff] = b[4:n]
		b = b[min((n+3)&^3, len(b)):]
	}
	return out
}

func number(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}

func addr(b []byte) netip.Addr {
	ip, _ := netip.AddrFromSlice(b)
	return ip
}

// keptFlags are the interface flags that programs in the sandbox see.
const keptFlags = unix.IFF_UP | unix.IFF_BROADCAST | unix.IFF_LOOPBACK | unix.IFF_POINTOPOINT | unix.IFF_RUNNING | unix.IFF_NOARP | unix.IFF_MULTICAST

func (r *reader) link(b []byte, at map[uint16][]byte) {
	l := netstack.HostLink{Link: netstack.Link{
		Index: int32(number(b[4:])), Type: binary.LittleEndian.Uint16(b[2:]), Flags: number(b[8:]) & keptFlags,
		MTU: number(at[unix.IFLA_MTU]), TxLen: number(at[unix.IFLA_TXQLEN]),
	}}
	if name := at[unix.IFLA_IFNAME]; len(name) > 0 {
		l.Name = string(name[:len(name)-1])
	}
	copy(l.MAC[:], at[unix.IFLA_ADDRESS])
	switch {
	case l.Flags&unix.IFF_UP == 0:
		return
	case l.Flags&unix.IFF_LOOPBACK == 0 && l.Type != unix.ARPHRD_ETHER && !r.all:
		r.warn(fmt.Sprintf("network interface %q is of a kind that cannot be taken over (type %d): the sandbox does not have it", l.Name, l.Type))
		return
	}
	r.c.Links = append(r.c.Links, l)
}

// find returns the link of an index; nil for one that is not taken over.
func (r *reader) find(index uint32) *netstack.HostLink {
	for i := range r.c.Links {
		if r.c.Links[i].Index == int32(index) {
			return &r.c.Links[i]
		}
	}
	return nil
}

func (r *reader) address(b []byte, at map[uint16][]byte) {
	l := r.find(number(b[4:]))
	if l == nil {
		return
	}
	ip, peer := addr(at[unix.IFA_LOCAL]), addr(at[unix.IFA_ADDRESS])
	if !ip.IsValid() || ip == peer {
		ip, peer = peer, netip.Addr{}
	}
	if !ip.IsValid() || int(b[1]) > ip.BitLen() {
		return
	}
	l.Addresses = append(l.Addresses, netstack.Address{
		Prefix: netip.PrefixFrom(ip, int(b[1])), Peer: peer, Broadcast: addr(at[unix.IFA_BROADCAST]), Scope: b[3], Permanent: true})
}

func (r *reader) route(b []byte, at map[uint16][]byte) {
	table := uint32(b[4])
	if t, ok := at[unix.RTA_TABLE]; ok {
		table = number(t)
	}
	if table != unix.RT_TABLE_MAIN || b[7] != unix.RTN_UNICAST {
		return
	}
	if hops := at[unix.RTA_MULTIPATH]; len(hops) >= unix.SizeofRtNexthop {
		// The stack has one way to a destination: the first.
		for k, v := range attributes(hops[unix.SizeofRtNexthop:]) {
			at[k] = v
		}
		at[unix.RTA_OIF] = hops[4:8]
	}
	oif := number(at[unix.RTA_OIF])
	if r.find(oif) == nil {
		return
	}
	dst := addr(at[unix.RTA_DST])
	if !dst.IsValid() {
		if dst = netip.IPv4Unspecified(); b[0] == unix.AF_INET6 {
			dst = netip.IPv6Unspecified()
		}
	}
	if int(b[1]) > dst.BitLen() {
		return
	}
	route := netstack.Route{
		Dst: netip.PrefixFrom(dst, int(b[1])), Gateway: addr(at[unix.RTA_GATEWAY]), Source: addr(at[unix.RTA_PREFSRC]),
		Link: int32(oif), Scope: b[6], Proto: b[5], Metric: number(at[unix.RTA_PRIORITY]),
	}
	if route.Proto == unix.RTPROT_KERNEL && !route.Gateway.IsValid() {
		return // it comes with its address
	}
	const rtaxMTU = 2
	route.MTU = number(attributes(at[unix.RTA_METRICS])[rtaxMTU])
	r.c.Routes = append(r.c.Routes, route)
}

func (r *reader) neighbour(b []byte, at map[uint16][]byte) {
	n := netstack.Neighbour{IP: addr(at[unix.NDA_DST]), Link: int32(number(b[4:])), State: binary.LittleEndian.Uint16(b[8:])}
	if n.State&nudPermanent == 0 || !n.IP.IsValid() || r.find(uint32(n.Link)) == nil || copy(n.MAC[:], at[unix.NDA_LLADDR]) != len(n.MAC) {
		return
	}
	r.c.Neighbours = append(r.c.Neighbours, n)
}
