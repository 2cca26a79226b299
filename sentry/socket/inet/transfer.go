package inet

import (
	"io"
	"time"

	"lazaret/netstack"
	"lazaret/sentry/socket"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// source reads a message's blocks.
type source struct {
	bufs uio.Bufs
	left int
}

// Len implements netstack.Payload.
func (p *source) Len() int { return p.left }

// Read implements io.Reader.
func (p *source) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n := p.bufs.CopyTo(b)
	p.bufs = p.bufs.Skip(n)
	p.left -= n
	return n, nil
}

// sink fills a message's blocks. A stream's stops when they are full; a datagram's takes
// the rest and drops it.
type sink struct {
	bufs    uio.Bufs
	n, want int
	drop    bool // nothing is copied (MSG_TRUNC of a stream)
	packet  bool
}

// Write implements io.Writer.
func (d *sink) Write(b []byte) (int, error) {
	take := min(len(b), d.want-d.n)
	if !d.drop && take > 0 {
		d.bufs.CopyFrom(b[:take])
		d.bufs = d.bufs.Skip(take)
	}
	d.n += take
	if d.packet {
		return len(b), nil
	}
	if take < len(b) {
		return take, io.ErrShortWrite
	}
	return take, nil
}

// Send implements socket.Socket.
func (s *Socket) Send(_ *vfs.Context, m *socket.Message) (int, error) {
	if m.Flags&abi.MSG_OOB != 0 {
		return 0, abi.EOPNOTSUPP // TODO: urgent data
	}
	n := m.Bufs.Len()
	if err := s.ns.sending(n); err != nil {
		return 0, err
	}
	if s.kind == netstack.TCP {
		return s.sendTCP(m, n)
	}
	return s.sendPacket(m, n)
}

func (s *Socket) sendTCP(m *socket.Message, n int) (int, error) {
	s.mu.Lock()
	if s.err != 0 {
		e := s.takeErrorLocked()
		s.mu.Unlock()
		return 0, e
	}
	down := s.shut&shutSend != 0
	s.mu.Unlock()
	ep := s.ep.Load()
	s.noteFin(ep.State())
	if down || ep.Fresh() {
		return 0, abi.EPIPE
	}
	if n == 0 {
		return 0, nil
	}
	n, err := ep.Write(&source{m.Bufs, n}, &netstack.WriteOptions{More: m.Flags&abi.MSG_MORE != 0})
	if err != nil && err != abi.EAGAIN {
		_ = ep.TakeError() // the same one, if the stack has it twice
	}
	if err == abi.ECONNRESET && s.finSeen.Load() {
		err = abi.EPIPE
	}
	return n, err
}

func (s *Socket) sendPacket(m *socket.Message, n int) (int, error) {
	s.mu.Lock()
	if s.err != 0 {
		e := s.takeErrorLocked()
		s.mu.Unlock()
		return 0, e
	}
	peer, down := s.peer, s.shut&shutSend != 0
	s.mu.Unlock()
	if down {
		return 0, abi.EPIPE
	}
	o := netstack.WriteOptions{More: m.Flags&abi.MSG_MORE != 0}
	if len(m.Name) > 0 {
		a, err := s.destination(m.Name)
		if err != nil {
			return 0, err
		}
		o.To = a
	}
	if o.To == nil && !peer {
		return 0, abi.EDESTADDRREQ
	}
	if err := s.ancillaryIn(m, &o); err != nil {
		return 0, err
	}
	if n > 65535 {
		return 0, abi.EMSGSIZE
	}
	ep := s.ep.Load()
	if e := ep.TakeError(); e != 0 { // of an earlier packet
		return 0, e
	}
	if _, err := ep.Write(&source{m.Bufs, n}, &o); err != nil {
		if err == abi.EHOSTUNREACH {
			return 0, abi.ENETUNREACH
		}
		return 0, err
	}
	return n, nil
}

// destination parses the address of a datagram; nil with AF_UNSPEC, which means the peer.
func (s *Socket) destination(b []byte) (*netstack.Addr, error) {
	f, err := family(b)
	if err != nil {
		return nil, err
	}
	if f == abi.AF_UNSPEC {
		if s.v6 {
			return nil, nil
		}
		if len(b) < sizeIn4 {
			return nil, abi.EINVAL
		}
		a := parse4(b)
		return &a, nil
	}
	a, err := s.peerAddr(b)
	if err != nil {
		if s.v6 && err == abi.EAFNOSUPPORT {
			err = abi.EINVAL // udpv6_sendmsg
		}
		return nil, err
	}
	switch s.kind {
	case netstack.UDP:
		if a.Port == 0 {
			return nil, abi.EINVAL
		}
	default:
		a.Port = 0
	}
	return &a, nil
}

