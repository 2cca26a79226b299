package netstack

import (
	"encoding/binary"
	"io"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// maxCapture bounds the file that a capture writes.
const maxCapture = 1 << 30

// capture writes the IP packets of all links to a file that tcpdump reads (--pcap).
type capture struct {
	mu   sync.Mutex
	w    io.Writer
	left int
}

// Capture makes the stack write its packets to w, in pcap format.
// Preconditions: nothing has used the network yet.
func (s *Stack) Capture(w io.Writer) {
	const linkRaw, version, snap = 101, 2 | 4<<16, 256 << 10
	c := &capture{w: w, left: maxCapture}
	var b []byte
	for _, v := range []uint32{0xa1b2c3d4, version, 0, 0, snap, linkRaw} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	if _, err := w.Write(b); err == nil {
		s.capture = c
	}
}

// packet writes one packet, without its link header.
func (c *capture) packet(proto tcpip.NetworkProtocolNumber, p *stack.PacketBuffer) {
	if proto != header.IPv4ProtocolNumber && proto != header.IPv6ProtocolNumber {
		return
	}
	v := p.ToView()
	defer v.Release()
	data := v.AsSlice()[len(p.LinkHeader().Slice()):]
	now := time.Now()
	b := make([]byte, 0, 16+len(data))
	for _, n := range []uint32{uint32(now.Unix()), uint32(now.Nanosecond() / 1000), uint32(len(data)), uint32(len(data))} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	b = append(b, data...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left -= len(b); c.left < 0 {
		return
	}
	if _, err := c.w.Write(b); err != nil {
		c.left = 0
	}
}
