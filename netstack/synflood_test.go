package netstack

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// segment is a TCP segment to port 80 of 10.0.0.2.
func segment(from byte, port uint16, seq, ack uint32, flags header.TCPFlags) []byte {
	b := make([]byte, 14+20+20)
	header.Ethernet(b).Encode(&header.EthernetFields{SrcAddr: "\x02\x00\x00\x00\x00\x02", DstAddr: "\x02\x00\x00\x00\x00\x01", Type: header.IPv4ProtocolNumber})
	src, dst := tcpip.AddrFrom4([4]byte{10, 0, 0, from}), tcpip.AddrFrom4([4]byte{10, 0, 0, 2})
	ip := header.IPv4(b[14:])
	ip.Encode(&header.IPv4Fields{TotalLength: 40, TTL: 64, Protocol: 6, SrcAddr: src, DstAddr: dst})
	ip.SetChecksum(^ip.CalculateChecksum())
	h := header.TCP(b[34:])
	h.Encode(&header.TCPFields{SrcPort: port, DstPort: 80, SeqNum: seq, AckNum: ack, DataOffset: 20, Flags: flags, WindowSize: 65535})
	h.SetChecksum(^checksum.Checksum(b[34:], header.PseudoHeaderChecksum(6, src, dst, 20)))
	return b
}

// TestSynFlood: connections that are only begun are bounded, cost no memory to speak of, and
// do not shut out who completes one.
func TestSynFlood(t *testing.T) {
	s, l, wire := wired(t)
	for _, ip := range []string{"10.0.0.1", "10.0.0.3"} {
		if err := s.AddNeighbour(Neighbour{IP: netip.MustParseAddr(ip), Link: 2, MAC: [6]byte{2, 0, 0, 0, 0, 2}}); err != nil {
			t.Fatal(err)
		}
	}
	e, err := s.NewEndpoint(TCP, false, 0, deaf{})
	if err == nil {
		err = e.Bind(Addr{Port: 80})
	}
	if err == nil {
		err = e.Listen(64)
	}
	if err != nil {
		t.Fatal(err)
	}
	const guest = 7777
	answer := make(chan uint32, 16)
	go func() { // ends with the wire
		buf := make([]byte, 2000)
		for {
			n, err := unix.Read(wire, buf)
			if err != nil || n == 0 {
				return
			}
			if f := buf[vnetSize:n]; len(f) >= 54 && header.Ethernet(f).Type() == header.IPv4ProtocolNumber && f[23] == 6 {
				if h := header.TCP(f[34:]); h.DestinationPort() == guest && h.Flags() == header.TCPFlagSyn|header.TCPFlagAck {
					select {
					case answer <- h.SequenceNumber():
					default:
					}
				}
			}
		}
	}()
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for port := range uint16(20000) {
		l.deliver(vnetDataValid, segment(1, 1024+port, uint32(port), 0, header.TCPFlagSyn))
	}
	grown := func() int64 { return (int64(heap()) - int64(before)) >> 20 }
	if n := grown(); n > 64 {
		t.Errorf("20000 connections that are begun cost %d MiB", n)
	}
	for range 100 {
		if grown() < 8 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if n := grown(); n >= 8 {
		t.Errorf("20000 connections that were only begun keep %d MiB", n)
	}
	for range 100 {
		l.deliver(vnetDataValid, segment(3, guest, 100, 0, header.TCPFlagSyn))
		select {
		case seq := <-answer:
			l.deliver(vnetDataValid, segment(3, guest, 101, seq+1, header.TCPFlagAck))
		case <-time.After(50 * time.Millisecond):
		}
		if c, _, err := e.Accept(); err == nil {
			c.Abort()
			return
		}
	}
	t.Error("the flood shuts out who completes a connection")
}