// Recv implements socket.Socket.
func (s *Socket) Recv(_ *vfs.Context, m *socket.Message) (int, error) {
	flags := m.Flags
	m.Flags = 0
	if flags&abi.MSG_ERRQUEUE != 0 {
		return s.recvError(m)
	}
	if s.kind == netstack.TCP {
		return s.recvTCP(m, flags)
	}
	return s.recvPacket(m, flags)
}

func (s *Socket) recvTCP(m *socket.Message, flags int) (int, error) {
	if flags&abi.MSG_OOB != 0 {
		return 0, abi.EINVAL // there is no urgent data
	}
	s.mu.Lock()
	ep := s.ep.Load()
	if s.listening || ep.Fresh() {
		s.mu.Unlock()
		return 0, abi.ENOTCONN
	}
	s.mu.Unlock()
	d := sink{bufs: m.Bufs, want: m.Bufs.Len(), drop: flags&abi.MSG_TRUNC != 0}
	if d.want == 0 {
		return 0, nil
	}
	_, err := ep.Read(&d, flags&abi.MSG_PEEK != 0)
	if d.n > 0 {
		if d.n >= settleStep {
			_ = s.settle()
		}
		return d.n, nil
	}
	if s.finSeen.Load() {
		return 0, nil // as long as that is known, no error hides it (SOCK_DONE)
	}
	switch err {
	case abi.EPIPE, nil:
		if e := s.takeStored(); e != 0 {
			return 0, e
		}
		return 0, nil
	case abi.EAGAIN:
		if e := s.takeStored(); e != 0 {
			return 0, e
		}
	default:
		_ = ep.TakeError() // the same one, if the stack has it twice
	}
	return 0, err
}

// takeStored returns and clears the error that Poll found.
func (s *Socket) takeStored() abi.Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.err
	s.err = 0
	return e
}

func (s *Socket) recvPacket(m *socket.Message, flags int) (int, error) {
	if flags&abi.MSG_OOB != 0 {
		return 0, abi.EOPNOTSUPP
	}
	if e := s.takeStored(); e != 0 {
		return 0, e
	}
	ep := s.ep.Load()
	for {
		d := sink{bufs: m.Bufs, want: m.Bufs.Len(), packet: true}
		first := icmpType{next: &d, skip: s.icmpOffset()}
		w := io.Writer(&d)
		if s.filters() {
			w = &first
		}
		r, err := s.read(ep, w, flags&abi.MSG_PEEK != 0)
		if err == abi.EPIPE {
			return 0, abi.EAGAIN // as for unix sockets: socket.Recv knows of the shutdown
		}
		if err != nil {
			return 0, err
		}
		if s.filters() && s.filtered(first.typ) {
			if flags&abi.MSG_PEEK != 0 {
				_, _ = ep.Read(io.Discard, false)
			}
			continue
		}
		return s.received(m, flags, &r, &d), nil
	}
}

// received fills in what is known of a packet.
func (s *Socket) received(m *socket.Message, flags int, r *netstack.ReadResult, d *sink) int {
	n := d.n
	if r.Total > d.want {
		m.Flags |= abi.MSG_TRUNC
		if flags&abi.MSG_TRUNC != 0 {
			n = r.Total
		}
	}
	if s.kind != netstack.UDP {
		r.From.Port = 0
	}
	m.Name = s.sockaddr(r.From)
	if r.Anc.Has&netstack.HasStamp != 0 && flags&abi.MSG_PEEK == 0 {
		s.mu.Lock()
		if s.opts.values[optStamp] == 0 && s.opts.values[optStampNS] == 0 {
			s.stamp = r.Anc.Stamp
		}
		s.mu.Unlock()
	}
	s.ancillaryOut(m, r)
	return n
}

// icmpType notes the type of an ICMP packet that passes through to a sink.
type icmpType struct {
	next *sink
	skip int
	seen int
	typ  uint8
}

// Write implements io.Writer.
func (w *icmpType) Write(b []byte) (int, error) {
	if w.seen == 0 && w.skip > 0 && len(b) > 0 {
		w.skip = int(b[0]&0xf) * 4
	}
	if w.seen <= w.skip && w.seen+len(b) > w.skip {
		w.typ = b[w.skip-w.seen]
	}
	w.seen += len(b)
	return w.next.Write(b)
}

// icmpOffset is where a raw socket's packets have the ICMP header.
func (s *Socket) icmpOffset() int {
	if s.v6 {
		return 0
	}
	return 20 // raw(7): behind the IPv4 header, whose length the packet tells
}

// filters reports whether ICMP_FILTER is set.
func (s *Socket) filters() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kind == netstack.Raw && s.opts.icmpFilter != 0
}

func (s *Socket) filtered(typ uint8) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return typ < 32 && s.opts.icmpFilter&(1<<typ) != 0
}

// lastStamp returns when the last packet came.
func (s *Socket) lastStamp() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stamp, !s.stamp.IsZero()
}
