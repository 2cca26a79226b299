package netproxy

import (
	"bytes"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"
)

// guestUDP is an endpoint of the gateway that is connected to one inside.
type guestUDP struct {
	ep tcpip.Endpoint
	ch chan struct{} // there may be something to receive
}

func newGuestUDP(ep tcpip.Endpoint, wq *waiter.Queue) *guestUDP {
	entry, ch := waiter.NewChannelEntry(waiter.ReadableEvents | waiter.EventErr | waiter.EventHUp)
	wq.EventRegister(&entry)
	select {
	case ch <- struct{}{}: // what came before counts
	default:
	}
	return &guestUDP{ep, ch}
}

// receive calls take with each datagram until the flow is over. A buffer is held only while
// there is something in it.
func (g *guestUDP) receive(f *flow, take func(b []byte)) {
	for {
		select {
		case <-g.ch:
		case <-f.done:
			return
		}
		b := buffers.Get().(*[]byte)
		more := g.drain(*b, take)
		buffers.Put(b)
		if !more {
			return
		}
	}
}

// drain takes what is there; false: there will be nothing more. Errors of the inside (nobody
// is at that port any more) are nobody's business outside.
func (g *guestUDP) drain(b []byte, take func(b []byte)) bool {
	for {
		w := tcpip.SliceWriter(b)
		r, err := g.ep.Read(&w, tcpip.ReadOptions{})
		switch err.(type) {
		case nil:
			take(b[:r.Count])
		case *tcpip.ErrWouldBlock:
			return true
		case *tcpip.ErrClosedForReceive, *tcpip.ErrNotConnected, *tcpip.ErrInvalidEndpointState:
			return false
		}
	}
}

// send drops what the inside has no room for.
func (g *guestUDP) send(b []byte) {
	_, _ = g.ep.Write(bytes.NewReader(b), tcpip.WriteOptions{})
}
