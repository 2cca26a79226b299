package netlink

import (
	"encoding/binary"
	"net/netip"

	"lazaret/netstack"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// query is a request while it is carried out.
type query struct {
	*Socket
	ctx  *vfs.Context
	r    *request
	port uint32
	out  builder
	dump bool // the answer ends with NLMSG_DONE
}

func (q *query) stack() *netstack.Stack { return q.ns.inet.Stack }

// route carries out a request of NETLINK_ROUTE (rtnetlink(7)).
func (q *query) route() error {
	if q.r.typ > abi.RTM_MAX {
		return abi.EOPNOTSUPP
	}
	// The kind is in the low two bits: NEW, DEL, GET, SET.
	if (q.r.typ-abi.RTM_BASE)&3 != 2 && !q.ctx.Creds.HasCapIn(abi.CAP_NET_ADMIN, q.ns.inet.UserNS) {
		return abi.EPERM
	}
	if len(q.r.body) < 1 {
		return abi.EINVAL
	}
	all := q.r.flags&abi.NLM_F_DUMP == abi.NLM_F_DUMP
	if (q.r.typ-abi.RTM_BASE)&3 == 2 && all {
		q.dump = true
		return q.dumpAll()
	}
	switch q.r.typ {
	case abi.RTM_GETLINK:
		return q.getLink()
	case abi.RTM_NEWLINK, abi.RTM_SETLINK:
		return q.setLink()
	case abi.RTM_DELLINK:
		return q.delLink()
	case abi.RTM_NEWNSID:
		return q.setID()
	case abi.RTM_GETNSID:
		return q.getID()
	case abi.RTM_NEWADDR, abi.RTM_DELADDR:
		return q.changeAddress()
	case abi.RTM_GETROUTE:
		return q.getRoute()
	case abi.RTM_NEWROUTE, abi.RTM_DELROUTE:
		return q.changeRoute()
	case abi.RTM_NEWNEIGH:
		return q.addNeighbour()
	case abi.RTM_DELNEIGH:
		return q.delNeighbour()
	}
	return abi.EOPNOTSUPP
}

func (q *query) dumpAll() error {
	switch q.r.typ {
	case abi.RTM_GETLINK:
		for _, l := range q.stack().Links() {
			q.link(&l, abi.RTM_NEWLINK)
		}
	case abi.RTM_GETADDR:
		q.addresses()
	case abi.RTM_GETROUTE:
		q.routes()
	case abi.RTM_GETNEIGH:
		q.neighbours()
	case abi.RTM_GETRULE:
		q.rules()
	case abi.RTM_GETQDISC, abi.RTM_GETTCLASS, abi.RTM_GETTFILTER, abi.RTM_GETNSID, abi.RTM_GETNETCONF, abi.RTM_GETADDRLABEL,
		abi.RTM_GETMULTICAST, abi.RTM_GETANYCAST, abi.RTM_GETNEIGHTBL, abi.RTM_GETMDB, abi.RTM_GETSTATS, abi.RTM_GETNEXTHOP:
		// There are none.
	default:
		return abi.EOPNOTSUPP
	}
	return nil
}

// begin starts a message of the answer.
func (q *query) begin(typ uint16, fixed []byte) {
	flags := uint16(0)
	if q.dump {
		flags = abi.NLM_F_MULTI
	}
	q.out.begin(typ, flags, q.r.seq, q.port, fixed)
}

// family is the address family that a request is about; 0 is all.
func (q *query) family() byte { return q.r.body[0] }

func (q *query) wants(ip netip.Addr) bool {
	switch q.family() {
	case abi.AF_INET:
		return ip.Is4()
	case abi.AF_INET6:
		return ip.Is6()
	}
	return true
}

func familyOf(ip netip.Addr) byte {
	if ip.Is6() {
		return abi.AF_INET6
	}
	return abi.AF_INET
}

// addresses is the answer to RTM_GETADDR: IPv4 first.
func (q *query) addresses() {
	only := int32(0)
	if len(q.r.body) >= 8 {
		only = int32(binary.LittleEndian.Uint32(q.r.body[4:]))
	}
	for _, six := range []bool{false, true} {
		for _, l := range q.stack().Links() {
			if only != 0 && l.Index != only {
				continue
			}
			for _, a := range q.stack().Addresses(l.Index) {
				if ip := a.Prefix.Addr(); ip.Is6() == six && q.wants(ip) {
					q.address(&l, &a, abi.RTM_NEWADDR)
				}
			}
		}
	}
}

// address writes a struct ifaddrmsg.
func (q *query) address(l *netstack.Link, a *netstack.Address, typ uint16) {
	ip := a.Prefix.Addr()
	flags := abi.IFA_F_PERMANENT | a.Flags
	fixed := []byte{familyOf(ip), byte(a.Prefix.Bits()), byte(flags), a.Scope}
	q.begin(typ, binary.LittleEndian.AppendUint32(fixed, uint32(l.Index)))
	if ip.Is4() {
		if a.Peer.IsValid() {
			q.out.ip(abi.IFA_ADDRESS, a.Peer)
		} else {
			q.out.ip(abi.IFA_ADDRESS, ip)
		}
		q.out.ip(abi.IFA_LOCAL, ip)
		q.out.ip(abi.IFA_BROADCAST, a.Broadcast)
		q.out.str(abi.IFA_LABEL, l.Name)
	} else {
		q.out.ip(abi.IFA_ADDRESS, ip)
	}
	q.out.u32(abi.IFA_FLAGS, flags)
	info := make([]byte, 16) // struct ifa_cacheinfo: lifetimes without end
	binary.LittleEndian.PutUint32(info, ^uint32(0))
	binary.LittleEndian.PutUint32(info[4:], ^uint32(0))
	q.out.attr(abi.IFA_CACHEINFO, info)
	q.out.end()
}

// changeAddress is RTM_NEWADDR and RTM_DELADDR.
func (q *query) changeAddress() error {
	if len(q.r.body) < 8 {
		return abi.EINVAL
	}
	index := int32(binary.LittleEndian.Uint32(q.r.body[4:]))
	at := q.r.attributes(8)
	ip := addrOf(at[abi.IFA_LOCAL])
	peer := addrOf(at[abi.IFA_ADDRESS])
	if !ip.IsValid() {
		ip = peer
	}
	if peer == ip {
		peer = netip.Addr{}
	}
	bits := int(q.r.body[1])
	if !ip.IsValid() || familyOf(ip) != q.family() || bits > ip.BitLen() {
		return abi.EINVAL
	}
	a := netstack.Address{Prefix: netip.PrefixFrom(ip, bits), Peer: peer, Broadcast: addrOf(at[abi.IFA_BROADCAST]), Scope: q.r.body[3], Permanent: true}
	a.Flags = uint32(q.r.body[2])
	if has(at, abi.IFA_FLAGS) {
		a.Flags = u32Of(at[abi.IFA_FLAGS])
	}
	if a.Flags &= abi.IFA_F_NODAD | abi.IFA_F_NOPREFIXROUTE; ip.Is4() {
		a.Flags &^= abi.IFA_F_NODAD
	}
	l, ok := q.stack().LinkByIndex(index)
	if !ok {
		return abi.ENODEV
	}
	var err error
	if q.r.typ == abi.RTM_NEWADDR {
		err = q.stack().AddAddress(index, a)
	} else {
		err = q.stack().RemoveAddress(index, a.Prefix)
	}
	if err != nil {
		return err
	}
	group := uint32(abi.RTNLGRP_IPV4_IFADDR)
	if ip.Is6() {
		group = abi.RTNLGRP_IPV6_IFADDR
	}
	q.notify(group, func(note *query) { note.address(&l, &a, q.r.typ) })
	return nil
}

// rules is the answer to RTM_GETRULE: the three that Linux starts with.
func (q *query) rules() {
	for _, f := range []byte{abi.AF_INET, abi.AF_INET6} {
		if want := q.family(); want != 0 && want != f {
			continue
		}
		for _, r := range []struct {
			priority uint32
			table    byte
		}{{0, abi.RT_TABLE_LOCAL}, {32766, abi.RT_TABLE_MAIN}, {32767, abi.RT_TABLE_DEFAULT}} {
			if f == abi.AF_INET6 && r.table == abi.RT_TABLE_DEFAULT {
				continue
			}
			q.begin(abi.RTM_NEWRULE, []byte{f, 0, 0, 0, r.table, 0, 0, abi.FR_ACT_TO_TBL, 0, 0, 0, 0})
			q.out.u32(abi.FRA_TABLE, uint32(r.table))
			q.out.u32(abi.FRA_SUPPRESS_PREFIXLEN, ^uint32(0))
			q.out.u8(abi.FRA_PROTOCOL, abi.RTPROT_KERNEL)
			if r.priority != 0 {
				q.out.u32(abi.FRA_PRIORITY, r.priority)
			}
			q.out.end()
		}
	}
}

// neighbours is the answer to RTM_GETNEIGH.
func (q *query) neighbours() {
	for _, n := range q.stack().Neighbours() {
		if q.wants(n.IP) {
			q.oneNeighbour(&n, abi.RTM_NEWNEIGH)
		}
	}
}

// oneNeighbour writes a struct ndmsg.
func (q *query) oneNeighbour(n *netstack.Neighbour, typ uint16) {
	fixed := []byte{familyOf(n.IP), 0, 0, 0}
	fixed = binary.LittleEndian.AppendUint32(fixed, uint32(n.Link))
	fixed = binary.LittleEndian.AppendUint16(fixed, n.State)
	q.begin(typ, append(fixed, 0, abi.RTN_UNICAST))
	q.out.ip(abi.NDA_DST, n.IP)
	if n.MAC != [6]byte{} {
		q.out.attr(abi.NDA_LLADDR, n.MAC[:])
	}
	q.out.end()
}

// neighbour reads a struct ndmsg with its attributes.
func (q *query) neighbour() (netstack.Neighbour, error) {
	if len(q.r.body) < 12 {
		return netstack.Neighbour{}, abi.EINVAL
	}
	at := q.r.attributes(12)
	n := netstack.Neighbour{IP: addrOf(at[abi.NDA_DST]), Link: int32(binary.LittleEndian.Uint32(q.r.body[4:]))}
	if !n.IP.IsValid() {
		return n, abi.EINVAL
	}
	if _, ok := q.stack().LinkByIndex(n.Link); !ok {
		return n, abi.ENODEV
	}
	if len(at[abi.NDA_LLADDR]) == len(n.MAC) {
		copy(n.MAC[:], at[abi.NDA_LLADDR])
	}
	return n, nil
}

// addNeighbour is RTM_NEWNEIGH of a permanent neighbour.
func (q *query) addNeighbour() error {
	n, err := q.neighbour()
	switch {
	case err != nil:
		return err
	case n.MAC == [6]byte{}:
		return abi.EINVAL
	}
	if q.r.flags&(abi.NLM_F_CREATE|abi.NLM_F_EXCL) == abi.NLM_F_CREATE|abi.NLM_F_EXCL {
		for _, o := range q.stack().Neighbours() {
			if o.IP == n.IP && o.Link == n.Link {
				return abi.EEXIST
			}
		}
	}
	if err := q.stack().AddNeighbour(n); err != nil {
		return err
	}
	n.State = abi.NUD_PERMANENT
	q.notify(abi.RTNLGRP_NEIGH, func(note *query) { note.oneNeighbour(&n, abi.RTM_NEWNEIGH) })
	return nil
}

// delNeighbour is RTM_DELNEIGH.
func (q *query) delNeighbour() error {
	n, err := q.neighbour()
	if err != nil {
		return err
	}
	if err := q.stack().RemoveNeighbour(n.Link, n.IP); err != nil {
		return err
	}
	n.State = abi.NUD_FAILED
	q.notify(abi.RTNLGRP_NEIGH, func(note *query) { note.oneNeighbour(&n, abi.RTM_DELNEIGH) })
	return nil
}

// notify sends a message that build writes to a group.
func (q *query) notify(group uint32, build func(*query)) {
	note := query{Socket: q.Socket, r: &request{body: q.r.body}}
	build(&note)
	q.ns.multicast(abi.NETLINK_ROUTE, group, note.out.b)
}

// has reports whether a list of attributes has one.
func has(at map[uint16][]byte, typ uint16) bool {
	_, ok := at[typ]
	return ok
}
