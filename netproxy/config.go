package netproxy

import (
	"net/netip"

	"lazaret/netstack"
	"lazaret/syscalls/abi"
)

// The network inside, as users of slirp4netns know it.
var (
	guest4   = netip.MustParseAddr("10.0.2.100")
	gateway4 = netip.MustParseAddr("10.0.2.2")
	dns4     = netip.MustParseAddr("10.0.2.3")
	net4     = netip.MustParsePrefix("10.0.2.0/24")

	guest6   = netip.MustParseAddr("fd00::100")
	gateway6 = netip.MustParseAddr("fd00::2")
	dns6     = netip.MustParseAddr("fd00::3")
	net6     = netip.MustParsePrefix("fd00::/64")
)

const (
	// mtu is large because nothing but two processes is between the ends.
	mtu       = 65520
	guestLink = 2 // index of eth0, after lo
	dnsPort   = 53
)

var (
	guestMAC   = [6]byte{0x52, 0x55, 10, 0, 2, 100}
	gatewayMAC = [6]byte{0x52, 0x55, 10, 0, 2, 2}
)

// Config is what the process gets to know.
type Config struct {
	LinkFD       int
	Resolvers    []netip.Addr // of the host; the relay inside asks them
	HostLoopback bool         // the gateway's addresses lead to the host's loopback
	Published    []Published
}

// Published is a socket of the host whose connections, or datagrams, go inside.
type Published struct {
	FD   int // a listening TCP socket, or a bound UDP one
	UDP  bool
	Port uint16 // inside
}

// Nameserver is where the relay of names is, inside.
func Nameserver() string { return dns4.String() }

// ResolvConf is what /etc/resolv.conf inside has to say.
func ResolvConf(search []string) string {
	text := ""
	if len(search) > 0 {
		text = "search"
		for _, d := range search {
			text += " " + d
		}
		text += "\n"
	}
	return text + "nameserver " + Nameserver() + "\n"
}

// Guest is the interface inside, for netstack.Stack.Apply.
func Guest() *netstack.Config {
	link := netstack.HostLink{
		Link: netstack.Link{Index: guestLink, Name: "eth0", Type: abi.ARPHRD_ETHER, MTU: mtu, MAC: guestMAC, TxLen: 1000,
			Flags: abi.IFF_UP | abi.IFF_RUNNING | abi.IFF_BROADCAST | abi.IFF_MULTICAST},
		Wire: true,
		Addresses: []netstack.Address{
			{Prefix: netip.PrefixFrom(guest4, net4.Bits()), Broadcast: netip.MustParseAddr("10.0.2.255"), Permanent: true},
			{Prefix: netip.PrefixFrom(guest6, net6.Bits()), Permanent: true},
		},
	}
	c := &netstack.Config{Links: []netstack.HostLink{link}, Routes: []netstack.Route{
		{Dst: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Gateway: gateway4, Link: guestLink, Proto: protoBoot},
		{Dst: netip.PrefixFrom(netip.IPv6Unspecified(), 0), Gateway: gateway6, Link: guestLink, Proto: protoBoot, Metric: 1024},
	}}
	for _, ip := range []netip.Addr{gateway4, dns4, gateway6, dns6} {
		c.Neighbours = append(c.Neighbours, netstack.Neighbour{IP: ip, Link: guestLink, MAC: gatewayMAC})
	}
	return c
}

// protoBoot is RTPROT_BOOT: a route that was there when the system came up.
const protoBoot = 3
