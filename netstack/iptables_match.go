package netstack

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"lazaret/syscalls/abi"
)

// iptHeader is what a rule asks of every packet (struct ipt_ip, ip6t_ip6).
type iptHeader struct {
	src, dst, srcMask, dstMask [16]byte // of IPv4 the first four
	in, out, inMask, outMask   [abi.IFNAMSIZ]byte
	proto                      uint16
	flags, inv                 uint8
}

func parseHeader(v6 bool, b []byte) (iptHeader, error) {
	var h iptHeader
	n := 4
	if v6 {
		n = 16
	}
	for i, to := range []*[16]byte{&h.src, &h.dst, &h.srcMask, &h.dstMask} {
		copy(to[:], b[i*n:(i+1)*n])
	}
	b = b[4*n:]
	for i, to := range []*[abi.IFNAMSIZ]byte{&h.in, &h.out, &h.inMask, &h.outMask} {
		copy(to[:], b[i*abi.IFNAMSIZ:])
	}
	b = b[4*abi.IFNAMSIZ:]
	h.proto = le.Uint16(b)
	mask := uint8(abi.IPT_F_MASK)
	if v6 {
		h.flags, h.inv, mask = b[3], b[4], abi.IP6T_F_MASK
		if h.flags&abi.IP6T_F_TOS != 0 {
			return h, abi.EINVAL // nothing writes such a rule
		}
		if h.flags&abi.IP6T_F_PROTO == 0 {
			h.proto = 0
		}
		h.flags &^= abi.IP6T_F_PROTO
	} else {
		h.flags, h.inv = b[2], b[3]
	}
	if h.flags&^mask != 0 || h.inv&^abi.IPT_INV_MASK != 0 {
		return h, abi.EINVAL
	}
	return h, nil
}

// iptPacket is a packet while rules look at it.
type iptPacket struct {
	pkt       *stack.PacketBuffer
	s         *Stack
	v6        bool
	src, dst  []byte
	proto     uint8
	fragment  bool // not the first one
	transport []byte
	in, out   string
	length    int
}

// look parses what rules ask for; false for a packet that is none.
func (s *Stack) look(v6 bool, pkt *stack.PacketBuffer, in, out string) (iptPacket, bool) {
	p := iptPacket{pkt: pkt, s: s, v6: v6, in: in, out: out}
	net := pkt.NetworkHeader().Slice()
	if v6 {
		if len(net) < header.IPv6MinimumSize {
			return p, false
		}
		p.src, p.dst = net[8:24], net[24:40]
		p.proto = uint8(pkt.TransportProtocolNumber)
		if p.proto == 0 {
			p.proto = net[6]
		}
	} else {
		if len(net) < header.IPv4MinimumSize {
			return p, false
		}
		h := header.IPv4(net)
		p.src, p.dst, p.proto, p.fragment = net[12:16], net[16:20], h.Protocol(), h.FragmentOffset() != 0
	}
	if p.transport = pkt.TransportHeader().Slice(); len(p.transport) == 0 && !p.fragment {
		p.transport, _ = pkt.Data().PullUp(min(pkt.Data().Size(), header.TCPMinimumSize))
	}
	p.length = len(net) + len(pkt.TransportHeader().Slice()) + pkt.Data().Size()
	return p, true
}

// matches reports whether the header's conditions hold.
func (h *iptHeader) matches(p *iptPacket) bool {
	inv := func(bit uint8, ok bool) bool { return ok != (h.inv&bit != 0) }
	return inv(abi.IPT_INV_SRCIP, masked(p.src, h.src[:], h.srcMask[:])) && inv(abi.IPT_INV_DSTIP, masked(p.dst, h.dst[:], h.dstMask[:])) &&
		inv(abi.IPT_INV_VIA_IN, named(p.in, &h.in, &h.inMask)) && inv(abi.IPT_INV_VIA_OUT, named(p.out, &h.out, &h.outMask)) &&
		(h.proto == 0 || inv(abi.IPT_INV_PROTO, uint16(p.proto) == h.proto)) &&
		(p.v6 || h.flags&abi.IPT_F_FRAG == 0 || inv(abi.IPT_INV_FRAG, p.fragment))
}

func masked(a, want, mask []byte) bool {
	for i := range a {
		if a[i]&mask[i] != want[i] {
			return false
		}
	}
	return true
}

func named(name string, want, mask *[abi.IFNAMSIZ]byte) bool {
	var b [abi.IFNAMSIZ]byte
	copy(b[:], name)
	for i := range b {
		if (b[i]^want[i])&mask[i] != 0 {
			return false
		}
	}
	return true
}

