package packet

import (
	"encoding/binary"
	"time"

	"lazaret/netstack"
	"lazaret/sentry/kernel/bpf"
	"lazaret/sentry/socket"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Frame implements netstack.Observer: the frame is queued, or put into the ring.
// TRUST: the frame is what somebody on the network sent.
func (s *Socket) Frame(f *netstack.Frame) {
	if !s.take(f) {
		return
	}
	s.queue.Notify(wait.In | abi.POLLRDNORM)
}

// take puts a frame into the queue or the ring, and reports whether there is something new
// to receive.
func (s *Socket) take(f *netstack.Frame) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.proto == abi.ETH_P_ALL
	switch {
	case !all && (s.proto != f.Type || f.Outgoing), s.proto == 0, s.link != 0 && s.link != f.Link, s.closed,
		f.Outgoing && s.values[valIgnoreOutgoing] != 0:
		return false
	}
	w := frame{data: f.Data, size: len(f.Data), net: netstack.FrameHeader, large: f.Large, stamp: time.Now()}
	describe(&w, f)
	if s.id.Type == abi.SOCK_DGRAM {
		w.data, w.size, w.net = w.data[w.net:], w.size-w.net, 0
	}
	snap, ok := s.filter.Pass(&bpf.Packet{Data: w.data, Net: w.net, Protocol: f.Type, Type: w.from[10], Link: uint32(f.Link),
		Hardware: binary.LittleEndian.Uint16(w.from[8:])}, 0)
	if !ok {
		return false
	}
	w.data = w.data[:snap]
	s.packets++
	if s.ring != nil {
		if !s.ring.put(&w, int(s.values[valReserve]), s.id.Type == abi.SOCK_DGRAM) {
			s.drops++
			return false
		}
		return true
	}
	cost := cap(w.data) + frameCost
	if s.bytes+cost > s.rcvbuf || s.acct != nil && s.acct.Charge(uint64(cost)) != nil {
		s.drops++
		return false
	}
	s.bytes += cost
	s.frames = append(s.frames, w)
	return true
}

// describe fills in the struct sockaddr_ll of a frame. What a link delivers is for this
// host.
func describe(w *frame, f *netstack.Frame) {
	copy(w.from[:], name(f.Link, f.Type))
	hardware := uint16(abi.ARPHRD_ETHER)
	if f.Link == netstack.Loopback {
		hardware = abi.ARPHRD_LOOPBACK
	}
	binary.LittleEndian.PutUint16(w.from[8:], hardware)
	switch dst := f.Data[:6]; {
	case f.Outgoing:
		w.from[10] = abi.PACKET_OUTGOING
	case [6]byte(dst) == [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}:
		w.from[10] = abi.PACKET_BROADCAST
	case dst[0]&1 != 0:
		w.from[10] = abi.PACKET_MULTICAST
	}
	w.from[11] = 6
	copy(w.from[12:18], f.Data[6:12])
}

// Recv implements socket.Socket.
func (s *Socket) Recv(_ *vfs.Context, m *socket.Message) (int, error) {
	flags := m.Flags
	m.Flags = 0
	if flags&abi.MSG_OOB != 0 {
		return 0, abi.EINVAL
	}
	if flags&abi.MSG_ERRQUEUE != 0 {
		return 0, abi.EAGAIN
	}
	s.mu.Lock()
	if len(s.frames) == 0 {
		s.mu.Unlock()
		return 0, abi.EAGAIN
	}
	w := s.frames[0]
	if flags&abi.MSG_PEEK == 0 {
		s.dropFirstLocked()
		s.stamp = w.stamp
	}
	aux, micro, nano := s.values[valAuxdata] != 0, s.values[valStamp] != 0, s.values[valStampNS] != 0
	s.mu.Unlock()
	n := m.Bufs.CopyFrom(w.data)
	if n < len(w.data) {
		m.Flags |= abi.MSG_TRUNC
		if flags&abi.MSG_TRUNC != 0 {
			n = len(w.data)
		}
	}
	m.Name = w.from[:]
	if micro {
		m.Control.Cmsgs = append(m.Control.Cmsgs, socket.Cmsg{Level: abi.SOL_SOCKET, Type: abi.SO_TIMESTAMP, Data: stampBytes(w.stamp, false)})
	}
	if nano {
		m.Control.Cmsgs = append(m.Control.Cmsgs, socket.Cmsg{Level: abi.SOL_SOCKET, Type: abi.SO_TIMESTAMPNS, Data: stampBytes(w.stamp, true)})
	}
	if aux {
		m.Control.Cmsgs = append(m.Control.Cmsgs, socket.Cmsg{Level: abi.SOL_PACKET, Type: abi.PACKET_AUXDATA, Data: w.auxdata()})
	}
	return n, nil
}

func (s *Socket) dropFirstLocked() {
	cost := cap(s.frames[0].data) + frameCost
	s.frames[0] = frame{}
	s.frames = s.frames[1:]
	s.bytes -= cost
	if s.acct != nil {
		s.acct.Uncharge(uint64(cost))
	}
}

// status is tp_status of a frame.
func (w *frame) status() uint32 {
	v := uint32(abi.TP_STATUS_USER)
	if w.large {
		v |= abi.TP_STATUS_CSUMNOTREADY
	}
	return v
}

// auxdata is a struct tpacket_auxdata.
func (w *frame) auxdata() []byte {
	b := append(i32(int(w.status())), i32(w.size)...)
	b = append(b, i32(len(w.data))...)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(w.net))
	return append(b, 0, 0, 0, 0)
}

// Send implements socket.Socket.
func (s *Socket) Send(_ *vfs.Context, m *socket.Message) (int, error) {
	s.mu.Lock()
	link, proto := s.link, s.proto
	s.mu.Unlock()
	var dst []byte
	if len(m.Name) > 0 {
		if len(m.Name) < minAddr || binary.LittleEndian.Uint16(m.Name) != abi.AF_PACKET || len(m.Name) < minAddr+int(m.Name[11]) {
			return 0, abi.EINVAL
		}
		link, proto = int32(binary.LittleEndian.Uint32(m.Name[4:])), binary.BigEndian.Uint16(m.Name[2:])
		dst = m.Name[minAddr:][:m.Name[11]]
	}
	l, ok := s.f.NS.Stack.LinkByIndex(link)
	n := m.Bufs.Len()
	switch {
	case !ok:
		return 0, abi.ENXIO
	case l.Flags&abi.IFF_UP == 0:
		return 0, abi.ENETDOWN
	case n > int(l.MTU)+netstack.FrameHeader:
		return 0, abi.EMSGSIZE
	}
	b := make([]byte, 0, netstack.FrameHeader+n)
	if s.id.Type == abi.SOCK_DGRAM {
		b = b[:netstack.FrameHeader]
		copy(b[:6], dst)
		copy(b[6:12], l.MAC[:])
		binary.BigEndian.PutUint16(b[12:], proto)
	}
	at := len(b)
	b = b[:at+n]
	m.Bufs.CopyTo(b[at:])
	if err := s.f.NS.Stack.SendFrame(link, b); err != nil {
		return 0, err
	}
	return n, nil
}
