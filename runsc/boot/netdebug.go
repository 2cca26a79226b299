package boot

import (
	"fmt"
	"net/netip"
	"os"
	"strings"

	"lazaret/netstack"
	"lazaret/runsc/control"
	"lazaret/runsc/sandbox"
	"lazaret/sentry/socket/netns"
	"lazaret/syscalls/abi"
)

// network returns the state of the container's network namespace.
func (c *container) network() (*netns.Namespace, bool) {
	if c.ns == nil || c.ns.Net == nil {
		return nil, false
	}
	n, ok := c.ns.Net.State.(*netns.Namespace)
	return n, ok
}

// interfaceStats are the counters of the interfaces, without lo; nil before the network was
// used.
func (c *container) interfaceStats() []control.InterfaceStats {
	n, ok := c.network()
	if !ok || !n.Stack.Built() {
		return nil
	}
	var out []control.InterfaceStats
	for _, l := range n.Stack.Links() {
		if l.Flags&abi.IFF_LOOPBACK != 0 {
			continue
		}
		k := n.Stack.CountersOf(l.Index)
		out = append(out, control.InterfaceStats{Name: l.Name, RxBytes: k.RxBytes, RxPackets: k.RxPackets, RxErrors: k.RxErrors, RxDropped: k.RxDropped,
			TxBytes: k.TxBytes, TxPackets: k.TxPackets, TxErrors: k.TxErrors, TxDropped: k.TxDropped})
	}
	return out
}

// captureTo starts the capture that --pcap asked for, once: the first container's.
func (s *Sentry) captureTo(st *netstack.Stack) {
	if fd := takeFD(&s.cfg.PcapFD); fd != sandbox.NoFD {
		st.Capture(os.NewFile(uintptr(fd), "pcap"))
	}
}

// netText is debug --net: interfaces, routes, neighbours, sockets and counters.
func (c *container) netText() string {
	n, ok := c.network()
	if !ok || !n.Stack.Built() {
		return "the container has not used the network\n"
	}
	var w strings.Builder
	for _, l := range n.Stack.Links() {
		k := n.Stack.CountersOf(l.Index)
		fmt.Fprintf(&w, "%d: %s flags %#x mtu %d mac %x\n", l.Index, l.Name, l.Flags, l.MTU, l.MAC[:])
		for _, a := range n.Stack.Addresses(l.Index) {
			fmt.Fprintf(&w, "    address %s\n", a.Prefix)
		}
		fmt.Fprintf(&w, "    received %d packets, %d bytes, %d dropped; sent %d packets, %d bytes, %d dropped\n",
			k.RxPackets, k.RxBytes, k.RxDropped, k.TxPackets, k.TxBytes, k.TxDropped)
	}
	for _, r := range n.Stack.Routes() {
		fmt.Fprintf(&w, "route %s", r.Dst)
		if r.Gateway.IsValid() {
			fmt.Fprintf(&w, " via %s", r.Gateway)
		}
		fmt.Fprintf(&w, " link %d metric %d\n", r.Link, r.Metric)
	}
	for _, e := range n.Stack.Neighbours() {
		fmt.Fprintf(&w, "neighbour %s link %d %x state %#x\n", e.IP, e.Link, e.MAC[:], e.State)
	}
	for _, s := range n.Sockets() {
		d := s.Describe()
		fmt.Fprintf(&w, "socket %s %s %s -> %s state %d, %d bytes to be received, inode %d\n", familyName(d.Family), kindName(d.Kind),
			addrText(d.Local), addrText(d.Remote), d.State, d.ReadQueue, d.Inode)
	}
	w.WriteString(n.Stack.CountersText())
	return w.String()
}

func familyName(f int) string {
	if f == abi.AF_INET6 {
		return "inet6"
	}
	return "inet"
}

func kindName(k netstack.Kind) string {
	return [...]string{netstack.TCP: "tcp", netstack.UDP: "udp", netstack.Ping: "ping", netstack.Raw: "raw"}[k]
}

func addrText(a netstack.Addr) string {
	if !a.IP.IsValid() {
		return fmt.Sprintf("*:%d", a.Port)
	}
	return netip.AddrPortFrom(a.IP, a.Port).String()
}
