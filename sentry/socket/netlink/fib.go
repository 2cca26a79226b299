package netlink

import (
	"encoding/binary"
	"net/netip"

	"lazaret/netstack"
	"lazaret/syscalls/abi"
)

const rtmsgSize = 12

// routes is the answer to RTM_GETROUTE: the main table, then what the local table says of
// the addresses.
func (q *query) routes() {
	for _, six := range []bool{false, true} {
		for _, r := range q.stack().Routes() {
			if r.Dst.Addr().Is6() == six && q.wants(r.Dst.Addr()) {
				q.fib(&r, abi.RT_TABLE_MAIN, abi.RTN_UNICAST, abi.RTM_NEWROUTE)
			}
		}
		for _, l := range q.stack().Links() {
			for _, a := range q.stack().Addresses(l.Index) {
				if ip := a.Prefix.Addr(); ip.Is6() == six && q.wants(ip) {
					q.localRoutes(&l, &a)
				}
			}
		}
	}
}

// localRoutes are what an address adds to the local table.
func (q *query) localRoutes(l *netstack.Link, a *netstack.Address) {
	ip := a.Prefix.Addr()
	r := netstack.Route{Dst: netip.PrefixFrom(ip, ip.BitLen()), Source: ip, Link: l.Index, Scope: netstack.ScopeHost, Proto: abi.RTPROT_KERNEL}
	if ip.Is6() {
		r.Source, r.Scope = netip.Addr{}, netstack.ScopeUniverse
	} else if l.Flags&abi.IFF_LOOPBACK != 0 {
		whole := r
		whole.Dst = a.Prefix.Masked()
		q.fib(&whole, abi.RT_TABLE_LOCAL, abi.RTN_LOCAL, abi.RTM_NEWROUTE)
	}
	q.fib(&r, abi.RT_TABLE_LOCAL, abi.RTN_LOCAL, abi.RTM_NEWROUTE)
	if ip.Is4() && a.Prefix.Bits() < 31 {
		r.Dst, r.Scope = netip.PrefixFrom(lastOf(a.Prefix), 32), netstack.ScopeLink
		q.fib(&r, abi.RT_TABLE_LOCAL, abi.RTN_BROADCAST, abi.RTM_NEWROUTE)
	}
}

// lastOf returns the last address of an IPv4 prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	v := binary.BigEndian.Uint32(b[:]) | (1<<(32-p.Bits()) - 1)
	binary.BigEndian.PutUint32(b[:], v)
	return netip.AddrFrom4(b)
}

// fib writes a struct rtmsg.
func (q *query) fib(r *netstack.Route, table, kind byte, typ uint16) {
	f := familyOf(r.Dst.Addr())
	q.begin(typ, []byte{f, byte(r.Dst.Bits()), 0, 0, table, r.Proto, r.Scope, kind, 0, 0, 0, 0})
	o := &q.out
	o.u32(abi.RTA_TABLE, uint32(table))
	if r.Dst.Bits() > 0 {
		o.ip(abi.RTA_DST, r.Dst.Addr())
	}
	if r.Metric != 0 || f == abi.AF_INET6 && table == abi.RT_TABLE_MAIN {
		o.u32(abi.RTA_PRIORITY, r.Metric)
	}
	if r.MTU != 0 {
		var m builder
		m.u32(abi.RTAX_MTU, r.MTU)
		o.attr(abi.RTA_METRICS, m.b)
	}
	o.ip(abi.RTA_GATEWAY, r.Gateway)
	o.ip(abi.RTA_PREFSRC, r.Source)
	o.u32(abi.RTA_OIF, uint32(r.Link))
	if f == abi.AF_INET6 {
		o.u8(abi.RTA_PREF, 0)
	}
	o.end()
}

// getRoute is RTM_GETROUTE of one destination (ip route get).
func (q *query) getRoute() error {
	if len(q.r.body) < rtmsgSize {
		return abi.EINVAL
	}
	at := q.r.attributes(rtmsgSize)
	dst := addrOf(at[abi.RTA_DST])
	if !dst.IsValid() {
		return abi.EINVAL
	}
	r, err := q.stack().RouteTo(dst, addrOf(at[abi.RTA_SRC]), int32(u32Of(at[abi.RTA_OIF])))
	if err != nil {
		return abi.ENETUNREACH
	}
	table, kind := byte(abi.RT_TABLE_MAIN), byte(abi.RTN_UNICAST)
	if q.stack().IsLocal(dst) {
		table, kind, r.Link, r.Source = abi.RT_TABLE_LOCAL, abi.RTN_LOCAL, netstack.Loopback, dst
	}
	if dst.Is4() {
		table = abi.RT_TABLE_MAIN // without RTM_F_LOOKUP_TABLE
	}
	if r.Gateway == dst || !r.Gateway.IsValid() || r.Gateway.IsUnspecified() {
		r.Gateway = netip.Addr{}
	}
	r.MTU = 0
	q.fib(&r, table, kind, abi.RTM_NEWROUTE)
	// What the table's lines do not have: a copy made for the one who asked.
	flags := uint32(rtmCloned)
	if kind == abi.RTN_LOCAL && dst.Is4() {
		flags |= rtcfLocal
	}
	binary.LittleEndian.PutUint32(q.out.b[q.out.start+hdrSize+8:], flags)
	q.out.u32(abi.RTA_UID, q.ctx.Creds.UserNS.UID(q.ctx.Creds.EUID))
	q.out.attr(abi.RTA_CACHEINFO, make([]byte, 32))
	q.out.end()
	return nil
}

