package inet

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"lazaret/netstack"
	"lazaret/syscalls/abi"
)

// ProcNet implements proc.NetFiles: files of /proc/net, once there is something to show.
func (n *Namespace) ProcNet(name string, b []byte) ([]byte, bool) {
	if !n.Stack.Built() {
		return b, false
	}
	w := bytes.NewBuffer(b)
	switch name {
	case "tcp", "tcp6", "udp", "udp6", "raw", "raw6", "icmp", "icmp6":
		n.showSockets(w, name)
	case "dev":
		n.showDev(w)
	case "route":
		n.showRoute(w)
	case "if_inet6":
		n.showInet6(w)
	case "ipv6_route":
		n.showRoute6(w)
	case "arp":
		n.showARP(w)
	case "sockstat":
		n.showSockstat(w)
	case "ip_tables_names", "ip6_tables_names":
		for _, t := range n.Stack.TableNames(name == "ip6_tables_names") {
			w.WriteString(t + "\n")
		}
	default:
		return b, false
	}
	return w.Bytes(), true
}

// socketFile says which sockets a file of /proc/net lists, and how wide its lines are.
var socketFile = map[string]struct {
	kind  netstack.Kind
	v6    bool
	width int
	drops bool
}{
	"tcp": {netstack.TCP, false, 149, false}, "tcp6": {netstack.TCP, true, 0, false},
	"udp": {netstack.UDP, false, 127, true}, "udp6": {netstack.UDP, true, 0, true},
	"raw": {netstack.Raw, false, 0, true}, "raw6": {netstack.Raw, true, 0, true},
	"icmp": {netstack.Ping, false, 127, true}, "icmp6": {netstack.Ping, true, 0, true},
}

const (
	head4 = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
	head6 = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
)

func (n *Namespace) showSockets(w *bytes.Buffer, name string) {
	f := socketFile[name]
	head := head4
	if f.v6 {
		head = head6
	}
	if f.drops {
		head += " ref pointer drops"
	}
	if name == "udp" {
		head = " " + head
	}
	fmt.Fprintf(w, "%-*s\n", f.width, head)
	var list []Description
	for _, s := range n.Sockets() {
		if d := s.Describe(); d.Kind == f.kind && (d.Family == abi.AF_INET6) == f.v6 && (d.Kind != netstack.TCP && d.Local.Port != 0 || d.State != abi.TCP_CLOSE) {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b Description) int { return cmp.Compare(a.Inode, b.Inode) })
	for i := range list {
		d := &list[i]
		width := 4
		if name == "udp" || name == "udp6" {
			width = 5
		}
		line := fmt.Sprintf("%*d: %s:%04X %s:%04X %02X %08X:%08X 00:00000000 00000000 %5d        0 %d 1 0000000000000000",
			width, i, hexIP(d.Local.IP, f.v6), d.Local.Port, hexIP(d.Remote.IP, f.v6), d.Remote.Port, d.State, sent(d), d.ReadQueue, d.UID, d.Inode)
		if f.kind == netstack.TCP {
			line += " 100 0 0 10 0"
		} else {
			line += " 0"
		}
		fmt.Fprintf(w, "%-*s\n", f.width, line)
	}
}

// sent is tx_queue, which a listener does not have.
func sent(d *Description) int {
	if d.State == abi.TCP_LISTEN {
		return 0
	}
	return d.WriteQueue
}

// hexIP writes an address as /proc/net does: words in the machine's order.
func hexIP(ip netip.Addr, v6 bool) string {
	raw := make([]byte, 4, 16)
	if v6 {
		raw = raw[:16]
		if ip.IsValid() {
			a := ip.As16()
			copy(raw, a[:])
		}
	} else {
		copy(raw, as4(ip))
	}
	out := ""
	for ; len(raw) > 0; raw = raw[4:] {
		out += fmt.Sprintf("%08X", binary.LittleEndian.Uint32(raw))
	}
	return out
}

func (n *Namespace) showDev(w *bytes.Buffer) {
	w.WriteString("Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n")
	for _, l := range n.Stack.Links() {
		c := n.Stack.CountersOf(l.Index)
		fmt.Fprintf(w, "%6s: %7d %7d %4d %4d %4d %5d %10d %9d %8d %7d %4d %4d %4d %5d %7d %10d\n", l.Name,
			c.RxBytes, c.RxPackets, c.RxErrors, c.RxDropped, 0, 0, 0, c.Multicast, c.TxBytes, c.TxPackets, c.TxErrors, c.TxDropped, 0, 0, 0, 0)
	}
}

// Flags of a route (route.h).
const (
	rtfUp      = 1
	rtfGateway = 2
	rtfHost    = 4
)

