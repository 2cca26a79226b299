package netstack

import (
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Bounds of what waits at one end of a pair; more is dropped, as from a full queue.
const (
	vethPackets = 1000
	vethBytes   = 2 << 20
)

// veth is one end of a pair (veth(4)): what one sends the other receives. A packet waits in
// the receiver's queue and is delivered by a goroutine that ends when that is empty: the
// sender holds locks of its stack, which the answer may need.
type veth struct {
	ether
	peer  *veth
	owner atomic.Pointer[Stack] // nil when it is gone
	up    atomic.Bool

	qmu     sync.Mutex
	queue   []*stack.PacketBuffer
	bytes   int
	running bool
}

// newPair returns two ends.
func newPair() (a, b *veth) {
	a, b = &veth{}, &veth{}
	a.peer, b.peer = b, a
	return a, b
}

// WritePackets implements stack.LinkEndpoint.
func (v *veth) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	to := v.peer
	if !v.up.Load() || !to.up.Load() {
		return pkts.Len(), nil
	}
	start := false
	to.qmu.Lock()
	for _, p := range pkts.AsSlice() {
		if len(to.queue) >= vethPackets || to.bytes+p.Size() > vethBytes {
			break
		}
		if in := inbound(p); in != nil {
			to.queue = append(to.queue, in)
			to.bytes += in.Size()
		}
	}
	if len(to.queue) > 0 && !to.running {
		to.running, start = true, true
	}
	to.qmu.Unlock()
	if start {
		go to.drain()
	}
	return pkts.Len(), nil
}

// drain delivers what waits, and ends.
func (v *veth) drain() {
	for {
		v.qmu.Lock()
		batch := v.queue
		v.queue, v.bytes = nil, 0
		if len(batch) == 0 {
			v.running = false
			v.qmu.Unlock()
			return
		}
		v.qmu.Unlock()
		for _, p := range batch {
			v.input(p)
			p.DecRef()
		}
	}
}
