package netstack

import (
	"encoding/binary"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// EngineResolver is where Docker answers for names in networks that users make: a socket of
// its daemon on the loopback of the container's network namespace on the host, which the
// stack's own lo does not lead to.
var EngineResolver = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 11}), 53)

// maxQuestions is how many questions wait for their answer; a further one takes the place
// of the oldest.
const maxQuestions = 1024

// resolver carries questions of DNS that come along lo for EngineResolver to a socket of the
// host that is connected to it, and its answers back. On the way a question has a number of
// its own, by which its answer is known.
type resolver struct {
	fd int
	lo stack.NetworkDispatcher

	mu    sync.Mutex
	next  uint16
	asked [maxQuestions]question
}

// question is one that was passed on. The zero value is none.
type question struct {
	from       netip.AddrPort
	reply      chan []byte // of who asked over TCP; it takes one answer
	id, passed uint16
}

// What an IPv4 packet with a DNS message has at least.
const (
	dnsHeader = 12
	minAsk    = header.IPv4MinimumSize + header.UDPMinimumSize + dnsHeader
)

// take passes a packet on if it is a question; false if it is something else.
// TRUST: p is what an application sent.
func (r *resolver) take(p *stack.PacketBuffer) bool {
	if p.Size() < minAsk {
		return false
	}
	v := p.ToView()
	defer v.Release()
	ip := header.IPv4(v.AsSlice())
	n := int(ip.HeaderLength())
	if !ip.IsValid(len(ip)) || ip.TransportProtocol() != header.UDPProtocolNumber || ip.More() || ip.FragmentOffset() != 0 ||
		ip.DestinationAddress() != toAddress(EngineResolver.Addr()) || int(ip.TotalLength()) < n+header.UDPMinimumSize+dnsHeader {
		return false
	}
	udp := header.UDP(ip[n:ip.TotalLength()])
	if udp.DestinationPort() != EngineResolver.Port() || int(udp.Length()) > len(udp) || udp.Length() < header.UDPMinimumSize+dnsHeader {
		return false
	}
	msg := udp[header.UDPMinimumSize:udp.Length()]
	from := netip.AddrPortFrom(fromAddress(ip.SourceAddress()), udp.SourcePort())
	id := r.note(question{from: from, id: binary.BigEndian.Uint16(msg)})
	out := append([]byte(nil), msg...)
	binary.BigEndian.PutUint16(out, id)
	_, _ = unix.Write(r.fd, out) // what is lost is asked again
	return true
}

// note keeps a question until its answer comes, and returns the number that it is passed on by.
func (r *resolver) note(q question) uint16 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	q.passed = r.next
	r.asked[q.passed%maxQuestions] = q
	return q.passed
}

// forget gives a question up.
func (r *resolver) forget(passed uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := &r.asked[passed%maxQuestions]; q.passed == passed {
		*q = question{}
	}
}

// serve carries answers until the socket is gone.
func (r *resolver) serve() {
	b := make([]byte, header.UDPMaximumSize)
	for {
		n, err := unix.Read(r.fd, b)
		switch {
		case err == unix.EINTR, err == unix.ECONNREFUSED: // of an earlier question
		case err != nil:
			return
		case n >= dnsHeader:
			r.answer(b[:n])
		}
	}
}

// answer delivers an answer to who asked.
// TRUST: msg comes from the host's side of a network, and ends up with who asked there.
func (r *resolver) answer(msg []byte) {
	id := binary.BigEndian.Uint16(msg)
	r.mu.Lock()
	q := r.asked[id%maxQuestions]
	if !q.from.IsValid() && q.reply == nil || q.passed != id {
		r.mu.Unlock()
		return
	}
	r.asked[id%maxQuestions] = question{}
	r.mu.Unlock()
	if q.reply != nil {
		msg = append([]byte(nil), msg...)
		binary.BigEndian.PutUint16(msg, q.id)
		select {
		case q.reply <- msg:
		default: // the same question's, a second time
		}
		return
	}
	total := header.IPv4MinimumSize + header.UDPMinimumSize + len(msg)
	if total > 1<<16-1 {
		return
	}
	b := make([]byte, total)
	ip := header.IPv4(b)
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(total), TTL: 64, Protocol: uint8(header.UDPProtocolNumber),
		SrcAddr: toAddress(EngineResolver.Addr()), DstAddr: toAddress(q.from.Addr())})
	ip.SetChecksum(^ip.CalculateChecksum())
	udp := header.UDP(b[header.IPv4MinimumSize:])
	// Without a checksum, which IPv4 allows: it does not leave this process.
	udp.Encode(&header.UDPFields{SrcPort: EngineResolver.Port(), DstPort: q.from.Port(), Length: uint16(total - header.IPv4MinimumSize)})
	copy(udp.Payload(), msg)
	binary.BigEndian.PutUint16(udp.Payload(), q.id)
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(b)})
	defer p.DecRef()
	r.lo.DeliverNetworkPacket(ipv4.ProtocolNumber, p)
}

// resolveLocked has the questions on lo answered by way of a socket of the host.
func (s *Stack) resolveLocked(fd int) {
	lo := s.findLocked(Loopback)
	if lo == nil || lo.tap == nil || lo.tap.in.NetworkDispatcher == nil {
		_ = unix.Close(fd)
		return
	}
	r := &resolver{fd: fd, lo: lo.tap.in}
	lo.tap.resolver.Store(r)
	r.takeTCP(s.s)
	go r.serve()
}
