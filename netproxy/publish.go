package netproxy

import (
	"net/netip"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// publishUDP carries datagrams of the host to a port inside, each sender in a flow of its
// own.
func (p *Proxy) publishUDP(s *hostSocket, port uint16) {
	flows := newTable(maxUDP)
	for {
		b, n, from, err := s.recv()
		if err != nil {
			if _, ok := cause(err).(unix.Errno); ok {
				continue // what ICMP says of an answer
			}
			return
		}
		if g := p.inbound(flows, s, from, port); g != nil {
			g.send((*b)[:n])
		}
		buffers.Put(b)
	}
}

// inbound returns the endpoint that stands for a sender of the host; nil: there is none.
func (p *Proxy) inbound(flows *table, s *hostSocket, from netip.AddrPort, port uint16) *guestUDP {
	if !from.IsValid() {
		return nil
	}
	id := stack.TransportEndpointID{RemoteAddress: toAddress(from.Addr()), RemotePort: from.Port(), LocalPort: port}
	if f := flows.find(id); f != nil {
		f.touch()
		return f.guest
	}
	var wq waiter.Queue
	ep, err := p.s.NewEndpoint(udp.ProtocolNumber, netProto(guest4), &wq)
	if err != nil {
		return nil
	}
	err = ep.Bind(tcpip.FullAddress{NIC: nic, Addr: toAddress(gateway4)})
	if err == nil {
		err = ep.Connect(tcpip.FullAddress{NIC: nic, Addr: toAddress(guest4), Port: port})
	}
	if err != nil {
		ep.Close()
		return nil
	}
	g := newGuestUDP(ep, &wq)
	f := flows.add(id, udpIdle, ep.Close)
	f.guest = g
	to := sockaddr(from)
	go func() {
		defer f.end()
		g.receive(f, func(b []byte) {
			f.touch()
			s.control(func(fd int) { _ = unix.Sendto(fd, b, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, to) })
		})
	}()
	return g
}
