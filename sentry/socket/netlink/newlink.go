package netlink

import (
	"encoding/binary"

	"lazaret/netstack"
	"lazaret/sentry/socket/inet"
	"lazaret/syscalls/abi"
)

const ifinfoSize = 16

// setLink is RTM_NEWLINK and RTM_SETLINK: of an interface that is there, or of a new one.
func (q *query) setLink() error {
	if len(q.r.body) < ifinfoSize {
		return abi.EINVAL
	}
	at := q.r.attributes(ifinfoSize)
	l, err := q.findLink()
	switch {
	case err == nil && q.r.typ == abi.RTM_NEWLINK && q.r.flags&abi.NLM_F_EXCL != 0:
		return abi.EEXIST
	case err == nil:
		return q.changeLink(&l, at)
	case q.r.typ == abi.RTM_NEWLINK && q.r.flags&abi.NLM_F_CREATE != 0:
		return q.makeLink(at)
	case err == abi.EINVAL:
		return abi.ENODEV // neither index nor name: how ip(8) asks whether this request exists
	}
	return err
}

// target returns the namespace that a request puts a link into; nil if it names none.
func (q *query) target(at map[uint16][]byte) (*inet.Namespace, error) {
	var ns *inet.Namespace
	fd, byFD := at[abi.IFLA_NET_NS_FD]
	pid, byPID := at[abi.IFLA_NET_NS_PID]
	switch {
	case !byFD && !byPID:
		return nil, nil
	case q.ns.find == nil:
		return nil, abi.EOPNOTSUPP
	case byFD:
		if ns = q.ns.find.ByFD(q.ctx, int32(u32Of(fd))); ns == nil {
			return nil, abi.EINVAL
		}
	default:
		if ns = q.ns.find.ByPID(q.ctx, int32(u32Of(pid))); ns == nil {
			return nil, abi.ESRCH
		}
	}
	if !q.ctx.Creds.HasCapIn(abi.CAP_NET_ADMIN, ns.UserNS) {
		return nil, abi.EPERM
	}
	return ns, nil
}

// spec reads what a new link is to be like.
func spec(body []byte, at map[uint16][]byte) netstack.LinkSpec {
	s := netstack.LinkSpec{Name: strOf(at[abi.IFLA_IFNAME]), MTU: u32Of(at[abi.IFLA_MTU]), TxLen: u32Of(at[abi.IFLA_TXQLEN]),
		Index: int32(binary.LittleEndian.Uint32(body[4:]))}
	copy(s.MAC[:], at[abi.IFLA_ADDRESS])
	return s
}

// makeLink makes a bridge, a dummy or a pair.
func (q *query) makeLink(at map[uint16][]byte) error {
	info := attributesOf(at[abi.IFLA_LINKINFO])
	kind := strOf(info[abi.IFLA_INFO_KIND])
	if kind == "" {
		return abi.EOPNOTSUPP
	}
	if name, ok := at[abi.IFLA_IFNAME]; ok && len(strOf(name)) >= abi.IFNAMSIZ {
		return abi.ERANGE // the attribute's policy
	}
	ns, err := q.target(at)
	if err != nil {
		return err
	}
	if ns == nil {
		ns = q.ns.inet
	}
	var payer netstack.Payer
	if q.acct != nil {
		payer = q.acct
	}
	want := spec(q.r.body, at)
	var index int32
	if kind == netstack.KindVeth {
		index, err = q.makePair(ns, want, attributesOf(info[abi.IFLA_INFO_DATA])[abi.VETH_INFO_PEER], payer)
	} else {
		index, err = ns.Stack.NewLink(kind, want, payer)
	}
	if err != nil {
		return err
	}
	if master, ok := at[abi.IFLA_MASTER]; ok {
		if err := ns.Stack.SetMaster(index, int32(u32Of(master))); err != nil {
			_ = ns.Stack.RemoveLink(index)
			return err
		}
	}
	if flags := binary.LittleEndian.Uint32(q.r.body[8:]); flags&abi.IFF_UP != 0 {
		return ns.Stack.SetUp(index, true)
	}
	return nil
}

