package netproxy

import "net/netip"

// loopback are the host's own addresses that nobody else can reach.
var loopback4, loopback6 = netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()

// destination says where on the host's network something sent to ip goes; false: nowhere.
// The relay's addresses are not asked here.
// TRUST: ip is the sandbox's. What reaches the host alone is not given: its loopback, also
// by the names that the kernel has for it (0.0.0.0, ::, mapped addresses), and what is on
// its links (a link-local address of a cloud hands out the machine's credentials).
func (p *Proxy) destination(ip netip.Addr) (netip.Addr, bool) {
	switch {
	case ip == gateway4:
		return loopback4, p.cfg.HostLoopback
	case ip == gateway6:
		return loopback6, p.cfg.HostLoopback
	case net4.Contains(ip), net6.Contains(ip), thisNetwork.Contains(ip), reserved.Contains(ip), ip.Is4In6(), translated.Contains(ip):
		return netip.Addr{}, false
	}
	return ip, ip.IsGlobalUnicast() && !ip.IsLoopback()
}

var (
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")       // RFC 1122: this host
	reserved    = netip.MustParsePrefix("240.0.0.0/4")     // RFC 1112, and broadcast
	translated  = netip.MustParsePrefix("::ffff:0:0:0/96") // RFC 2765: an IPv4 address in disguise
)