// iptMatch is a match of a rule.
type iptMatch interface {
	match(p *iptPacket) bool
	hooks() uint32 // where it may be used; 0: everywhere
}

// everywhere is a match that may be used at all hooks.
type everywhere struct{}

func (everywhere) hooks() uint32 { return 0 }

// matchRevisions are the matches that there are, with their revisions.
var matchRevisions = map[string][]uint8{
	"tcp": {0}, "udp": {0}, "icmp": {0}, "icmp6": {0}, "multiport": {1}, "conntrack": {2, 3}, "state": {0}, "owner": {1}, "mark": {1},
	"comment": {0}, "addrtype": {0, 1}, "limit": {0},
}

// matchSizes are the sizes of their data, of the newest revision.
var matchSizes = map[string]int{
	"tcp": 12, "udp": 10, "icmp": 4, "icmp6": 4, "multiport": 48, "conntrack": 164, "state": 4, "owner": 20, "mark": 12,
	"comment": 256, "addrtype": 8, "limit": 40,
}

// Revision says whether a match or target of a revision is there: ENOENT, EPROTONOSUPPORT.
func Revision(v6 bool, name string, revision uint8, target bool) error {
	list := matchRevisions[name]
	if target {
		list = targetRevisions[name]
	}
	if name == "icmp" && v6 || name == "icmp6" && !v6 || name == "REJECT" && v6 {
		list = nil
	}
	switch {
	case list == nil:
		return abi.ENOENT
	case !slices.Contains(list, revision):
		return abi.EPROTONOSUPPORT
	}
	return nil
}

func align8(n int) int { return (n + 7) &^ 7 }

// parseMatch reads the data of a match: ENOENT, EINVAL.
func parseMatch(v6 bool, ip *iptHeader, name string, revision uint8, b []byte) (iptMatch, error) {
	if Revision(v6, name, revision, false) != nil {
		return nil, abi.ENOENT
	}
	size := matchSizes[name]
	switch {
	case name == "conntrack" && revision == 2:
		size = 156
	case name == "addrtype" && revision == 0:
		size = 12
	}
	if len(b) != align8(size) {
		return nil, abi.EINVAL
	}
	needs := func(protos ...uint16) bool { return ip.inv&abi.IPT_INV_PROTO == 0 && slices.Contains(protos, ip.proto) }
	switch name {
	case "tcp":
		m := portMatch{src: ports{le.Uint16(b), le.Uint16(b[2:])}, dst: ports{le.Uint16(b[4:]), le.Uint16(b[6:])}, mask: b[9], want: b[10], inv: b[11], proto: abi.IPPROTO_TCP}
		if !needs(abi.IPPROTO_TCP) || m.inv&^abi.XT_TCP_INV_MASK != 0 || b[8] != 0 {
			return nil, abi.EINVAL // TODO: --tcp-option
		}
		return m, nil
	case "udp":
		m := portMatch{src: ports{le.Uint16(b), le.Uint16(b[2:])}, dst: ports{le.Uint16(b[4:]), le.Uint16(b[6:])}, inv: b[8], proto: abi.IPPROTO_UDP}
		if !needs(abi.IPPROTO_UDP) || m.inv&^abi.XT_UDP_INV_MASK != 0 {
			return nil, abi.EINVAL
		}
		return m, nil
	case "icmp", "icmp6":
		if !needs(abi.IPPROTO_ICMP, abi.IPPROTO_ICMPV6) || b[3]&^abi.IPT_ICMP_INV != 0 {
			return nil, abi.EINVAL
		}
		return icmpMatch{typ: b[0], low: b[1], high: b[2], inv: b[3] != 0, any: b[0] == 0xff && !v6}, nil
	case "multiport":
		return parseMultiport(b, needs(abi.IPPROTO_TCP, abi.IPPROTO_UDP, abi.IPPROTO_SCTP, abi.IPPROTO_DCCP, abi.IPPROTO_UDPLITE))
	case "comment":
		return commentMatch{}, nil
	case "mark":
		return markMatch{mark: le.Uint32(b), mask: le.Uint32(b[4:]), inv: b[8] != 0}, nil
	}
	return parseMatchMore(name, revision, b)
}

