package netstack

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Bounds of a bridge: Linux has at most 1024 ports too.
const (
	maxPorts = 1023
	maxFDB   = 4096
	ageing   = 300 * time.Second
)

// bridge is a learning bridge, without spanning tree: its ports are links of the same stack,
// and what they receive comes here and not to the stack. The link itself is one more port.
type bridge struct {
	ether
	up atomic.Bool

	pmu   sync.Mutex
	ports []*tap
	fdb   map[tcpip.LinkAddress]fdbEntry
}

// fdbEntry is where an address was seen last.
type fdbEntry struct {
	port *tap
	at   time.Time
}

// addPort makes a link a port: what it receives comes to the bridge from now on.
func (b *bridge) addPort(t *tap) bool {
	b.pmu.Lock()
	defer b.pmu.Unlock()
	if len(b.ports) >= maxPorts {
		return false
	}
	b.ports = append(slices.Clone(b.ports), t)
	t.bridge.Store(b)
	return true
}

// delPort takes a port out and forgets what is behind it.
func (b *bridge) delPort(t *tap) {
	t.bridge.Store(nil)
	b.pmu.Lock()
	defer b.pmu.Unlock()
	b.ports = slices.DeleteFunc(slices.Clone(b.ports), func(o *tap) bool { return o == t })
	for a, e := range b.fdb {
		if e.port == t {
			delete(b.fdb, a)
		}
	}
}

// lowest returns the smallest address of the ports, which a bridge takes for its own unless
// it was given one.
func (b *bridge) lowest() (mac [6]byte, ok bool) {
	b.pmu.Lock()
	defer b.pmu.Unlock()
	for _, t := range b.ports {
		a := t.LinkAddress()
		if !ok || bytes.Compare([]byte(a), mac[:]) < 0 {
			copy(mac[:], a)
			ok = true
		}
	}
	return mac, ok
}

// learn notes from where an address sends.
func (b *bridge) learn(src tcpip.LinkAddress, from *tap) {
	if src[0]&1 != 0 {
		return
	}
	b.pmu.Lock()
	defer b.pmu.Unlock()
	if _, known := b.fdb[src]; !known && len(b.fdb) >= maxFDB {
		for any := range b.fdb {
			delete(b.fdb, any) // addresses that nobody asks for must not keep new ones out
			break
		}
	}
	if b.fdb == nil {
		b.fdb = map[tcpip.LinkAddress]fdbEntry{}
	}
	b.fdb[src] = fdbEntry{from, time.Now()}
}

// routes returns the ports that a frame for dst goes to, and whether it is (also) for the
// bridge's own stack.
func (b *bridge) routes(dst tcpip.LinkAddress, from *tap) (to []*tap, local bool) {
	own := dst == b.LinkAddress()
	b.pmu.Lock()
	defer b.pmu.Unlock()
	if own || slices.ContainsFunc(b.ports, func(t *tap) bool { return t.LinkAddress() == dst }) {
		return nil, true
	}
	if e, ok := b.fdb[dst]; ok && dst[0]&1 == 0 {
		if time.Since(e.at) < ageing {
			if e.port == from {
				return nil, false
			}
			return []*tap{e.port}, false
		}
		delete(b.fdb, dst)
	}
	return b.ports, dst[0]&1 != 0
}

// behind returns what follows a frame's link header.
func behind(p *stack.PacketBuffer) buffer.Buffer {
	b := p.ToBuffer()
	b.TrimFront(int64(len(p.LinkHeader().Slice())))
	return b
}

// forward sends a frame out of ports, but for the one that it came from.
func forward(p *stack.PacketBuffer, to []*tap, from *tap) {
	for _, t := range to {
		if t == from || !t.up.Load() {
			continue
		}
		out := stack.NewPacketBuffer(stack.PacketBufferOptions{
			ReserveHeaderBytes: header.EthernetMinimumSize, Payload: behind(p)})
		copy(out.LinkHeader().Push(header.EthernetMinimumSize), p.LinkHeader().Slice())
		out.NetworkProtocolNumber = header.Ethernet(p.LinkHeader().Slice()).Type()
		var list stack.PacketBufferList
		list.PushBack(out)
		_, _ = t.WritePackets(list)
		list.Reset()
	}
}

// port takes a frame that a port received.
// TRUST: the frame is what somebody on the network sent.
func (b *bridge) port(from *tap, p *stack.PacketBuffer) {
	if !b.up.Load() || !from.up.Load() {
		return
	}
	eth := header.Ethernet(p.LinkHeader().Slice())
	b.learn(eth.SourceAddress(), from)
	dst := eth.DestinationAddress()
	to, local := b.routes(dst, from)
	forward(p, to, from)
	if !local {
		return
	}
	in := inbound(p)
	if in == nil {
		return
	}
	defer in.DecRef()
	b.mu.RLock()
	d := b.disp
	b.mu.RUnlock()
	if d != nil {
		in.NetworkProtocolNumber = eth.Type()
		d.DeliverNetworkPacket(eth.Type(), in)
	}
}

// WritePackets implements stack.LinkEndpoint: what the stack sends through the bridge.
func (b *bridge) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	if !b.up.Load() {
		return pkts.Len(), nil
	}
	for _, p := range pkts.AsSlice() {
		to, _ := b.routes(header.Ethernet(p.LinkHeader().Slice()).DestinationAddress(), nil)
		forward(p, to, nil)
	}
	return pkts.Len(), nil
}
