package netproxy

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// The parts of ICMP that are used; the layout of an echo is the same in both versions.
const (
	icmpSize = 8
	hopLimit = 64

	echo4, echoReply4, unreachable4 = 8, 0, 3
	echo6, echoReply6, unreachable6 = 128, 129, 1
)

// ping4 takes an echo request that is not for the gateway itself.
func (p *Proxy) ping4(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	return p.ping(id, pkt, header.ICMPv4ProtocolNumber, echo4)
}

// ping6 is ping4 of IPv6.
func (p *Proxy) ping6(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	return p.ping(id, pkt, header.ICMPv6ProtocolNumber, echo6)
}

// ping sends an echo request on from a ping socket of the host (icmp(7)), which gives it an
// id of its own.
// TRUST: pkt is the sandbox's.
func (p *Proxy) ping(id stack.TransportEndpointID, pkt *stack.PacketBuffer, proto tcpip.TransportProtocolNumber, echo byte) bool {
	msg := slices.Concat(pkt.TransportHeader().Slice(), pkt.Data().AsRange().ToSlice())
	if len(msg) < icmpSize || len(msg) > maxDatagram || msg[0] != echo || own(fromAddress(id.LocalAddress)) {
		return false
	}
	ident := binary.BigEndian.Uint16(msg[4:])
	key := stack.TransportEndpointID{LocalAddress: id.LocalAddress, RemoteAddress: id.RemoteAddress, LocalPort: ident}
	f := p.pings.find(key)
	if f == nil {
		targets := p.targets(id)
		if len(targets) == 0 {
			p.icmpUnreachable(id, noHost, msg[:icmpSize], proto)
			return true
		}
		s, err := dial(unix.SOCK_DGRAM, int(proto), targets[0])
		if err != nil {
			if why, ok := unreachable(err); ok {
				p.icmpUnreachable(id, why, msg[:icmpSize], proto)
			}
			return true
		}
		f = p.pings.add(key, pingIdle, s.close)
		f.host = s
		go p.pong(f, ident, proto)
	}
	f.touch()
	if err := f.host.send(msg); err != nil {
		if why, ok := unreachable(err); ok {
			p.icmpUnreachable(id, why, msg[:icmpSize], proto)
		}
	}
	return true
}

// pong carries the answers of one ping socket inside.
func (p *Proxy) pong(f *flow, ident uint16, proto tcpip.TransportProtocolNumber) {
	defer f.end()
	for {
		b, n, _, err := f.host.recv()
		if err != nil {
			if _, ok := cause(err).(unix.Errno); !ok {
				return
			}
			if why, ok := unreachable(err); ok {
				quote := make([]byte, icmpSize)
				quote[0] = echo4
				if proto == header.ICMPv6ProtocolNumber {
					quote[0] = echo6
				}
				binary.BigEndian.PutUint16(quote[4:], ident)
				p.icmpUnreachable(f.id, why, quote, proto)
			}
			continue
		}
		if n >= icmpSize {
			f.touch()
			msg := slices.Clone((*b)[:n])
			binary.BigEndian.PutUint16(msg[4:], ident)
			p.sendICMP(f.id, proto, msg)
		}
		buffers.Put(b)
	}
}

// sendUnreachable tells the inside that what it sent as part of a flow cannot arrive. What
// it sent is quoted from memory: its addresses and ports.
func (p *Proxy) sendUnreachable(id stack.TransportEndpointID, proto tcpip.TransportProtocolNumber, why unreach) {
	quote := make([]byte, icmpSize)
	binary.BigEndian.PutUint16(quote, id.RemotePort)
	binary.BigEndian.PutUint16(quote[2:], id.LocalPort)
	p.icmpUnreachable(id, why, quote, proto)
}

// icmpUnreachable sends Destination Unreachable for a packet that began with quote.
func (p *Proxy) icmpUnreachable(id stack.TransportEndpointID, why unreach, quote []byte, proto tcpip.TransportProtocolNumber) {
	var ip, msg []byte
	icmpProto := header.ICMPv4ProtocolNumber
	if id.LocalAddress.Len() == header.IPv4AddressSize {
		ip = make([]byte, header.IPv4MinimumSize)
		h := header.IPv4(ip)
		h.Encode(&header.IPv4Fields{TotalLength: uint16(len(ip) + len(quote)), TTL: hopLimit, Protocol: uint8(proto),
			SrcAddr: id.RemoteAddress, DstAddr: id.LocalAddress})
		h.SetChecksum(^h.CalculateChecksum())
		msg = []byte{unreachable4, why.v4, 0, 0, 0, 0, 0, 0}
	} else {
		ip = make([]byte, header.IPv6MinimumSize)
		header.IPv6(ip).Encode(&header.IPv6Fields{PayloadLength: uint16(len(quote)), TransportProtocol: proto, HopLimit: hopLimit,
			SrcAddr: id.RemoteAddress, DstAddr: id.LocalAddress})
		icmpProto = header.ICMPv6ProtocolNumber
		msg = []byte{unreachable6, why.v6, 0, 0, 0, 0, 0, 0}
	}
	p.sendICMP(id, icmpProto, slices.Concat(msg, ip, quote))
}

// sendICMP sends msg inside, from the address that the inside had sent to.
func (p *Proxy) sendICMP(id stack.TransportEndpointID, proto tcpip.TransportProtocolNumber, msg []byte) {
	r, err := p.s.FindRoute(nic, id.LocalAddress, id.RemoteAddress, netProto(fromAddress(id.RemoteAddress)), false)
	if err != nil {
		return
	}
	defer r.Release()
	msg[2], msg[3] = 0, 0
	sum := checksum.Checksum(msg, 0)
	if proto == header.ICMPv6ProtocolNumber {
		sum = checksum.Checksum(msg, header.PseudoHeaderChecksum(proto, id.LocalAddress, id.RemoteAddress, uint16(len(msg))))
	}
	binary.BigEndian.PutUint16(msg[2:], ^sum)
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{ReserveHeaderBytes: int(r.MaxHeaderLength()), Payload: buffer.MakeWithData(msg)})
	defer pkt.DecRef()
	_ = r.WritePacket(stack.NetworkHeaderParams{Protocol: proto, TTL: hopLimit}, pkt)
}