func parseMatchMore(name string, revision uint8, b []byte) (iptMatch, error) {
	switch name {
	case "limit":
		return newLimit(le.Uint32(b), le.Uint32(b[4:]))
	case "state":
		return stateMatch{mask: uint16(le.Uint32(b))}, nil
	case "conntrack":
		flags, inv := le.Uint16(b[146:]), le.Uint16(b[148:])
		if flags&^(abi.XT_CONNTRACK_STATE|abi.XT_CONNTRACK_STATE_ALIAS) != 0 {
			return nil, abi.EINVAL // TODO: addresses, ports and status of a connection
		}
		if flags&abi.XT_CONNTRACK_STATE == 0 {
			return commentMatch{}, nil
		}
		return stateMatch{mask: le.Uint16(b[150:]), inv: inv&abi.XT_CONNTRACK_STATE != 0}, nil
	case "owner":
		m := ownerMatch{uids: [2]uint32{le.Uint32(b), le.Uint32(b[4:])}, gids: [2]uint32{le.Uint32(b[8:]), le.Uint32(b[12:])}, asks: b[16], inv: b[17]}
		if (m.asks|m.inv)&^(abi.XT_OWNER_UID|abi.XT_OWNER_GID|abi.XT_OWNER_SOCKET) != 0 {
			return nil, abi.EINVAL // TODO: --suppl-groups
		}
		return m, nil
	}
	m := addrtypeMatch{src: le.Uint16(b), dst: le.Uint16(b[2:])}
	flags := le.Uint32(b[4:])
	if revision == 0 {
		flags = 0
		if le.Uint32(b[4:]) != 0 {
			flags |= abi.XT_ADDRTYPE_INVERT_SOURCE
		}
		if le.Uint32(b[8:]) != 0 {
			flags |= abi.XT_ADDRTYPE_INVERT_DEST
		}
	}
	const known = abi.XT_ADDRTYPE_LOCAL | abi.XT_ADDRTYPE_UNICAST | abi.XT_ADDRTYPE_BROADCAST | abi.XT_ADDRTYPE_MULTICAST
	if (m.src|m.dst)&^known != 0 || flags&^(abi.XT_ADDRTYPE_INVERT_SOURCE|abi.XT_ADDRTYPE_INVERT_DEST) != 0 {
		return nil, abi.EINVAL // TODO: types of routes that do not exist here, --limit-iface-*
	}
	m.invSrc, m.invDst = flags&abi.XT_ADDRTYPE_INVERT_SOURCE != 0, flags&abi.XT_ADDRTYPE_INVERT_DEST != 0
	return m, nil
}

// ports is a range of ports.
type ports struct{ low, high uint16 }

func (r ports) has(p uint16) bool { return p >= r.low && p <= r.high }

// portMatch is tcp and udp.
type portMatch struct {
	everywhere
	src, dst   ports
	mask, want uint8
	inv        uint8
	proto      uint8
}

func (m portMatch) match(p *iptPacket) bool {
	t := p.transport
	if p.proto != m.proto || p.fragment || len(t) < 8 {
		return false
	}
	if m.src.has(binary.BigEndian.Uint16(t)) == (m.inv&abi.XT_TCP_INV_SRCPT != 0) || m.dst.has(binary.BigEndian.Uint16(t[2:])) == (m.inv&abi.XT_TCP_INV_DSTPT != 0) {
		return false
	}
	if m.proto != abi.IPPROTO_TCP {
		return true
	}
	return len(t) >= header.TCPMinimumSize && (t[13]&m.mask == m.want) != (m.inv&abi.XT_TCP_INV_FLAGS != 0)
}

// icmpMatch is icmp and icmp6.
type icmpMatch struct {
	everywhere
	typ, low, high uint8
	inv, any       bool
}

func (m icmpMatch) match(p *iptPacket) bool {
	if p.proto != abi.IPPROTO_ICMP && p.proto != abi.IPPROTO_ICMPV6 || p.fragment || len(p.transport) < 4 {
		return false
	}
	t := p.transport
	return (m.any || t[0] == m.typ && t[1] >= m.low && t[1] <= m.high) != m.inv
}

// multiportMatch is multiport: single ports are ranges too.
type multiportMatch struct {
	everywhere
	flags uint8
	list  []ports
	inv   bool
}

func parseMultiport(b []byte, hasPorts bool) (iptMatch, error) {
	m := multiportMatch{flags: b[0], inv: b[47] != 0}
	if n := int(b[1]); !hasPorts || m.flags > abi.XT_MULTIPORT_EITHER || n > abi.XT_MULTI_PORTS {
		return nil, abi.EINVAL
	}
	for i := 0; i < int(b[1]); i++ {
		r := ports{le.Uint16(b[2+2*i:]), le.Uint16(b[2+2*i:])}
		if b[32+i] != 0 { // the next one ends the range
			if i++; i >= int(b[1]) {
				return nil, abi.EINVAL
			}
			r.high = le.Uint16(b[2+2*i:])
		}
		m.list = append(m.list, r)
	}
	return m, nil
}