func (n *Namespace) linkName(index int32) string {
	l, _ := n.Stack.LinkByIndex(index)
	return l.Name
}

func routeFlags(r *netstack.Route) int {
	f := rtfUp
	if r.Gateway.IsValid() {
		f |= rtfGateway
	}
	if r.Dst.Bits() == r.Dst.Addr().BitLen() {
		f |= rtfHost
	}
	return f
}

func (n *Namespace) showRoute(w *bytes.Buffer) {
	fmt.Fprintf(w, "%-127s\n", "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT")
	for _, r := range n.Stack.Routes() {
		if !r.Dst.Addr().Is4() {
			continue
		}
		var mask [4]byte
		binary.BigEndian.PutUint32(mask[:], ^uint32(0)<<(32-r.Dst.Bits()))
		line := fmt.Sprintf("%s\t%s\t%s\t%04X\t0\t0\t%d\t%s\t%d\t0\t0", n.linkName(r.Link), hexIP(r.Dst.Addr(), false), hexIP(r.Gateway, false),
			routeFlags(&r), r.Metric, hexIP(netip.AddrFrom4(mask), false), r.MTU)
		fmt.Fprintf(w, "%-127s\n", line)
	}
}

func hex16(ip netip.Addr) string {
	if !ip.IsValid() {
		ip = netip.IPv6Unspecified()
	}
	a := ip.As16()
	return fmt.Sprintf("%x", a[:])
}

func (n *Namespace) showInet6(w *bytes.Buffer) {
	for _, l := range n.Stack.Links() {
		for _, a := range n.Stack.Addresses(l.Index) {
			ip := a.Prefix.Addr()
			if !ip.Is6() {
				continue
			}
			scope := 0
			switch {
			case ip.IsLoopback():
				scope = 0x10
			case ip.IsLinkLocalUnicast():
				scope = 0x20
			}
			fmt.Fprintf(w, "%s %02x %02x %02x 80 %8s\n", hex16(ip), l.Index, a.Prefix.Bits(), scope, l.Name)
		}
	}
}

func (n *Namespace) showRoute6(w *bytes.Buffer) {
	line := func(dst netip.Prefix, gw netip.Addr, metric uint32, flags uint32, dev string) {
		fmt.Fprintf(w, "%s %02x %032x 00 %s %08x 00000001 00000000 %08x %8s\n", hex16(dst.Addr()), dst.Bits(), 0, hex16(gw), metric, flags, dev)
	}
	for _, r := range n.Stack.Routes() {
		if r.Dst.Addr().Is6() {
			line(r.Dst, r.Gateway, r.Metric, uint32(routeFlags(&r)), n.linkName(r.Link))
		}
	}
	for _, l := range n.Stack.Links() {
		for _, a := range n.Stack.Addresses(l.Index) {
			if ip := a.Prefix.Addr(); ip.Is6() {
				line(netip.PrefixFrom(ip, 128), netip.Addr{}, 0, 0x80200001, l.Name)
			}
		}
	}
}

func (n *Namespace) showARP(w *bytes.Buffer) {
	w.WriteString("IP address       HW type     Flags       HW address            Mask     Device\n")
	for _, e := range n.Stack.Neighbours() {
		if !e.IP.Is4() {
			continue
		}
		flags := 0
		if e.State&(abi.NUD_REACHABLE|abi.NUD_STALE|abi.NUD_DELAY|abi.NUD_PROBE|abi.NUD_PERMANENT) != 0 {
			flags = 2 // ATF_COM
		}
		if e.State&abi.NUD_PERMANENT != 0 {
			flags |= 4
		}
		fmt.Fprintf(w, "%-16s 0x%-10x0x%-10x%02x:%02x:%02x:%02x:%02x:%02x     *        %s\n", e.IP, 1, flags,
			e.MAC[0], e.MAC[1], e.MAC[2], e.MAC[3], e.MAC[4], e.MAC[5], n.linkName(e.Link))
	}
}

func (n *Namespace) showSockstat(w *bytes.Buffer) {
	var count [4]int
	all := n.Sockets()
	for _, s := range all {
		if !s.v6 {
			count[s.kind]++
		}
	}
	fmt.Fprintf(w, "sockets: used %d\nTCP: inuse %d orphan 0 tw 0 alloc %d mem 0\nUDP: inuse %d mem 0\nUDPLITE: inuse 0\nRAW: inuse %d\nFRAG: inuse 0 memory 0\n",
		len(all), count[netstack.TCP], count[netstack.TCP], count[netstack.UDP], count[netstack.Raw])
}
