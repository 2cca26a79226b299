package netstack

import (
	"slices"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"lazaret/syscalls/abi"
)

// Frame is a packet that passes a link. Its bytes belong to who is shown it.
type Frame struct {
	Link     int32
	Type     uint16 // ETH_P_*
	Outgoing bool
	Large    bool   // it is cut into segments, and its checksum made, further on
	Data     []byte // with an Ethernet header, of zeros on lo
}

// FrameHeader is the length of the Ethernet header of a Frame.
const FrameHeader = header.EthernetMinimumSize

// Observer is shown every packet of a namespace (packet(7)). The stack's locks are held:
// it may only take note and notify.
type Observer interface{ Frame(f *Frame) }

// Observe shows o the packets from now on.
func (s *Stack) Observe(o Observer) {
	s.get()
	s.observing.Lock()
	defer s.observing.Unlock()
	var all []Observer
	if p := s.observers.Load(); p != nil {
		all = slices.Clone(*p)
	}
	all = append(all, o)
	s.observers.Store(&all)
}

// Unobserve ends what Observe began.
func (s *Stack) Unobserve(o Observer) {
	s.observing.Lock()
	defer s.observing.Unlock()
	p := s.observers.Load()
	if p == nil {
		return
	}
	all := slices.DeleteFunc(slices.Clone(*p), func(x Observer) bool { return x == o })
	if len(all) == 0 {
		s.observers.Store(nil)
		return
	}
	s.observers.Store(&all)
}

// show shows a packet to who observes.
func (t *tap) show(proto tcpip.NetworkProtocolNumber, p *stack.PacketBuffer, outgoing bool) {
	all := t.s.observers.Load()
	if all == nil {
		return
	}
	v := p.ToView()
	defer v.Release()
	b := v.AsSlice()
	data := make([]byte, 0, FrameHeader+len(b))
	if t.loopback {
		eth := header.Ethernet(data[:FrameHeader])
		eth.Encode(&header.EthernetFields{Type: proto})
		data = data[:FrameHeader]
	}
	data = append(data, b...)
	for i, o := range *all {
		if i > 0 {
			data = slices.Clone(data)
		}
		o.Frame(&Frame{Link: t.index, Type: uint16(proto), Outgoing: outgoing, Large: p.GSOOptions.Type != stack.GSONone, Data: data})
	}
}

// SendFrame sends a packet that has its Ethernet header: ENXIO, ENETDOWN, EMSGSIZE.
func (s *Stack) SendFrame(index int32, frame []byte) error {
	l, ok := s.LinkByIndex(index)
	switch {
	case !ok:
		return abi.ENXIO
	case l.Flags&abi.IFF_UP == 0:
		return abi.ENETDOWN
	case len(frame) < FrameHeader:
		return abi.EINVAL
	case len(frame)-FrameHeader > int(l.MTU):
		return abi.EMSGSIZE
	}
	proto := header.Ethernet(frame).Type()
	if index == Loopback {
		frame = frame[FrameHeader:]
	}
	return errno(s.s.WriteRawPacket(tcpip.NICID(index), proto, buffer.MakeWithData(frame)))
}
