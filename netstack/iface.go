package netstack

import (
	"cmp"
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"lazaret/syscalls/abi"
)

// Scopes of addresses and routes (rtnetlink(7)).
const (
	ScopeUniverse = 0
	ScopeLink     = 253
	ScopeHost     = 254
)

// Link is a network interface as programs see it.
type Link struct {
	Index int32
	Name  string
	Type  uint16 // ARPHRD_*
	Flags uint32 // IFF_*
	MTU   uint32
	MAC   [6]byte
	TxLen uint32

	Kind   string // IFLA_INFO_KIND; empty for lo and the host's
	Master int32  // index of the bridge whose port it is
}

// Address is an address of a link.
type Address struct {
	Prefix    netip.Prefix
	Peer      netip.Addr // of a point-to-point link; may be invalid
	Broadcast netip.Addr
	Scope     uint8
	Permanent bool
	Flags     uint32 // IFA_F_*, as they were given
}

// Route is a line of the routing table.
type Route struct {
	Dst     netip.Prefix
	Gateway netip.Addr // may be invalid
	Source  netip.Addr // preferred; may be invalid
	Link    int32
	Scope   uint8
	Proto   uint8
	Metric  uint32
	MTU     uint32
}

// Counters are a link's, since it was made.
type Counters struct {
	RxPackets, RxBytes, RxErrors, RxDropped, Multicast uint64
	TxPackets, TxBytes, TxErrors, TxDropped            uint64
}

// link is a Link with what the stack needs.
type link struct {
	Link
	ep    stack.LinkEndpoint
	tap   *tap
	payer Payer // of what the link costs; nil: nobody
	addrs []Address
	fixed bool // a bridge that was given its address
}

// protoOf is the network protocol of an address.
func protoOf(ip netip.Addr) tcpip.NetworkProtocolNumber {
	if ip.Is6() {
		return ipv6.ProtocolNumber
	}
	return ipv4.ProtocolNumber
}

func (s *Stack) addLinkLocked(l *link) error {
	opts := stack.NICOptions{Name: l.Name, Disabled: l.Flags&abi.IFF_UP == 0}
	if err := s.s.CreateNICWithOptions(tcpip.NICID(l.Index), s.tapped(l), opts); err != nil {
		return errno(err)
	}
	s.lastIndex = max(s.lastIndex, l.Index)
	s.links = append(s.links, l)
	slices.SortFunc(s.links, func(a, b *link) int { return cmp.Compare(a.Index, b.Index) })
	return nil
}

func (s *Stack) addAddressLocked(l *link, a Address) error {
	pa := tcpip.ProtocolAddress{Protocol: protoOf(a.Prefix.Addr()), AddressWithPrefix: tcpip.AddressWithPrefix{
		Address: toAddress(a.Prefix.Addr()), PrefixLen: a.Prefix.Bits()}}
	if err := s.s.AddProtocolAddress(tcpip.NICID(l.Index), pa, stack.AddressProperties{}); err != nil {
		return errno(err)
	}
	if l.Index != Loopback && a.Prefix.Addr().Is4() {
		// What goes to an address of this host goes over lo, where the stack answers a ping
		// only of addresses that lo has itself. lo never sends from it.
		pa.AddressWithPrefix.PrefixLen = a.Prefix.Addr().BitLen()
		_ = s.s.AddProtocolAddress(Loopback, pa, stack.AddressProperties{PEB: stack.NeverPrimaryEndpoint})
	}
	l.addrs = append(l.addrs, a)
	s.setRoutesLocked()
	return nil
}

// ownerOf returns the index of the link that has an address, 0 if none has.
func (s *Stack) ownerOf(ip netip.Addr) int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		for _, a := range l.addrs {
			if a.Prefix.Addr() == ip {
				return l.Index
			}
		}
	}
	return 0
}

// setRoutesLocked hands the stack its table: the links' own prefixes and the routes, the
// longest prefix first and then the smallest metric.
func (s *Stack) setRoutesLocked() {
	all := slices.Clone(s.routes)
	for _, l := range s.links {
		if l.Flags&abi.IFF_UP == 0 {
			continue
		}
		for _, a := range l.addrs {
			if r, ok := onLink(l, a); ok && !slices.ContainsFunc(all, func(o Route) bool { return o.Link == r.Link && o.Dst == r.Dst }) {
				all = append(all, r)
			}
		}
		if l.Flags&abi.IFF_LOOPBACK == 0 {
			all = append(all, Route{Dst: netip.MustParsePrefix("ff00::/8"), Link: l.Index})
		}
	}
	slices.SortStableFunc(all, func(a, b Route) int {
		if c := cmp.Compare(b.Dst.Bits(), a.Dst.Bits()); c != 0 {
			return c
		}
		return cmp.Compare(a.Metric, b.Metric)
	})
	var table []tcpip.Route
	for _, r := range all {
		net, err := toSubnet(r.Dst)
		if err != nil {
			continue
		}
		table = append(table, tcpip.Route{Destination: net, Gateway: toAddress(r.Gateway), NIC: tcpip.NICID(r.Link),
			SourceHint: toAddress(r.Source), MTU: r.MTU})
	}
	s.s.SetRouteTable(table)
}

