package netstack

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// checked reports whether the transport checksum of a packet that the host did not verify
// is right. What is not TCP or UDP, and fragments, are the stack's own business.
func checked(proto tcpip.NetworkProtocolNumber, b []byte) bool {
	var src, dst tcpip.Address
	var transport uint8
	var payload []byte
	switch proto {
	case header.IPv4ProtocolNumber:
		h := header.IPv4(b)
		if !h.IsValid(len(b)) || h.FragmentOffset() != 0 || h.More() {
			return true
		}
		src, dst, transport = h.SourceAddress(), h.DestinationAddress(), h.Protocol()
		payload = b[h.HeaderLength():h.TotalLength()]
	case header.IPv6ProtocolNumber:
		h := header.IPv6(b)
		if !h.IsValid(len(b)) {
			return true
		}
		src, dst, transport = h.SourceAddress(), h.DestinationAddress(), h.NextHeader()
		payload = b[header.IPv6MinimumSize:][:h.PayloadLength()]
	default:
		return true
	}
	switch transport {
	case uint8(header.UDPProtocolNumber):
		if len(payload) < header.UDPMinimumSize || proto == header.IPv4ProtocolNumber && header.UDP(payload).Checksum() == 0 {
			return true // malformed, or sent without one
		}
	case uint8(header.TCPProtocolNumber):
	default:
		return true
	}
	sum := header.PseudoHeaderChecksum(tcpip.TransportProtocolNumber(transport), src, dst, uint16(len(payload)))
	return checksum.Checksum(payload, sum) == 0xffff
}
