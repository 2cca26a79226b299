package netproxy

import (
	"context"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"lazaret/netstack"
)

// connect answers a SYN from inside: first the connection is made on the host, then, if
// that worked, accepted inside. Each runs in a goroutine of its own, at most maxStarting.
func (p *Proxy) connect(r *tcp.ForwarderRequest) {
	select {
	case p.slots <- struct{}{}:
	default:
		r.Complete(true)
		return
	}
	defer func() { <-p.slots }()
	id := r.ID()
	host, err := p.dialAny(id)
	if err != nil {
		p.refuse(r, err)
		return
	}
	defer host.close()
	var wq waiter.Queue
	ep, terr := r.CreateEndpoint(&wq)
	r.Complete(false)
	if terr != nil {
		host.reset()
		return
	}
	host.noDelay()
	carry(host, netstack.NewConn(&wq, ep))
}

// dialAny connects on the host to the first target that takes it.
func (p *Proxy) dialAny(id stack.TransportEndpointID) (*hostSocket, error) {
	err := error(unix.ECONNREFUSED)
	if ip := fromAddress(id.LocalAddress); !own(ip) {
		err = unix.EHOSTUNREACH // not allowed: nobody is there
	}
	for _, to := range p.targets(id) {
		var s *hostSocket
		if s, err = dial(unix.SOCK_STREAM, 0, to); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// own reports whether ip is one of the gateway's.
func own(ip netip.Addr) bool { return ip == gateway4 || ip == gateway6 || ip == dns4 || ip == dns6 }

// refuse tells the inside why there is no connection.
func (p *Proxy) refuse(r *tcp.ForwarderRequest, err error) {
	switch e := cause(err); e {
	case unix.ETIMEDOUT:
		r.Complete(false) // nobody answered there, so nobody answers here
	case unix.ECONNREFUSED, unix.ECONNRESET, unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
		r.Complete(true)
	default:
		if u, ok := unreachable(err); ok {
			p.sendUnreachable(r.ID(), tcp.ProtocolNumber, u)
			r.Complete(false)
			return
		}
		r.Complete(true)
	}
}

// publishTCP takes connections of the host to a port inside, as long as there is room.
func (p *Proxy) publishTCP(l *hostSocket, port uint16) {
	for {
		p.slots <- struct{}{}
		host, err := l.accept()
		if err != nil {
			<-p.slots
			// Too many descriptors, or a connection that is gone already: the next one waits
			// in the queue.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		go func() {
			defer func() { <-p.slots }()
			p.carryIn(host, port)
		}()
	}
}

// carryIn connects an accepted connection to the inside; one that is refused there is reset.
func (p *Proxy) carryIn(host *hostSocket, port uint16) {
	defer host.close()
	guest, err := p.dialGuest(netip.AddrPortFrom(gateway4, 0), netip.AddrPortFrom(guest4, port))
	if err != nil {
		guest, err = p.dialGuest(netip.AddrPortFrom(gateway6, 0), netip.AddrPortFrom(guest6, port))
	}
	if err != nil {
		host.reset()
		return
	}
	host.noDelay()
	carry(host, guest)
}

// carry carries bytes both ways until both directions have ended.
func carry(host *hostSocket, guest *netstack.Conn) {
	netstack.Splice(host, guest)
	host.close()
	guest.Finish()
}

// startLimit bounds how long a program inside may take to accept: the host's client is
// connected already and waits.
const startLimit = 30 * time.Second

func (p *Proxy) dialGuest(from, to netip.AddrPort) (*netstack.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	return netstack.Dial(ctx, p.s, tcpip.FullAddress{NIC: nic, Addr: toAddress(from.Addr())},
		tcpip.FullAddress{NIC: nic, Addr: toAddress(to.Addr()), Port: to.Port()})
}