// onLink is the route that an address brings along.
func onLink(l *link, a Address) (Route, bool) {
	r := Route{Dst: a.Prefix.Masked(), Link: l.Index, Scope: ScopeLink, Proto: protoKernel, Source: a.Prefix.Addr()}
	if a.Peer.IsValid() {
		r.Dst = netip.PrefixFrom(a.Peer, a.Peer.BitLen())
	}
	if r.Dst.Addr().Is6() {
		r.Scope, r.Source, r.Metric = ScopeUniverse, netip.Addr{}, 256
	}
	if a.Flags&abi.IFA_F_NOPREFIXROUTE != 0 {
		return r, false
	}
	return r, l.Flags&abi.IFF_LOOPBACK != 0 || r.Dst.Bits() < r.Dst.Addr().BitLen() || a.Peer.IsValid()
}

// protoKernel is RTPROT_KERNEL: a route that came with an address.
const protoKernel = 2

// Links returns the interfaces by index.
func (s *Stack) Links() []Link {
	s.get()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Link, len(s.links))
	for i, l := range s.links {
		out[i] = l.Link
	}
	return out
}

// LinkByIndex returns an interface.
func (s *Stack) LinkByIndex(index int32) (Link, bool) {
	for _, l := range s.Links() {
		if l.Index == index {
			return l, true
		}
	}
	return Link{}, false
}

// LinkByName returns an interface.
func (s *Stack) LinkByName(name string) (Link, bool) {
	for _, l := range s.Links() {
		if l.Name == name {
			return l, true
		}
	}
	return Link{}, false
}

// findLocked returns the link of an index.
func (s *Stack) findLocked(index int32) *link {
	for _, l := range s.links {
		if l.Index == index {
			return l
		}
	}
	return nil
}

// Addresses returns the addresses of an interface.
func (s *Stack) Addresses(index int32) []Address {
	s.get()
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.findLocked(index); l != nil {
		return slices.Clone(l.addrs)
	}
	return nil
}

// Routes returns the main table as ip-route(8) shows it: without lo's own.
func (s *Stack) Routes() []Route {
	s.get()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := slices.Clone(s.routes)
	for _, l := range s.links {
		if l.Flags&abi.IFF_LOOPBACK != 0 || l.Flags&abi.IFF_UP == 0 {
			continue
		}
		for _, a := range l.addrs {
			if r, ok := onLink(l, a); ok && !slices.ContainsFunc(out, func(o Route) bool { return o.Link == r.Link && o.Dst == r.Dst }) {
				out = append(out, r)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Route) int {
		if c := a.Dst.Addr().Compare(b.Dst.Addr()); c != 0 {
			return c
		}
		return cmp.Compare(b.Dst.Bits(), a.Dst.Bits())
	})
	return out
}

// AddAddress gives an interface an address: ENODEV, EEXIST.
func (s *Stack) AddAddress(index int32, a Address) error {
	s.get()
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.findLocked(index)
	if l == nil {
		return abi.ENODEV
	}
	return s.addAddressLocked(l, a)
}

// RemoveAddress takes an address away: ENODEV, EADDRNOTAVAIL.
func (s *Stack) RemoveAddress(index int32, p netip.Prefix) error {
	s.get()
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.findLocked(index)
	if l == nil {
		return abi.ENODEV
	}
	return s.removeAddressLocked(l, p)
}

func (s *Stack) removeAddressLocked(l *link, p netip.Prefix) error {
	i := slices.IndexFunc(l.addrs, func(a Address) bool { return a.Prefix == p })
	if i < 0 {
		return abi.EADDRNOTAVAIL
	}
	if err := s.s.RemoveAddress(tcpip.NICID(l.Index), toAddress(p.Addr())); err != nil {
		return errno(err)
	}
	if l.Index != Loopback && p.Addr().Is4() {
		_ = s.s.RemoveAddress(Loopback, toAddress(p.Addr()))
	}
	l.addrs = slices.Delete(l.addrs, i, i+1)
	s.setRoutesLocked()
	return nil
}

// maxRoutes bounds the routing table.
const maxRoutes = 4096

// AddRoute adds a route: ENODEV, EEXIST.
func (s *Stack) AddRoute(r Route) error {
	s.get()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.findLocked(r.Link) == nil {
		return abi.ENODEV
	}
	if slices.ContainsFunc(s.routes, func(o Route) bool { return o.Dst == r.Dst && o.Metric == r.Metric }) {
		return abi.EEXIST
	}
	if len(s.routes) >= maxRoutes {
		return abi.ENOBUFS
	}
	s.routes = append(s.routes, r)
	s.setRoutesLocked()
	return nil
}

// RemoveRoute removes the first route that agrees with r where r says something: ESRCH.
func (s *Stack) RemoveRoute(r Route) error {
	s.get()
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.routes, func(o Route) bool {
		return o.Dst == r.Dst && (r.Link == 0 || o.Link == r.Link) && (!r.Gateway.IsValid() || o.Gateway == r.Gateway) &&
			(r.Metric == 0 || o.Metric == r.Metric)
	})
	if i < 0 {
		return abi.ESRCH
	}
	s.routes = slices.Delete(s.routes, i, i+1)
	s.setRoutesLocked()
	return nil
}