// makePair makes a veth and its other end, which the request describes in a struct ifinfomsg
// with attributes of its own (VETH_INFO_PEER).
func (q *query) makePair(ns *inet.Namespace, want netstack.LinkSpec, peer []byte, payer netstack.Payer) (int32, error) {
	other, there := netstack.LinkSpec{}, ns
	if peer != nil {
		if len(peer) < ifinfoSize {
			return 0, abi.EINVAL
		}
		r := request{body: peer}
		at := r.attributes(ifinfoSize)
		other = spec(peer, at)
		if len(other.Name) >= abi.IFNAMSIZ {
			return 0, abi.ERANGE
		}
		to, err := q.target(at)
		if err != nil {
			return 0, err
		}
		if to != nil {
			there = to
		}
	}
	return ns.Stack.NewVeth(want, there.Stack, other, payer)
}

// changeLink changes what a request names: namespace and name first, as on Linux, so that what
// fails later leaves these changed.
func (q *query) changeLink(l *netstack.Link, at map[uint16][]byte) error {
	to, err := q.target(at)
	if err != nil {
		return err
	}
	st := q.stack()
	name := ""
	if binary.LittleEndian.Uint32(q.r.body[4:]) != 0 {
		name = strOf(at[abi.IFLA_IFNAME])
	}
	if to != nil && to.Stack != st {
		if err := st.Move(l.Index, to.Stack, name); err != nil {
			return err
		}
		q.ns.idOf(to.Stack) // who watches the link go is told where to
		return nil
	}
	c := netstack.LinkChange{Name: name}
	if name != "" && !netstack.ValidName(name) {
		return abi.EINVAL
	}
	if b := at[abi.IFLA_ADDRESS]; len(b) >= 6 {
		c.MAC = (*[6]byte)(b)
	}
	if b, ok := at[abi.IFLA_MTU]; ok {
		v := u32Of(b)
		c.MTU = &v
	}
	if b, ok := at[abi.IFLA_TXQLEN]; ok {
		v := u32Of(b)
		c.TxLen = &v
	}
	if c != (netstack.LinkChange{}) {
		if err := st.ChangeLink(l.Index, c); err != nil {
			return err
		}
	}
	if b, ok := at[abi.IFLA_MASTER]; ok {
		if err := st.SetMaster(l.Index, int32(u32Of(b))); err != nil {
			return err
		}
	}
	flags, change := binary.LittleEndian.Uint32(q.r.body[8:]), binary.LittleEndian.Uint32(q.r.body[12:])
	if change&abi.IFF_UP == 0 && (change != 0 || flags&abi.IFF_UP == 0) {
		return nil
	}
	return st.SetUp(l.Index, flags&abi.IFF_UP != 0)
}

// delLink is RTM_DELLINK.
func (q *query) delLink() error {
	if len(q.r.body) < ifinfoSize {
		return abi.EINVAL
	}
	l, err := q.findLink()
	if err != nil {
		return err
	}
	return q.stack().RemoveLink(l.Index)
}

// LinkChanged implements netstack.Watcher.
func (n *Namespace) LinkChanged(l netstack.Link, gone bool) {
	typ := uint16(abi.RTM_NEWLINK)
	if gone {
		typ = abi.RTM_DELLINK
	}
	if !n.heard(abi.NETLINK_ROUTE, abi.RTNLGRP_LINK) {
		return
	}
	note := query{Socket: &Socket{ns: n}, r: &request{body: make([]byte, ifinfoSize)}}
	note.link(&l, typ)
	n.multicast(abi.NETLINK_ROUTE, abi.RTNLGRP_LINK, note.out.b)
}

// heard reports whether a socket has joined a group.
func (n *Namespace) heard(protocol int, group uint32) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for k, s := range n.ports {
		s.mu.Lock()
		joined := s.groups&(1<<(group-1)) != 0
		s.mu.Unlock()
		if k.protocol == protocol && joined {
			return true
		}
	}
	return false
}
