package netstack

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// ackHold keeps back what a connection only sends to acknowledge, where an answer that
// acknowledges as well has been following at once: the stack acknowledges all that comes
// when it comes (RFC 9293 3.8.6.3 wants it delayed), and to send, and at the other end to
// receive, costs a request and its answer as much again. As on Linux a connection must look
// like one of requests and answers first, and is no longer taken for one when no answer
// came in time.
type ackHold struct {
	send func(*stack.PacketBuffer)
	wait time.Duration // ackWait, but in tests

	mu    sync.Mutex
	seed  maphash.Seed
	flows []ackFlow // nil until a first acknowledgement
	held  int
	armed bool
	timer *time.Timer
}

const (
	ackFlows = 256 // that are remembered
	// ackWait is how long an answer may take: Linux waits 40 ms.
	ackWait = 20 * time.Millisecond
	// ackTrust is how many acknowledgements an answer must have followed before one is held.
	ackTrust = 4
	// ackSmall bounds what may wait to be acknowledged: more than a segment may not
	// (RFC 5681 4.2).
	ackSmall = 536
)

// ackFlow is one direction of a connection.
type ackFlow struct {
	key    [36]byte
	used   bool
	asked  bool // an acknowledgement went out at the time since, and no answer yet
	credit uint8
	last   uint32 // the last number that was acknowledged
	since  time.Time
	held   *stack.PacketBuffer
}

// flowKey is addresses and ports of a packet of TCP.
func flowKey(p *stack.PacketBuffer, tcp header.TCP) (k [36]byte) {
	if p.NetworkProtocolNumber == header.IPv6ProtocolNumber {
		ip := header.IPv6(p.NetworkHeader().Slice())
		copy(k[:32], ip[8:40])
	} else {
		copy(k[:8], p.NetworkHeader().Slice()[12:20])
	}
	copy(k[32:], tcp[:4])
	return k
}

// plainAck reports whether a segment says nothing but what was received: its only option
// may be the time.
func plainAck(tcp header.TCP) bool {
	if tcp.Flags() != header.TCPFlagAck {
		return false
	}
	o := tcp[header.TCPMinimumSize:tcp.DataOffset()]
	return len(o) == 0 || len(o) == 12 && binary.BigEndian.Uint32(o) == 0x0101080a
}

// keep looks at a packet that is about to be sent and reports whether it is kept back.
func (h *ackHold) keep(p *stack.PacketBuffer, alone bool) bool {
	tcp := header.TCP(p.TransportHeader().Slice())
	if p.TransportProtocolNumber != header.TCPProtocolNumber || len(tcp) < header.TCPMinimumSize || p.NetworkPacketInfo.IsForwardedPacket {
		return false
	}
	size := p.Data().Size()
	plain := size == 0 && plainAck(tcp)
	key := flowKey(p, tcp)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.flows == nil {
		if !plain {
			return false
		}
		h.flows, h.seed = make([]ackFlow, ackFlows), maphash.MakeSeed()
	}
	f := &h.flows[maphash.Comparable(h.seed, key)%ackFlows]
	if !f.used || f.key != key {
		if plain && f.held == nil {
			*f = ackFlow{key: key, used: true, asked: true, last: tcp.AckNumber(), since: time.Now()}
		}
		return false
	}
	if plain {
		return h.acknowledgesLocked(f, p, tcp.AckNumber(), alone)
	}
	if f.held != nil {
		h.dropLocked(f)
	} else if f.asked && time.Since(f.since) < h.wait {
		f.credit = min(f.credit+1, ackTrust)
	}
	f.asked, f.last = false, tcp.AckNumber()
	if tcp.Flags()&(header.TCPFlagSyn|header.TCPFlagRst|header.TCPFlagFin) != 0 {
		*f = ackFlow{}
	}
	return false
}

// acknowledgesLocked is keep for what only acknowledges.
func (h *ackHold) acknowledgesLocked(f *ackFlow, p *stack.PacketBuffer, ack uint32, alone bool) bool {
	more := ack - f.last
	f.last = ack
	if f.held != nil || f.asked {
		f.credit = 0 // two, and no answer between
	}
	if f.held != nil {
		h.dropLocked(f)
	}
	f.since = time.Now()
	// What acknowledges nothing more asks for an answer or gives one: a probe, a window.
	if !alone || f.credit < ackTrust || more == 0 || more > ackSmall {
		f.asked = more != 0
		return false
	}
	f.held = p.IncRef()
	h.held++
	if !h.armed {
		h.armed = true
		if h.timer == nil {
			h.timer = time.AfterFunc(h.wait, h.late)
		} else {
			h.timer.Reset(h.wait)
		}
	}
	return true
}

// dropLocked forgets what is kept back: something that says as much is being sent.
func (h *ackHold) dropLocked(f *ackFlow) {
	f.held.DecRef()
	f.held = nil
	h.held--
}

// late sends what was kept back in vain.
func (h *ackHold) late() {
	var out []*stack.PacketBuffer
	h.mu.Lock()
	now := time.Now()
	for i := range h.flows {
		if f := &h.flows[i]; f.held != nil && now.Sub(f.since) >= h.wait/2 {
			out = append(out, f.held)
			f.held, f.credit = nil, 0
			h.held--
		}
	}
	if h.armed = h.held > 0; h.armed {
		h.timer.Reset(ackWait / 2)
	}
	h.mu.Unlock()
	for _, p := range out {
		h.send(p)
		p.DecRef()
	}
}

// sendHeld sends a packet that was kept back.
func (t *tap) sendHeld(p *stack.PacketBuffer) {
	var l stack.PacketBufferList
	l.PushBack(p)
	t.sendAll(l)
}
