package netlink

import (
	"encoding/binary"

	"lazaret/netstack"
	"lazaret/syscalls/abi"
)

// IF_OPER_* and struct rtnl_link_stats64.
const (
	operUnknown = 0
	operDown    = 2
	operUp      = 6
	stats64     = 25 * 8
	stats32     = 24 * 4
)

// getLink is RTM_GETLINK of one interface, by index or name.
func (q *query) getLink() error {
	if len(q.r.body) < 16 {
		return abi.EINVAL
	}
	l, err := q.findLink()
	if err != nil {
		return err
	}
	q.link(&l, abi.RTM_NEWLINK)
	return nil
}

// findLink returns the interface that a request with a struct ifinfomsg is about.
func (q *query) findLink() (netstack.Link, error) {
	at := q.r.attributes(16)
	var l netstack.Link
	ok := false
	switch index := int32(binary.LittleEndian.Uint32(q.r.body[4:])); {
	case index > 0:
		l, ok = q.stack().LinkByIndex(index)
	case has(at, abi.IFLA_IFNAME):
		l, ok = q.stack().LinkByName(strOf(at[abi.IFLA_IFNAME]))
	case has(at, abi.IFLA_ALT_IFNAME):
		l, ok = q.stack().LinkByName(strOf(at[abi.IFLA_ALT_IFNAME]))
	default:
		return l, abi.EINVAL
	}
	if !ok {
		return l, abi.ENODEV
	}
	return l, nil
}

// link writes a struct ifinfomsg with what programs read.
func (q *query) link(l *netstack.Link, typ uint16) {
	fixed := []byte{abi.AF_UNSPEC, 0}
	fixed = binary.LittleEndian.AppendUint16(fixed, l.Type)
	fixed = binary.LittleEndian.AppendUint32(fixed, uint32(l.Index))
	flags := l.Flags
	if flags&abi.IFF_RUNNING != 0 {
		flags |= 1 << 16 // IFF_LOWER_UP
	}
	fixed = binary.LittleEndian.AppendUint32(fixed, flags)
	q.begin(typ, binary.LittleEndian.AppendUint32(fixed, 0))
	o := &q.out
	o.str(abi.IFLA_IFNAME, l.Name)
	txlen, oper := l.TxLen, uint8(operUp)
	loopback := l.Flags&abi.IFF_LOOPBACK != 0
	if loopback {
		txlen, oper = 1000, operUnknown
	}
	if l.Flags&abi.IFF_UP == 0 {
		oper = operDown
	}
	o.u32(abi.IFLA_TXQLEN, txlen)
	o.u8(abi.IFLA_OPERSTATE, oper)
	o.u8(abi.IFLA_LINKMODE, 0)
	o.u32(abi.IFLA_MTU, l.MTU)
	if !loopback {
		o.u32(abi.IFLA_MIN_MTU, 68)
		o.u32(abi.IFLA_MAX_MTU, 65535)
	}
	o.u32(abi.IFLA_GROUP, 0)
	o.u32(abi.IFLA_PROMISCUITY, 0)
	o.u32(abi.IFLA_NUM_TX_QUEUES, 1)
	o.u32(abi.IFLA_NUM_RX_QUEUES, 1)
	o.u8(abi.IFLA_CARRIER, 1)
	o.str(abi.IFLA_QDISC, qdisc(l))
	o.attr(abi.IFLA_MAP, make([]byte, 32))
	o.attr(abi.IFLA_ADDRESS, l.MAC[:])
	broadcast := make([]byte, 6)
	if !loopback {
		broadcast = []byte{255, 255, 255, 255, 255, 255}
	}
	o.attr(abi.IFLA_BROADCAST, broadcast)
	q.linkStats(l.Index)
	o.end()
}

func qdisc(l *netstack.Link) string {
	if l.Flags&abi.IFF_UP == 0 {
		return "noop"
	}
	return "noqueue"
}

// linkStats adds the counters in both sizes.
func (q *query) linkStats(index int32) {
	c := q.stack().CountersOf(index)
	vals := []uint64{c.RxPackets, c.TxPackets, c.RxBytes, c.TxBytes, c.RxErrors, c.TxErrors, c.RxDropped, c.TxDropped, c.Multicast}
	b64, b32 := make([]byte, stats64), make([]byte, stats32)
	for i, v := range vals {
		binary.LittleEndian.PutUint64(b64[8*i:], v)
		binary.LittleEndian.PutUint32(b32[4*i:], uint32(v))
	}
	q.out.attr(abi.IFLA_STATS64, b64)
	q.out.attr(abi.IFLA_STATS, b32)
}

// setLink is RTM_NEWLINK and RTM_SETLINK of an interface that is there: up and down.
func (q *query) setLink() error {
	if len(q.r.body) < 16 {
		return abi.EINVAL
	}
	if at := q.r.attributes(16); q.r.flags&abi.NLM_F_CREATE != 0 && has(at, abi.IFLA_LINKINFO) {
		return abi.EOPNOTSUPP // TODO: links made inside the sandbox (veth, bridge, dummy)
	}
	l, err := q.findLink()
	if err == abi.EINVAL {
		return abi.ENODEV // neither index nor name: how ip(8) asks whether this request exists
	}
	if err != nil {
		return err
	}
	flags, change := binary.LittleEndian.Uint32(q.r.body[8:]), binary.LittleEndian.Uint32(q.r.body[12:])
	if change&abi.IFF_UP == 0 {
		return nil
	}
	if err := q.stack().SetUp(l.Index, flags&abi.IFF_UP != 0); err != nil {
		return err
	}
	l, _ = q.stack().LinkByIndex(l.Index)
	note := query{Socket: q.Socket, r: &request{body: q.r.body}}
	note.link(&l, abi.RTM_NEWLINK)
	q.ns.multicast(abi.NETLINK_ROUTE, abi.RTNLGRP_LINK, note.out.b)
	return nil
}
