package inet

import (
	"encoding/binary"
	"net/netip"

	"lazaret/netstack"
	"lazaret/sentry/socket"
	"lazaret/syscalls/abi"
)

// ancillaryIn takes over the ancillary data that a sender gave.
func (s *Socket) ancillaryIn(m *socket.Message, o *netstack.WriteOptions) error {
	for _, c := range m.Control.Cmsgs {
		switch {
		case c.Level == abi.SOL_IP:
			if err := s.ancillary4(c, o); err != nil {
				return err
			}
		case c.Level == abi.SOL_IPV6 && s.v6:
			if err := s.ancillary6(c, o); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Socket) ancillary4(c socket.Cmsg, o *netstack.WriteOptions) error {
	switch c.Type {
	case abi.IP_TTL:
		if len(c.Data) != 4 {
			return abi.EINVAL
		}
		v := word(c.Data)
		if v < 1 || v > 255 {
			return abi.EINVAL
		}
		o.Anc.Has, o.Anc.TTL = o.Anc.Has|netstack.HasTTL, uint8(v)
	case abi.IP_TOS:
		if len(c.Data) != 4 && len(c.Data) != 1 {
			return abi.EINVAL
		}
	case abi.IP_PKTINFO:
		if len(c.Data) != 12 {
			return abi.EINVAL
		}
		if o.To != nil && word(c.Data) != 0 {
			o.To.NIC = int32(word(c.Data))
		}
	case abi.IP_RETOPTS:
	default:
		return abi.EINVAL
	}
	return nil
}

func (s *Socket) ancillary6(c socket.Cmsg, o *netstack.WriteOptions) error {
	switch c.Type {
	case abi.IPV6_HOPLIMIT:
		if len(c.Data) != 4 {
			return abi.EINVAL
		}
		v := word(c.Data)
		if v < -1 || v > 255 {
			return abi.EINVAL
		}
		if v >= 0 {
			o.Anc.Has, o.Anc.TTL = o.Anc.Has|netstack.HasTTL, uint8(v)
		}
	case abi.IPV6_PKTINFO:
		if len(c.Data) < 20 {
			return abi.EINVAL
		}
		ip := netip.AddrFrom16([16]byte(c.Data[:16]))
		if ip.Is4In6() {
			return nil
		}
		if ip.IsUnspecified() {
			ip = netip.Addr{}
		}
		o.Anc.Has |= netstack.HasPktInfo
		o.Anc.Specific, o.Anc.Link = ip, int32(binary.LittleEndian.Uint32(c.Data[16:]))
	case abi.IPV6_TCLASS, abi.IPV6_DONTFRAG, abi.IPV6_HOPOPTS, abi.IPV6_DSTOPTS, abi.IPV6_RTHDR, abi.IPV6_RTHDRDSTOPTS:
	default:
		return abi.EINVAL
	}
	return nil
}

// ancillaryOut adds what the options ask for of a packet that was received.
func (s *Socket) ancillaryOut(m *socket.Message, r *netstack.ReadResult) {
	s.mu.Lock()
	v := &s.opts.values
	add := func(level, typ int, data []byte) {
		m.Control.Cmsgs = append(m.Control.Cmsgs, socket.Cmsg{Level: level, Type: typ, Data: data})
	}
	has := func(p netstack.Parts) bool { return r.Anc.Has&p != 0 }
	defer s.mu.Unlock()
	if has(netstack.HasStamp) {
		t := r.Anc.Stamp
		if v[optStamp] != 0 {
			add(abi.SOL_SOCKET, abi.SO_TIMESTAMP, timeval(abi.Timeval{Sec: t.Unix(), Usec: int64(t.Nanosecond() / 1000)}))
		}
		if v[optStampNS] != 0 {
			add(abi.SOL_SOCKET, abi.SO_TIMESTAMPNS, timeval(abi.Timeval{Sec: t.Unix(), Usec: int64(t.Nanosecond())}))
		}
	}
	if r.From.IP.Is4() || r.From.IP.Is4In6() {
		s.ancillaryOut4(r, add)
		return
	}
	if v[optPktInfo6] != 0 && has(netstack.HasPktInfo) {
		ip := r.Anc.Destination.As16()
		add(abi.SOL_IPV6, abi.IPV6_PKTINFO, binary.LittleEndian.AppendUint32(ip[:], uint32(r.Anc.Link)))
	}
	if v[optHopLimit6] != 0 && has(netstack.HasTTL) {
		add(abi.SOL_IPV6, abi.IPV6_HOPLIMIT, i32(int(r.Anc.TTL)))
	}
	if v[optTClass6] != 0 && has(netstack.HasTOS) {
		add(abi.SOL_IPV6, abi.IPV6_TCLASS, i32(int(r.Anc.TOS)))
	}
}

func (s *Socket) ancillaryOut4(r *netstack.ReadResult, add func(int, int, []byte)) {
	v := &s.opts.values
	has := func(p netstack.Parts) bool { return r.Anc.Has&p != 0 }
	if v[optPktInfo] != 0 && has(netstack.HasPktInfo) {
		b := i32(int(r.Anc.Link))
		b = append(b, as4(r.Anc.Specific)...)
		add(abi.SOL_IP, abi.IP_PKTINFO, append(b, as4(r.Anc.Destination)...))
	}
	if v[optRecvTTL] != 0 && has(netstack.HasTTL) {
		add(abi.SOL_IP, abi.IP_TTL, i32(int(r.Anc.TTL)))
	}
	if v[optRecvTOS] != 0 && has(netstack.HasTOS) {
		add(abi.SOL_IP, abi.IP_TOS, []byte{r.Anc.TOS})
	}
	if v[optOrigDst] != 0 && has(netstack.HasOriginal) {
		b := make([]byte, sizeIn4)
		binary.LittleEndian.PutUint16(b, abi.AF_INET)
		binary.BigEndian.PutUint16(b[2:], r.Anc.Original.Port)
		copy(b[4:], as4(r.Anc.Original.IP))
		add(abi.SOL_IP, abi.IP_ORIGDSTADDR, b)
	}
}

// as4 returns the bytes of an IPv4 address, zeros for what is none.
func as4(ip netip.Addr) []byte {
	if ip = ip.Unmap(); !ip.Is4() {
		return make([]byte, 4)
	}
	b := ip.As4()
	return b[:]
}

// recvError is recvmsg(2) with MSG_ERRQUEUE: the packet that failed, and a struct
// sock_extended_err with the address of who complained.
func (s *Socket) recvError(m *socket.Message) (int, error) {
	e, ok := s.ep.Load().TakeQueuedError()
	if !ok {
		return 0, abi.EAGAIN
	}
	s.mu.Lock()
	s.err = 0 // the next one's is pending now, if there is one
	s.mu.Unlock()
	n := m.Bufs.CopyFrom(e.Payload)
	m.Flags = abi.MSG_ERRQUEUE
	if n < len(e.Payload) {
		m.Flags |= abi.MSG_TRUNC
	}
	m.Name = s.sockaddr(e.Dst)
	b := binary.LittleEndian.AppendUint32(nil, uint32(e.Errno))
	b = append(b, e.Origin, e.Type, e.Code, 0)
	b = binary.LittleEndian.AppendUint32(b, e.Info)
	b = append(b, 0, 0, 0, 0)
	if e.Origin != abi.SO_EE_ORIGIN_LOCAL {
		r := netstack.ReadResult{From: e.Offender, Anc: netstack.Ancillary{Has: netstack.HasTTL | netstack.HasStamp | netstack.HasPktInfo,
			TTL: e.TTL, Stamp: e.Stamp, Link: e.Link, Destination: e.Local}}
		s.ancillaryOut(m, &r)
	}
	level, typ := abi.SOL_IP, abi.IP_RECVERR
	if s.v6 && !e.Dst.IP.Unmap().Is4() {
		level, typ = abi.SOL_IPV6, abi.IPV6_RECVERR
	}
	offender := make([]byte, sizeIn4)
	if e.Offender.IP.IsValid() {
		offender = s.sockaddr(netstack.Addr{IP: e.Offender.IP})
	}
	m.Control.Cmsgs = append(m.Control.Cmsgs, socket.Cmsg{Level: level, Type: typ, Data: append(b, offender...)})
	return n, nil
}
