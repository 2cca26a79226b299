package netstack

import (
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"lazaret/syscalls/abi"
)

// wire is what a packetLink over one end of a socket pair has more: a process is at the
// other end instead of an interface. Sending waits while that is busy, for as long as the
// socket's SO_SNDTIMEO says: two stacks that wait for one another must both go on.
type wire struct {
	whole bool
	owner *Stack // whose link index it is; nil at the gateway's end
	index int32
	ended chan struct{} // the gateway's end; closed when the other one is gone
}

// NewWire returns the gateway's end of a wire. ended is closed when the other end is gone.
func NewWire(fd int, mac [6]byte, mtu uint32) (ep stack.LinkEndpoint, ended <-chan struct{}) {
	w := wire{whole: true, ended: make(chan struct{})}
	l := newPacketLink(fd, mac, mtu)
	l.wire = w
	return l, w.ended
}

func (w *wire) sendFlags() int {
	if w.whole {
		return unix.MSG_NOSIGNAL
	}
	return unix.MSG_DONTWAIT
}

// lost is called when nothing more will be received.
func (w *wire) lost() {
	if w.ended != nil {
		close(w.ended)
	}
	if w.owner != nil {
		w.owner.linkLost(w.index)
	}
}

// linkLost takes a link down for good whose other end is gone: its connections fail now and
// not when somebody's patience ends, and what is sent finds no way.
func (s *Stack) linkLost(index int32) {
	s.mu.Lock()
	l := s.findLocked(index)
	if l == nil {
		s.mu.Unlock()
		return
	}
	own := map[tcpip.Address]bool{}
	for _, a := range l.addrs {
		own[toAddress(a.Prefix.Addr())] = true
	}
	l.Flags &^= abi.IFF_RUNNING
	_ = s.s.DisableNIC(tcpip.NICID(index))
	s.mu.Unlock()
	for _, ep := range s.s.RegisteredEndpoints() {
		e, ok := ep.(tcpip.Endpoint)
		if !ok {
			continue
		}
		i, ok := e.Info().(*stack.TransportEndpointInfo)
		if ok && own[i.ID.LocalAddress] && i.ID.RemoteAddress.Len() != 0 && !own[i.ID.RemoteAddress] {
			ep.Abort()
		}
	}
}