func (m multiportMatch) match(p *iptPacket) bool {
	if p.fragment || len(p.transport) < 4 {
		return false
	}
	has := func(at int) bool {
		port := binary.BigEndian.Uint16(p.transport[at:])
		return slices.ContainsFunc(m.list, func(r ports) bool { return r.has(port) })
	}
	ok := m.flags != abi.XT_MULTIPORT_DESTINATION && has(0) || m.flags != abi.XT_MULTIPORT_SOURCE && has(2)
	return ok != m.inv
}

// commentMatch is a comment, and whatever asks nothing.
type commentMatch struct{ everywhere }

func (commentMatch) match(*iptPacket) bool { return true }

// markMatch is mark.
type markMatch struct {
	everywhere
	mark, mask uint32
	inv        bool
}

func (m markMatch) match(p *iptPacket) bool { return (p.pkt.Mark&m.mask == m.mark) != m.inv }

// stateMatch is state, and the state of conntrack.
type stateMatch struct {
	everywhere
	mask uint16
	inv  bool
}

// Bits of a connection's state (XT_CONNTRACK_STATE_BIT). What the stack does not track, it
// takes for related when it is an ICMP error, and for new otherwise.
const (
	stateEstablished = 1 << 1
	stateRelated     = 1 << 2
	stateNew         = 1 << 3
)

func (m stateMatch) match(p *iptPacket) bool {
	return (m.mask&p.state() != 0) != m.inv
}

func (p *iptPacket) state() uint16 {
	var info stack.ConnTrackInfo
	state := uint16(stateNew)
	_, _, isError, ok := p.pkt.GetHeaders()
	switch {
	case !ok:
		return abi.XT_CONNTRACK_STATE_INVALID
	case isError:
		state = stateRelated
	case p.pkt.FillConnTrackInfo(stack.ConnTrackInfoOpts{FillState: true}, &info):
		switch info.State {
		case stack.ConnTrackStateEstablished, stack.ConnTrackStateEstablishedReply:
			state = stateEstablished
		case stack.ConnTrackStateInvalid:
			state = abi.XT_CONNTRACK_STATE_INVALID
		}
	}
	if p.pkt.IsNATConfigured(stack.DNAT) {
		state |= abi.XT_CONNTRACK_STATE_DNAT
	}
	if p.pkt.IsNATConfigured(stack.SNAT) {
		state |= abi.XT_CONNTRACK_STATE_SNAT
	}
	return state
}

// ownerMatch is owner: of packets that are sent from here.
type ownerMatch struct {
	uids, gids [2]uint32
	asks, inv  uint8 // XT_OWNER_*
}

func (m ownerMatch) match(p *iptPacket) bool {
	o := p.pkt.Owner
	if o == nil {
		return (m.asks^m.inv)&(abi.XT_OWNER_SOCKET|abi.XT_OWNER_UID|abi.XT_OWNER_GID) == 0
	}
	within := func(bit uint8, id uint32, r [2]uint32) bool {
		return m.asks&bit == 0 || (id >= r[0] && id <= r[1]) != (m.inv&bit != 0)
	}
	return !(m.asks&abi.XT_OWNER_SOCKET != 0 && m.inv&abi.XT_OWNER_SOCKET != 0) &&
		within(abi.XT_OWNER_UID, o.KUID(), m.uids) && within(abi.XT_OWNER_GID, o.KGID(), m.gids)
}

func (ownerMatch) hooks() uint32 { return 1<<abi.NF_INET_LOCAL_OUT | 1<<abi.NF_INET_POST_ROUTING }

// addrtypeMatch is addrtype.
type addrtypeMatch struct {
	everywhere
	src, dst       uint16
	invSrc, invDst bool
}

func (m addrtypeMatch) match(p *iptPacket) bool {
	return (m.src == 0 || (p.s.addrType(p.src)&m.src != 0) != m.invSrc) && (m.dst == 0 || (p.s.addrType(p.dst)&m.dst != 0) != m.invDst)
}

func (s *Stack) addrType(b []byte) uint16 {
	ip, _ := netip.AddrFromSlice(b)
	switch {
	case ip.IsMulticast():
		return abi.XT_ADDRTYPE_MULTICAST
	case bytes.Equal(b, []byte{255, 255, 255, 255}), ip.Is4() && s.s.IsSubnetBroadcast(0, protoOf(ip), toAddress(ip)):
		return abi.XT_ADDRTYPE_BROADCAST
	case ip.IsLoopback(), s.s.CheckLocalAddress(0, protoOf(ip), toAddress(ip)) != tcpip.NICID(0):
		return abi.XT_ADDRTYPE_LOCAL
	}
	return abi.XT_ADDRTYPE_UNICAST
}
