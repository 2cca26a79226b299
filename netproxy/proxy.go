package netproxy

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"lazaret/netstack"
)

// nic is the gateway's only interface.
const nic = 1

// Proxy is the gateway of one sandbox.
type Proxy struct {
	cfg   Config
	s     *stack.Stack
	slots chan struct{} // one for each TCP connection
	udp   *table
	pings *table
	ended <-chan struct{}
}

// buffers hold what is on its way: a packet is at most 64 KiB.
var buffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

// New makes the gateway of cfg, which answers from now on.
func New(cfg Config) (*Proxy, error) {
	p := &Proxy{cfg: cfg, slots: make(chan struct{}, maxTCP), udp: newTable(maxUDP), pings: newTable(maxPings)}
	if err := unix.SetNonblock(cfg.LinkFD, false); err != nil {
		return nil, fmt.Errorf("the wire: %w", err)
	}
	for i := range cfg.Published {
		if err := unix.SetNonblock(cfg.Published[i].FD, true); err != nil {
			return nil, fmt.Errorf("published port %d: %w", cfg.Published[i].Port, err)
		}
	}
	p.s = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
	})
	if err := p.configure(); err != nil {
		return nil, fmt.Errorf("set the gateway up: %s", err)
	}
	var link stack.LinkEndpoint
	link, p.ended = netstack.NewWire(cfg.LinkFD, gatewayMAC, mtu)
	if err := p.attach(link); err != nil {
		return nil, fmt.Errorf("set the gateway up: %s", err)
	}
	return p, nil
}

// Serve carries published ports in and returns when the sandbox is gone.
func (p *Proxy) Serve() error {
	for i := range p.cfg.Published {
		b := &p.cfg.Published[i]
		if b.UDP {
			go p.publishUDP(newHostSocket(b.FD), b.Port)
		} else {
			go p.publishTCP(newHostSocket(b.FD), b.Port)
		}
	}
	<-p.ended
	return errors.New("the sandbox is gone")
}

func (p *Proxy) configure() tcpip.Error {
	sack := tcpip.TCPSACKEnabled(true)
	send := tcpip.TCPSendBufferSizeRangeOption{Min: 4 << 10, Default: tcpBuffer, Max: tcpBuffer}
	recv := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4 << 10, Default: tcpBuffer, Max: tcpBuffer}
	cc := tcpip.CongestionControlOption("cubic")
	// Nothing is delayed on the wire: no old segment can come after a second.
	wait := tcpip.TCPTimeWaitTimeoutOption(time.Second)
	recovery := tcpip.TCPRecovery(0)
	for _, o := range []tcpip.SettableTransportProtocolOption{&sack, &send, &recv, &cc, &wait, &recovery} {
		if err := p.s.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			return err
		}
	}
	if err := p.s.SetOption(tcpip.ReceiveBufferSizeOption{Min: 4 << 10, Default: udpBuffer, Max: udpBuffer}); err != nil {
		return err
	}
	return p.s.SetOption(tcpip.SendBufferSizeOption{Min: 4 << 10, Default: udpBuffer, Max: udpBuffer})
}

// attach makes the interface: it takes packets to all addresses and answers from them.
func (p *Proxy) attach(link stack.LinkEndpoint) tcpip.Error {
	forwarder := tcp.NewForwarder(p.s, 0, maxStarting, p.connect)
	p.s.SetTransportProtocolHandler(tcp.ProtocolNumber, forwarder.HandlePacket)
	p.s.SetTransportProtocolHandler(udp.ProtocolNumber, udp.NewForwarder(p.s, p.datagram).HandlePacket)
	p.s.SetTransportProtocolHandler(icmp.ProtocolNumber4, p.ping4)
	p.s.SetTransportProtocolHandler(icmp.ProtocolNumber6, p.ping6)
	if err := p.s.CreateNICWithOptions(nic, link, stack.NICOptions{Name: "wire", Disabled: true}); err != nil {
		return err
	}
	for _, a := range []netip.Prefix{
		netip.PrefixFrom(gateway4, net4.Bits()), netip.PrefixFrom(dns4, 32),
		netip.PrefixFrom(gateway6, net6.Bits()), netip.PrefixFrom(dns6, 128),
	} {
		pa := tcpip.ProtocolAddress{Protocol: netProto(a.Addr()), AddressWithPrefix: tcpip.AddressWithPrefix{
			Address: toAddress(a.Addr()), PrefixLen: a.Bits()}}
		if err := p.s.AddProtocolAddress(nic, pa, stack.AddressProperties{}); err != nil {
			return err
		}
	}
	if err := p.s.SetPromiscuousMode(nic, true); err != nil {
		return err
	}
	if err := p.s.SetSpoofing(nic, true); err != nil {
		return err
	}
	p.s.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: nic},
		{Destination: header.IPv6EmptySubnet, NIC: nic},
	})
	for _, ip := range []netip.Addr{guest4, guest6} {
		if err := p.s.AddStaticNeighbor(nic, netProto(ip), toAddress(ip), tcpip.LinkAddress(guestMAC[:])); err != nil {
			return err
		}
	}
	return p.s.EnableNIC(nic)
}

func netProto(ip netip.Addr) tcpip.NetworkProtocolNumber {
	if ip.Is4() {
		return ipv4.ProtocolNumber
	}
	return ipv6.ProtocolNumber
}

func toAddress(ip netip.Addr) tcpip.Address {
	if ip.Is4() {
		return tcpip.AddrFrom4(ip.As4())
	}
	return tcpip.AddrFrom16(ip.As16())
}

func fromAddress(a tcpip.Address) netip.Addr {
	if a.Len() == 4 {
		return netip.AddrFrom4(a.As4())
	}
	return netip.AddrFrom16(a.As16())
}

// targets is where on the host's network a flow goes; several for the relay of DNS, which
// asks one resolver after another. None: nowhere.
func (p *Proxy) targets(id stack.TransportEndpointID) []netip.AddrPort {
	ip := fromAddress(id.LocalAddress)
	if ip == dns4 || ip == dns6 {
		if id.LocalPort != dnsPort {
			return nil
		}
		var all []netip.AddrPort
		for _, r := range p.cfg.Resolvers {
			all = append(all, netip.AddrPortFrom(r, dnsPort))
		}
		return all
	}
	to, ok := p.destination(ip)
	if !ok {
		return nil
	}
	return []netip.AddrPort{netip.AddrPortFrom(to, id.LocalPort)}
}
