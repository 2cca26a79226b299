package netstack

import (
	"crypto/rand"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// ether is what all links with Ethernet frames have in common.
type ether struct {
	// promisc: frames for others are wanted too, the link is a port of a bridge.
	promisc atomic.Bool

	mu   sync.RWMutex
	disp stack.NetworkDispatcher
	addr tcpip.LinkAddress
	mtu  uint32
}

// Attach implements stack.LinkEndpoint.
func (l *ether) Attach(d stack.NetworkDispatcher) {
	l.mu.Lock()
	l.disp = d
	l.mu.Unlock()
}

// IsAttached implements stack.LinkEndpoint.
func (l *ether) IsAttached() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.disp != nil
}

// MTU implements stack.LinkEndpoint.
func (l *ether) MTU() uint32 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.mtu
}

// SetMTU implements stack.LinkEndpoint.
func (l *ether) SetMTU(n uint32) {
	l.mu.Lock()
	l.mtu = n
	l.mu.Unlock()
}

// MaxHeaderLength implements stack.LinkEndpoint.
func (*ether) MaxHeaderLength() uint16 { return header.EthernetMinimumSize }

// LinkAddress implements stack.LinkEndpoint.
func (l *ether) LinkAddress() tcpip.LinkAddress {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.addr
}

// SetLinkAddress implements stack.LinkEndpoint.
func (l *ether) SetLinkAddress(a tcpip.LinkAddress) {
	l.mu.Lock()
	l.addr = a
	l.mu.Unlock()
}

// Capabilities implements stack.LinkEndpoint. Checksums of what comes in are known to be
// right (see checked); those of what goes out are the stack's, but for large segments.
func (*ether) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityRXChecksumOffload | stack.CapabilityResolutionRequired
}

// Wait implements stack.LinkEndpoint.
func (*ether) Wait() {}

// ARPHardwareType implements stack.LinkEndpoint.
func (*ether) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }

// Close implements stack.LinkEndpoint.
func (*ether) Close() {}

// SetOnCloseAction implements stack.LinkEndpoint.
func (*ether) SetOnCloseAction(func()) {}

// AddHeader implements stack.LinkEndpoint.
func (*ether) AddHeader(p *stack.PacketBuffer) {
	h := header.Ethernet(p.LinkHeader().Push(header.EthernetMinimumSize))
	h.Encode(&header.EthernetFields{SrcAddr: p.EgressRoute.LocalLinkAddress, DstAddr: p.EgressRoute.RemoteLinkAddress, Type: p.NetworkProtocolNumber})
}

// ParseHeader implements stack.LinkEndpoint.
func (*ether) ParseHeader(p *stack.PacketBuffer) bool {
	_, ok := p.LinkHeader().Consume(header.EthernetMinimumSize)
	return ok
}

// taker returns who takes a frame for dst, nil if nobody does.
func (l *ether) taker(dst tcpip.LinkAddress) stack.NetworkDispatcher {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if dst != l.addr && dst[0]&1 == 0 && !l.promisc.Load() {
		return nil
	}
	return l.disp
}

// input delivers a frame whose link header is parsed.
func (l *ether) input(p *stack.PacketBuffer) {
	eth := header.Ethernet(p.LinkHeader().Slice())
	if d := l.taker(eth.DestinationAddress()); d != nil {
		p.NetworkProtocolNumber = eth.Type()
		d.DeliverNetworkPacket(eth.Type(), p)
	}
}

// inbound makes of a packet that was sent one that is received: what the sender's stack
// noted about it is forgotten, and the bytes are its own, since a router rewrites them. Nil
// if it is no frame.
func inbound(p *stack.PacketBuffer) *stack.PacketBuffer {
	b := p.ToBuffer()
	defer b.Release()
	in := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: b.DeepClone()})
	if _, ok := in.LinkHeader().Consume(header.EthernetMinimumSize); !ok {
		in.DecRef()
		return nil
	}
	return in
}

// randomMAC returns a locally administered address, as Linux gives to links that are made.
func randomMAC() (mac [6]byte) {
	_, _ = rand.Read(mac[:]) // never fails
	mac[0] = mac[0]&^1 | 2
	return mac
}

// dummy is a link that takes everything and receives nothing.
type dummy struct{ ether }

// WritePackets implements stack.LinkEndpoint.
func (*dummy) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) { return pkts.Len(), nil }

func (l *ether) setPromisc(on bool) { l.promisc.Store(on) }
