package netstack

import (
	"hash/maphash"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// sentSegment is a packet of TCP as a link is given it.
func sentSegment(port uint16, flags header.TCPFlags, ack uint32, data string, options ...byte) *stack.PacketBuffer {
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{ReserveHeaderBytes: 80, Payload: buffer.MakeWithData([]byte(data))})
	p.TransportProtocolNumber, p.NetworkProtocolNumber = header.TCPProtocolNumber, header.IPv4ProtocolNumber
	tcp := header.TCP(p.TransportHeader().Push(header.TCPMinimumSize + len(options)))
	tcp.Encode(&header.TCPFields{SrcPort: port, DstPort: 80, AckNum: ack, DataOffset: uint8(len(tcp)), Flags: flags, WindowSize: 1000})
	copy(tcp[header.TCPMinimumSize:], options)
	ip := header.IPv4(p.NetworkHeader().Push(header.IPv4MinimumSize))
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(p.Size()), TTL: 64, Protocol: 6, SrcAddr: tcpip.AddrFrom4([4]byte{10, 0, 0, 1}), DstAddr: tcpip.AddrFrom4([4]byte{10, 0, 0, 2})})
	return p
}

// TestAckHold: what only acknowledges is kept back once answers have been following, until
// the answer, the next one, or for a while.
func TestAckHold(t *testing.T) {
	const a, d, f = header.TCPFlagAck, header.TCPFlagAck | header.TCPFlagPsh, header.TCPFlagAck | header.TCPFlagFin
	sack := []byte{1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2}
	stamp := []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}
	type step struct {
		flags header.TCPFlags
		more  uint32 // acknowledged since the last step
		data  string
		opt   []byte
		keep  bool
	}
	for name, steps := range map[string][]step{
		"answered":          {{a, 1, "", stamp, true}, {d, 0, "x", nil, false}, {a, 1, "", nil, true}},
		"no answer":         {{a, 1, "", nil, true}, {a, 1, "", nil, false}, {d, 0, "x", nil, false}, {a, 1, "", nil, false}},
		"large":             {{a, 1400, "", nil, false}, {d, 0, "x", nil, false}, {a, 1, "", nil, true}},
		"a probe's answer":  {{d, 0, "x", nil, false}, {a, 0, "", nil, false}},
		"a hole":            {{a, 1, "", sack, false}},
		"the end":           {{a, 1, "", nil, true}, {f, 0, "", nil, false}, {a, 1, "", nil, false}},
		"the same of twice": {{a, 1, "", nil, true}, {a, 0, "", nil, false}},
	} {
		h := ackHold{wait: time.Hour, send: func(*stack.PacketBuffer) { t.Errorf("%s: sent late", name) }}
		ack := uint32(0)
		give := func(s step, i int) {
			ack += s.more
			p := sentSegment(1, s.flags, ack, s.data, s.opt...)
			defer p.DecRef()
			if got := h.keep(p, true); got != s.keep {
				t.Errorf("%s: step %d: kept %v", name, i, got)
			}
		}
		for i := range int(ackTrust) {
			give(step{a, 1, "", nil, false}, -i)
			give(step{d, 0, "x", nil, false}, -i)
		}
		for i, s := range steps {
			give(s, i)
		}
		if n := h.held; n > 1 || n < 0 {
			t.Errorf("%s: %d are kept", name, n)
		}
	}
}

// slotOf is where a connection is remembered; two may share a place.
func slotOf(h *ackHold, port uint16) uint64 {
	p := sentSegment(port, header.TCPFlagAck, 0, "")
	defer p.DecRef()
	return maphash.Comparable(h.seed, flowKey(p, p.TransportHeader().Slice())) % ackFlows
}

// TestAckHoldLate: what no answer follows is sent, and the connection has to earn its trust
// again. One connection says nothing about another.
func TestAckHoldLate(t *testing.T) {
	sent := 0
	h := ackHold{wait: time.Hour, send: func(p *stack.PacketBuffer) {
		if header.TCP(p.TransportHeader().Slice()).AckNumber() != 9 {
			t.Errorf("another segment was sent late")
		}
		sent++
	}}
	give := func(port uint16, flags header.TCPFlags, ack uint32, data string) bool {
		p := sentSegment(port, flags, ack, data)
		defer p.DecRef()
		return h.keep(p, true)
	}
	for i := range uint32(ackTrust) {
		give(1, header.TCPFlagAck, i, "")
		give(1, header.TCPFlagAck, i, "x")
	}
	other := uint16(2)
	for slotOf(&h, other) == slotOf(&h, 1) {
		other++
	}
	if give(other, header.TCPFlagAck, 1, "") || !give(1, header.TCPFlagAck, 9, "") {
		t.Fatal("not what is to be kept")
	}
	h.late()
	if sent != 0 {
		t.Error("sent before its time")
	}
	h.wait = 0
	h.late()
	if sent != 1 || h.held != 0 || h.armed {
		t.Errorf("%d sent, %d kept", sent, h.held)
	}
	if give(1, header.TCPFlagAck, 10, "") {
		t.Error("kept although no answer came")
	}
}
