package netstack

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"lazaret/syscalls/abi"
)

// complete makes of what the host hands over, segments of up to 64 KiB whose checksums are
// still to be made, what may travel on another link: a router and a bridge need that. It
// calls emit for each frame.
// TRUST: v is the struct virtio_net_hdr of the host, the frame is what somebody on the network sent.
func complete(v, frame []byte, emit func([]byte)) {
	size := int(le.Uint16(v[4:]))
	if kind := v[1] &^ vnetECN; size > 0 && kind != 0 {
		if h, ok := layoutOf(frame); ok && h.udp == (kind == vnetUDP) && len(frame)-h.data > size {
			h.cut(frame, size, emit)
			return
		}
	}
	if start, at := int(le.Uint16(v[6:])), int(le.Uint16(v[6:]))+int(le.Uint16(v[8:])); v[0]&vnetNeedsCsum != 0 && at+2 <= len(frame) {
		sum := ^checksum.Checksum(frame[start:], 0)
		if h, ok := layoutOf(frame); ok && h.udp && sum == 0 {
			sum = 0xffff // 0 says that there is none
		}
		binary.BigEndian.PutUint16(frame[at:], sum)
	}
	emit(frame)
}

// layout is where the headers of a frame with a TCP segment or a datagram of UDP end.
type layout struct {
	v6, udp         bool
	transport, data int
	src, dst        tcpip.Address
}

func layoutOf(frame []byte) (layout, bool) {
	const eth = header.EthernetMinimumSize
	b := frame[eth:]
	var h layout
	var proto uint8
	switch header.Ethernet(frame).Type() {
	case header.IPv4ProtocolNumber:
		ip := header.IPv4(b)
		if !ip.IsValid(len(b)) {
			return h, false
		}
		h.transport, h.src, h.dst, proto = eth+int(ip.HeaderLength()), ip.SourceAddress(), ip.DestinationAddress(), ip.Protocol()
	case header.IPv6ProtocolNumber:
		ip := header.IPv6(b)
		if !ip.IsValid(len(b)) {
			return h, false
		}
		h.v6, h.transport, h.src, h.dst, proto = true, eth+header.IPv6MinimumSize, ip.SourceAddress(), ip.DestinationAddress(), ip.NextHeader()
	default:
		return h, false
	}
	switch {
	case proto == abi.IPPROTO_UDP:
		h.udp, h.data = true, h.transport+header.UDPMinimumSize
		return h, h.data <= len(frame)
	case proto != abi.IPPROTO_TCP || len(frame) < h.transport+header.TCPMinimumSize:
		return h, false
	}
	h.data = h.transport + int(header.TCP(frame[h.transport:]).DataOffset())
	return h, h.data >= h.transport+header.TCPMinimumSize && h.data <= len(frame)
}

// cut emits segments of at most size bytes of data.
func (h *layout) cut(frame []byte, size int, emit func([]byte)) {
	const eth = header.EthernetMinimumSize
	data := frame[h.data:]
	for off := 0; off < len(data); off += size {
		part := data[off:min(off+size, len(data))]
		out := append(append(make([]byte, 0, h.data+len(part)), frame[:h.data]...), part...)
		if h.v6 {
			header.IPv6(out[eth:]).SetPayloadLength(uint16(len(out) - h.transport))
		} else {
			ip := header.IPv4(out[eth:])
			ip.SetTotalLength(uint16(len(out) - eth))
			ip.SetID(ip.ID() + uint16(off/size))
			ip.SetChecksum(0)
			ip.SetChecksum(^ip.CalculateChecksum())
		}
		if h.udp {
			h.datagram(out[h.transport:])
		} else {
			h.segment(out[h.transport:], off, off+size >= len(data))
		}
		emit(out)
	}
}

// segment completes the header of a part that begins off bytes behind the first one.
func (h *layout) segment(t header.TCP, off int, last bool) {
	t.SetSequenceNumber(t.SequenceNumber() + uint32(off))
	flags := t.Flags()
	if !last {
		flags &^= header.TCPFlagFin | header.TCPFlagPsh
	}
	if off > 0 {
		flags &^= header.TCPFlagCwr
	}
	t.SetFlags(uint8(flags))
	t.SetChecksum(0)
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, h.src, h.dst, uint16(len(t)))
	t.SetChecksum(^checksum.Checksum(t, sum))
}

// datagram completes the header of one of several datagrams of a size (UDP_SEGMENT).
func (h *layout) datagram(u header.UDP) {
	u.SetLength(uint16(len(u)))
	u.SetChecksum(0)
	sum := header.PseudoHeaderChecksum(header.UDPProtocolNumber, h.src, h.dst, uint16(len(u)))
	if sum = ^checksum.Checksum(u, sum); sum == 0 {
		sum = 0xffff
	}
	u.SetChecksum(sum)
}
