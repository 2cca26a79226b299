package netproxy

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
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
	splice(host, &guestConn{gonet.NewTCPConn(&wq, ep), ep})
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

// guestConn is a connection to a program inside.
type guestConn struct {
	*gonet.TCPConn
	ep tcpip.Endpoint
}

// finish closes the connection, and waits until what was sent has arrived: what waits is
// memory, which counts as long as it is there.
func (g *guestConn) finish() {
	_ = g.Close()
	deadline := time.Now().Add(closeWait)
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		switch tcp.EndpointState(g.ep.State()) {
		case tcp.StateClose, tcp.StateError, tcp.StateTimeWait, tcp.StateFinWait2:
			return
		}
		if time.Now().After(deadline) {
			g.ep.Abort()
			return
		}
		time.Sleep(pause)
	}
}

// splice carries bytes, ends and resets both ways until both directions have ended.
func splice(host *hostSocket, guest *guestConn) {
	var failed sync.Once
	// fail makes the other side see what happened on one: a reset.
	fail := func() {
		failed.Do(func() {
			host.reset()
			host.close()
			guest.ep.Abort()
		})
	}
	var both sync.WaitGroup
	both.Go(func() {
		if err := copyStream(host.f, guest); err != nil {
			fail()
			return
		}
		host.closeWrite()
	})
	both.Go(func() {
		if err := copyStream(guest, host.f); err != nil {
			fail()
			return
		}
		_ = guest.CloseWrite()
	})
	both.Wait()
	host.close()
	guest.finish()
}

// copyStream copies until the end, which is no error. A writer that is slow makes it wait.
func copyStream(dst io.Writer, src io.Reader) error {
	b := make([]byte, copyChunk)
	for {
		n, err := src.Read(b)
		if n > 0 {
			if _, werr := dst.Write(b[:n]); werr != nil {
				return werr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
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
	guest, err := p.dialGuest(gateway4, guest4, port)
	if err != nil {
		guest, err = p.dialGuest(gateway6, guest6, port)
	}
	if err != nil {
		host.reset()
		return
	}
	host.noDelay()
	splice(host, guest)
}

// startLimit bounds how long a program inside may take to accept: the host's client is
// connected already and waits.
const startLimit = 30 * time.Second

func (p *Proxy) dialGuest(from, to netip.Addr, port uint16) (*guestConn, error) {
	var wq waiter.Queue
	ep, terr := p.s.NewEndpoint(tcp.ProtocolNumber, netProto(to), &wq)
	if terr != nil {
		return nil, errors.New(terr.String())
	}
	entry, ch := waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventErr | waiter.EventHUp)
	wq.EventRegister(&entry)
	defer wq.EventUnregister(&entry)
	terr = ep.Bind(tcpip.FullAddress{NIC: nic, Addr: toAddress(from)})
	if terr == nil {
		terr = ep.Connect(tcpip.FullAddress{NIC: nic, Addr: toAddress(to), Port: port})
	}
	if _, ok := terr.(*tcpip.ErrConnectStarted); ok {
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		defer cancel()
		select {
		case <-ch:
			terr = ep.LastError()
		case <-ctx.Done():
			terr = &tcpip.ErrTimeout{}
		}
	}
	if terr != nil {
		ep.Abort()
		return nil, errors.New(terr.String())
	}
	return &guestConn{gonet.NewTCPConn(&wq, ep), ep}, nil
}
