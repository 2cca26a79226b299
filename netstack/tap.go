package netstack

import (
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"lazaret/syscalls/abi"
)

// tap stands before a link and sees its packets: for a capture, for packet sockets, and
// for the errors that they are.
type tap struct {
	stack.LinkEndpoint
	s        *Stack
	index    int32
	loopback bool // what goes out comes in: it is captured once
	up       atomic.Bool
	bridge   atomic.Pointer[bridge] // whose port the link is
	resolver atomic.Pointer[resolver]
	in       tapDispatcher // what the link delivers to
	acks     ackHold
}

// gsoTap is a tap of a link that cuts large segments itself.
type gsoTap struct {
	*tap
	stack.GSOEndpoint
}

// tapped puts a tap before a link.
func (s *Stack) tapped(l *link) stack.LinkEndpoint {
	t := &tap{LinkEndpoint: l.ep, s: s, index: l.Index, loopback: l.Flags&abi.IFF_LOOPBACK != 0}
	t.up.Store(l.Flags&abi.IFF_UP != 0)
	t.acks.send, t.acks.wait = t.sendHeld, ackWait
	l.tap = t
	if g, ok := l.ep.(stack.GSOEndpoint); ok {
		return gsoTap{t, g}
	}
	return t
}

// WritePackets implements stack.LinkEndpoint.
func (t *tap) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	all := pkts.AsSlice()
	for _, p := range all {
		if t.acks.keep(p, len(all) == 1) {
			return 1, nil
		}
	}
	return t.sendAll(pkts)
}

func (t *tap) sendAll(pkts stack.PacketBufferList) (int, tcpip.Error) {
	if t.s.capture != nil || t.s.observers.Load() != nil {
		for _, p := range pkts.AsSlice() {
			if t.s.capture != nil {
				t.s.capture.packet(p.NetworkProtocolNumber, p)
			}
			t.show(p.NetworkProtocolNumber, p, true)
		}
	}
	return t.LinkEndpoint.WritePackets(pkts)
}

// Attach implements stack.LinkEndpoint.
func (t *tap) Attach(d stack.NetworkDispatcher) {
	if d == nil {
		t.LinkEndpoint.Attach(d)
		return
	}
	t.in = tapDispatcher{d, t}
	t.LinkEndpoint.Attach(t.in)
}

// tapDispatcher sees what a link delivers.
type tapDispatcher struct {
	stack.NetworkDispatcher
	t *tap
}

// DeliverNetworkPacket implements stack.NetworkDispatcher.
func (d tapDispatcher) DeliverNetworkPacket(proto tcpip.NetworkProtocolNumber, p *stack.PacketBuffer) {
	t := d.t
	if t.s.capture != nil && !t.loopback {
		t.s.capture.packet(proto, p)
	}
	t.show(proto, p, false)
	if b := t.bridge.Load(); b != nil {
		b.port(t, p)
		return
	}
	if r := t.resolver.Load(); r != nil && proto == header.IPv4ProtocolNumber && r.take(p) {
		return
	}
	in, ok := t.errorIn(proto, p)
	d.NetworkDispatcher.DeliverNetworkPacket(proto, p)
	if ok {
		// After the stack, which has an opinion on some of these errors too.
		t.s.reporters.tell(&in)
	}
}