// CountersOf returns the counters of an interface.
func (s *Stack) CountersOf(index int32) Counters {
	info, ok := s.get().SingleNICInfo(tcpip.NICID(index))
	if !ok {
		return Counters{}
	}
	st := &info.Stats
	return Counters{
		RxPackets: st.Rx.Packets.Value(), RxBytes: st.Rx.Bytes.Value(),
		RxDropped: st.MalformedL4RcvdPackets.Value(),
		TxPackets: st.Tx.Packets.Value(), TxBytes: st.Tx.Bytes.Value(),
		TxDropped: st.TxPacketsDroppedNoBufferSpace.Value(),
	}
}

// RouteTo returns how a packet to dst would go: ENETUNREACH, EHOSTUNREACH.
func (s *Stack) RouteTo(dst, src netip.Addr, oif int32) (Route, error) {
	r, err := s.get().FindRoute(tcpip.NICID(oif), toAddress(src), toAddress(dst), protoOf(dst), false)
	if err != nil {
		return Route{}, errno(err)
	}
	defer r.Release()
	return Route{Dst: netip.PrefixFrom(dst, dst.BitLen()), Gateway: fromAddress(r.NextHop()), Source: fromAddress(r.LocalAddress()),
		Link: int32(r.NICID()), MTU: r.MTU()}, nil
}

// IsLocal reports whether ip is an address of this namespace.
func (s *Stack) IsLocal(ip netip.Addr) bool {
	return s.get().CheckLocalAddress(0, protoOf(ip), toAddress(ip)) != 0
}

// Neighbour is a line of the table of link addresses.
type Neighbour struct {
	IP    netip.Addr
	Link  int32
	MAC   [6]byte
	State uint16 // NUD_*
}

// neighbour states of the stack in Linux's numbers (NUD_*).
var nudState = [...]uint16{
	stack.Unknown: 0, stack.Incomplete: 1, stack.Reachable: 2, stack.Stale: 4, stack.Delay: 8, stack.Probe: 0x10,
	stack.Static: 0x80, stack.Unreachable: 0x20,
}

// Neighbours returns the tables of all interfaces.
func (s *Stack) Neighbours() []Neighbour {
	var out []Neighbour
	for _, l := range s.Links() {
		if l.Flags&abi.IFF_LOOPBACK != 0 {
			continue
		}
		for _, proto := range []tcpip.NetworkProtocolNumber{ipv4.ProtocolNumber, ipv6.ProtocolNumber} {
			list, err := s.s.Neighbors(tcpip.NICID(l.Index), proto)
			if err != nil {
				continue
			}
			for _, n := range list {
				e := Neighbour{IP: fromAddress(n.Addr), Link: l.Index}
				copy(e.MAC[:], n.LinkAddr)
				if int(n.State) < len(nudState) {
					e.State = nudState[n.State]
				}
				out = append(out, e)
			}
		}
	}
	return out
}

// AddNeighbour enters a permanent neighbour.
func (s *Stack) AddNeighbour(n Neighbour) error {
	return errno(s.get().AddStaticNeighbor(tcpip.NICID(n.Link), protoOf(n.IP), toAddress(n.IP), tcpip.LinkAddress(n.MAC[:])))
}

// RemoveNeighbour removes a neighbour: ENOENT.
func (s *Stack) RemoveNeighbour(link int32, ip netip.Addr) error {
	if err := s.get().RemoveNeighbor(tcpip.NICID(link), protoOf(ip), toAddress(ip)); err != nil {
		return abi.ENOENT
	}
	return nil
}

// SetForwarding makes the namespace a router, or ends that (net.ipv4.ip_forward).
func (s *Stack) SetForwarding(v6, on bool) error {
	proto := tcpip.NetworkProtocolNumber(ipv4.ProtocolNumber)
	if v6 {
		proto = ipv6.ProtocolNumber
	}
	if on {
		s.forwarding.Store(true)
	}
	return errno(s.get().SetForwardingDefaultAndAllNICs(proto, on))
}
