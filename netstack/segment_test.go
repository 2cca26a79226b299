package netstack

import (
	"bytes"
	"slices"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// largeFrame is a frame with n bytes of TCP data whose checksum is still to be made.
func largeFrame(v6 bool, n int) []byte {
	const eth = header.EthernetMinimumSize
	ip := header.IPv4MinimumSize
	if v6 {
		ip = header.IPv6MinimumSize
	}
	b := make([]byte, eth+ip+header.TCPMinimumSize+n)
	e := header.EthernetFields{SrcAddr: "abcdef", DstAddr: "ghijkl", Type: header.IPv4ProtocolNumber}
	if v6 {
		e.Type = header.IPv6ProtocolNumber
		header.IPv6(b[eth:]).Encode(&header.IPv6Fields{PayloadLength: uint16(header.TCPMinimumSize + n), TransportProtocol: header.TCPProtocolNumber,
			HopLimit: 64, SrcAddr: tcpip.AddrFrom16([16]byte{1}), DstAddr: tcpip.AddrFrom16([16]byte{2})})
	} else {
		header.IPv4(b[eth:]).Encode(&header.IPv4Fields{TotalLength: uint16(len(b) - eth), TTL: 64, Protocol: uint8(header.TCPProtocolNumber),
			SrcAddr: tcpip.AddrFrom4([4]byte{10, 0, 0, 1}), DstAddr: tcpip.AddrFrom4([4]byte{10, 0, 0, 2})})
	}
	header.Ethernet(b).Encode(&e)
	header.TCP(b[eth+ip:]).Encode(&header.TCPFields{SrcPort: 1, DstPort: 2, SeqNum: 0xfffffff0, DataOffset: header.TCPMinimumSize,
		Flags: header.TCPFlagAck | header.TCPFlagPsh | header.TCPFlagFin})
	for i := range n {
		b[len(b)-n+i] = byte(i * 7)
	}
	return b
}

// TestComplete: large segments are cut into parts with right checksums and sequence numbers.
func TestComplete(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		frame := largeFrame(v6, 5000)
		v := make([]byte, vnetSize)
		v[0], v[1] = vnetNeedsCsum, vnetTCPv4
		if v6 {
			v[1] = vnetTCPv6
		}
		le.PutUint16(v[4:], 1400)
		h, ok := layoutOf(frame)
		if !ok {
			t.Fatal("no TCP")
		}
		le.PutUint16(v[6:], uint16(h.transport))
		le.PutUint16(v[8:], header.TCPChecksumOffset)
		var data []byte
		n := 0
		complete(v, frame, func(b []byte) {
			if !checked(header.Ethernet(b).Type(), b[header.EthernetMinimumSize:]) {
				t.Errorf("part %d has a wrong checksum", n)
			}
			if !v6 && !header.IPv4(b[header.EthernetMinimumSize:]).IsChecksumValid() {
				t.Errorf("part %d has a wrong IP checksum", n)
			}
			tcp := header.TCP(b[h.transport:])
			if want := uint32(0xfffffff0) + uint32(len(data)); tcp.SequenceNumber() != want {
				t.Errorf("part %d begins at %x, want %x", n, tcp.SequenceNumber(), want)
			}
			if last := len(data)+len(b)-h.data == 5000; (tcp.Flags()&header.TCPFlagFin != 0) != last {
				t.Errorf("part %d has the flags %v", n, tcp.Flags())
			}
			data = append(data, b[h.data:]...)
			n++
		})
		if n != 4 || !bytes.Equal(data, frame[h.data:]) {
			t.Errorf("%d parts with %d bytes", n, len(data))
		}
	}
}

// TestCompleteDatagrams: datagrams that were sent in one call (UDP_SEGMENT) become several.
func TestCompleteDatagrams(t *testing.T) {
	const eth, at = header.EthernetMinimumSize, header.EthernetMinimumSize + header.IPv4MinimumSize
	frame := make([]byte, at+header.UDPMinimumSize+250)
	header.Ethernet(frame).Encode(&header.EthernetFields{SrcAddr: "abcdef", DstAddr: "ghijkl", Type: header.IPv4ProtocolNumber})
	header.IPv4(frame[eth:]).Encode(&header.IPv4Fields{TotalLength: uint16(len(frame) - eth), TTL: 64, Protocol: uint8(header.UDPProtocolNumber),
		SrcAddr: tcpip.AddrFrom4([4]byte{10, 0, 0, 1}), DstAddr: tcpip.AddrFrom4([4]byte{10, 0, 0, 2})})
	header.UDP(frame[at:]).Encode(&header.UDPFields{SrcPort: 1, DstPort: 2, Length: uint16(len(frame) - at)})
	v := []byte{vnetNeedsCsum, vnetUDP, 0, 0, 100, 0, at, 0, 6, 0}
	var sizes []int
	complete(v, frame, func(b []byte) {
		u := header.UDP(b[at:])
		if u.Checksum() == 0 || !checked(header.IPv4ProtocolNumber, b[eth:]) || !header.IPv4(b[eth:]).IsChecksumValid() {
			t.Errorf("datagram %d has a wrong checksum", len(sizes))
		}
		sizes = append(sizes, int(u.Length())-header.UDPMinimumSize)
	})
	if !slices.Equal(sizes, []int{100, 100, 50}) {
		t.Errorf("datagrams of %d bytes", sizes)
	}
}

func FuzzComplete(f *testing.F) {
	f.Add([]byte{1, 1, 0, 0, 100, 0, 34, 0, 16, 0}, largeFrame(false, 300))
	f.Add([]byte{1, 5, 0, 0, 100, 0, 34, 0, 6, 0}, largeFrame(false, 300))
	f.Add([]byte{1, 4, 0, 0, 100, 0, 54, 0, 16, 0}, largeFrame(true, 300))
	f.Fuzz(func(_ *testing.T, v, frame []byte) {
		if len(v) >= vnetSize && len(frame) >= header.EthernetMinimumSize {
			complete(v, frame, func([]byte) {})
		}
	})
}