// Flags of rtmsg: RTM_F_CLONED and, in what is cached, RTCF_LOCAL.
const (
	rtmCloned = 0x200
	rtcfLocal = 0x80000000
	// rtnhOnlink is RTNH_F_ONLINK: the gateway is on the link whatever the addresses say.
	rtnhOnlink = 4
)

// changeRoute is RTM_NEWROUTE and RTM_DELROUTE in the main table.
func (q *query) changeRoute() error {
	if len(q.r.body) < rtmsgSize {
		return abi.EINVAL
	}
	b, at := q.r.body, q.r.attributes(rtmsgSize)
	table := uint32(b[4])
	if has(at, abi.RTA_TABLE) {
		table = u32Of(at[abi.RTA_TABLE])
	}
	if table != abi.RT_TABLE_MAIN && table != abi.RT_TABLE_UNSPEC {
		return abi.EOPNOTSUPP // TODO: policy routing
	}
	dst := addrOf(at[abi.RTA_DST])
	if !dst.IsValid() {
		if dst = netip.IPv4Unspecified(); q.family() == abi.AF_INET6 {
			dst = netip.IPv6Unspecified()
		}
	}
	if familyOf(dst) != q.family() || int(b[1]) > dst.BitLen() {
		return abi.EINVAL
	}
	r := netstack.Route{
		Dst: netip.PrefixFrom(dst, int(b[1])).Masked(), Gateway: addrOf(at[abi.RTA_GATEWAY]), Source: addrOf(at[abi.RTA_PREFSRC]),
		Link: int32(u32Of(at[abi.RTA_OIF])), Scope: b[6], Proto: b[5], Metric: u32Of(at[abi.RTA_PRIORITY]),
	}
	var err error
	if q.r.typ == abi.RTM_DELROUTE {
		err = q.stack().RemoveRoute(r)
	} else {
		err = q.addRoute(&r)
	}
	if err != nil {
		return err
	}
	group := uint32(abi.RTNLGRP_IPV4_ROUTE)
	if dst.Is6() {
		group = abi.RTNLGRP_IPV6_ROUTE
	}
	q.notify(group, func(note *query) { note.fib(&r, abi.RT_TABLE_MAIN, abi.RTN_UNICAST, q.r.typ) })
	return nil
}

// addRoute adds a route; without a link it goes where its gateway is.
func (q *query) addRoute(r *netstack.Route) error {
	if r.Link == 0 {
		if !r.Gateway.IsValid() {
			return abi.ENODEV
		}
		via, err := q.stack().RouteTo(r.Gateway, netip.Addr{}, 0)
		if err != nil {
			return abi.ENETUNREACH
		}
		r.Link = via.Link
	} else if err := q.checkHop(r); err != nil {
		return err
	}
	if r.Dst.Addr().Is6() && r.Metric == 0 {
		r.Metric = 1024
	}
	if q.r.flags&abi.NLM_F_REPLACE != 0 {
		_ = q.stack().RemoveRoute(netstack.Route{Dst: r.Dst, Metric: r.Metric})
	}
	return q.stack().AddRoute(*r)
}

// checkHop checks the link and the gateway of a route to be added : the link is up, and the
// gateway is behind it.
func (q *query) checkHop(r *netstack.Route) error {
	l, ok := q.stack().LinkByIndex(r.Link)
	switch {
	case !ok:
		return abi.ENODEV
	case l.Flags&abi.IFF_UP == 0:
		return abi.ENETDOWN
	case !r.Gateway.IsValid() || r.Gateway.IsLinkLocalUnicast() || q.r.body[8]&rtnhOnlink != 0:
		return nil
	}
	for _, a := range q.stack().Addresses(r.Link) {
		if a.Prefix.Contains(r.Gateway) || a.Peer == r.Gateway {
			return nil
		}
	}
	for _, o := range q.stack().Routes() {
		if o.Link == r.Link && !o.Gateway.IsValid() && o.Dst.Contains(r.Gateway) {
			return nil
		}
	}
	return abi.ENETUNREACH
}
