package netlink

import (
	"encoding/binary"

	"lazaret/netstack"
	"lazaret/syscalls/abi"
)

// IF_OPER_* and struct rtnl_link_stats64.
const (
	operUnknown   = 0
	operDown      = 2
	operLowerDown = 3
	operUp        = 6
	stats64       = 25 * 8
	stats32       = 24 * 4
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
	switch {
	case l.Flags&abi.IFF_UP == 0:
		oper = operDown
	case l.Flags&abi.IFF_RUNNING == 0 && l.Kind == netstack.KindVeth:
		oper = operLowerDown
	case l.Flags&abi.IFF_RUNNING == 0:
		oper = operDown
	case l.Kind == netstack.KindDummy:
		oper = operUnknown
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
	promiscuity := uint32(0)
	if l.Master != 0 {
		promiscuity = 1
		o.u32(abi.IFLA_MASTER, uint32(l.Master))
	}
	o.u32(abi.IFLA_PROMISCUITY, promiscuity)
	o.u32(abi.IFLA_NUM_TX_QUEUES, 1)
	o.u32(abi.IFLA_NUM_RX_QUEUES, 1)
	o.u8(abi.IFLA_CARRIER, carrier(l))
	o.str(abi.IFLA_QDISC, qdisc(l))
	o.attr(abi.IFLA_MAP, make([]byte, 32))
	o.attr(abi.IFLA_ADDRESS, l.MAC[:])
	broadcast := make([]byte, 6)
	if !loopback {
		broadcast = []byte{255, 255, 255, 255, 255, 255}
	}
	o.attr(abi.IFLA_BROADCAST, broadcast)
	q.linkStats(l.Index)
	q.linkKind(l)
	o.end()
}

// carrier is IFLA_CARRIER: a link that is down is not said to have none.
func carrier(l *netstack.Link) uint8 {
	if l.Flags&(abi.IFF_UP|abi.IFF_RUNNING) == abi.IFF_UP {
		return 0
	}
	return 1
}

// linkKind adds what a link that was made in the sandbox has: its kind, and where the other
// end of a pair is.
func (q *query) linkKind(l *netstack.Link) {
	if l.Kind == "" {
		return
	}
	var info builder
	info.str(abi.IFLA_INFO_KIND, l.Kind)
	if l.Master != 0 {
		info.str(abi.IFLA_INFO_SLAVE_KIND, netstack.KindBridge)
	}
	q.out.attr(abi.IFLA_LINKINFO, info.b)
	if st, index, ok := q.stack().PeerOf(l.Index); ok {
		q.out.u32(abi.IFLA_LINK, uint32(index))
		if st != q.stack() {
			q.out.u32(abi.IFLA_LINK_NETNSID, uint32(q.ns.idOf(st)))
		}
	}
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
