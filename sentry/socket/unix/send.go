package unix

import (
	"lazaret/sentry/kernel/bpf"
	"lazaret/sentry/socket"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Send implements socket.Socket.
func (s *Socket) Send(ctx *vfs.Context, m *socket.Message) (int, error) {
	if m.Flags&abi.MSG_OOB != 0 && (s.typ != abi.SOCK_STREAM || m.Bufs.Len() == 0) {
		return 0, abi.EOPNOTSUPP
	}
	if h := s.host.Load(); h != nil && (len(m.Name) == 0 || s.typ != abi.SOCK_DGRAM) {
		return s.sendHost(h, m)
	}
	if s.typ == abi.SOCK_STREAM {
		return s.sendStream(ctx, m)
	}
	return s.sendPacket(ctx, m)
}

// takeErrLocked returns and clears the pending error.
func (s *Socket) takeErrLocked() error {
	if e := s.err; e != 0 {
		s.err = 0
		return e
	}
	return nil
}

// reserve takes cost from SO_SNDBUF, or fails with abi.EAGAIN. One message may exceed it.
func (s *Socket) reserve(cost int) error {
	if s.inFlight.Load() >= s.sndbuf.Load() {
		return abi.EAGAIN
	}
	if s.acct != nil {
		if err := s.acct.Charge(uint64(cost)); err != nil {
			return abi.ENOBUFS
		}
	}
	s.inFlight.Add(int64(cost))
	return nil
}

// release gives the cost back; it returns whether a writer should be told.
func (m *message) release() {
	s := m.sender
	if s.acct != nil {
		s.acct.Uncharge(uint64(m.cost))
	}
	s.inFlight.Add(int64(-m.cost))
	if s.writable() {
		s.queue.Notify(wait.Out | abi.POLLWRNORM | abi.POLLWRBAND)
	}
}

// discard drops messages that nobody will read.
func discard(ms []*message) {
	for _, m := range ms {
		dropFiles(m)
		m.release()
	}
}

func (s *Socket) newMessage(ctx *vfs.Context, m *socket.Message, n, cost int) *message {
	msg := &message{data: make([]byte, n), sender: s, cost: cost}
	m.Bufs.CopyTo(msg.data)
	msg.creds, _ = credsOf(ctx)
	if ctx.Creds != nil {
		msg.creds.UID, msg.creds.GID = ctx.Creds.RUID, ctx.Creds.RGID
	}
	if m.Control.Creds != nil {
		msg.creds = *m.Control.Creds
	}
	return msg
}

func (s *Socket) sendStream(ctx *vfs.Context, m *socket.Message) (int, error) {
	s.mu.Lock()
	peer, down, state := s.peer, s.shutdown&shutSend != 0, s.state
	s.mu.Unlock()
	switch {
	case len(m.Name) > 0 && state == stateConnected:
		return 0, abi.EISCONN
	case len(m.Name) > 0:
		return 0, abi.EOPNOTSUPP
	case peer == nil && state != stateConnected:
		return 0, abi.ENOTCONN
	case down:
		return 0, abi.EPIPE
	}
	total, done := m.Bufs.Len(), 0
	rest := *m
	for done < total {
		n, err := 1, error(nil)
		switch left := total - done; {
		case m.Flags&abi.MSG_OOB == 0:
			n, err = s.sendChunk(ctx, peer, &rest, left)
		case left > 1:
			n, err = s.sendChunk(ctx, peer, &rest, left-1)
		default:
			err = s.sendUrgent(ctx, peer, &rest)
		}
		if err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
		done += n
		rest.Bufs, rest.Control.Files = m.Bufs.Skip(done), nil
	}
	return done, nil
}

// sendChunk queues one message of at most left bytes at peer.
func (s *Socket) sendChunk(ctx *vfs.Context, peer *Socket, m *socket.Message, left int) (int, error) {
	size := min(left, int(s.sndbuf.Load()>>1)-64, streamPiece)
	msg, err := s.streamMessage(ctx, peer, m, size)
	if err != nil {
		return 0, err
	}
	peer.mu.Lock()
	err = peer.pushStreamLocked(msg)
	peer.mu.Unlock()
	if err != nil {
		detach(msg)
		msg.release()
		return 0, err
	}
	peer.queue.Notify(wait.In | abi.POLLRDNORM)
	return size, nil
}

// streamMessage makes a message of size bytes of m for peer.
func (s *Socket) streamMessage(ctx *vfs.Context, peer *Socket, m *socket.Message, size int) (*message, error) {
	s.mu.Lock()
	err := s.takeErrLocked()
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	cost := streamCost(size)
	if err := s.reserve(cost); err != nil {
		return nil, err
	}
	msg := s.newMessage(ctx, m, size, cost)
	if err := attach(ctx, msg, peer, m.Control.Files); err != nil {
		msg.release()
		return nil, err
	}
	return msg, nil
}

func (s *Socket) pushStreamLocked(msg *message) error {
	if s.closed || s.shutdown&shutRecv != 0 {
		return abi.EPIPE
	}
	s.recv.push(msg)
	return nil
}

// preparePacket checks what Linux checks before it looks for the receiver of a datagram of
// n bytes, in its order.
func (s *Socket) preparePacket(addr []byte, n int) ([]byte, error) {
	s.mu.Lock()
	var err error
	if s.typ == abi.SOCK_SEQPACKET {
		if err = s.takeErrLocked(); err == nil && s.state != stateConnected {
			err = abi.ENOTCONN
		}
		addr = nil
	}
	needName := s.opts.passCred && s.name == nil && s.typ == abi.SOCK_DGRAM
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var name []byte
	if len(addr) > 0 {
		if name, err = parseAddr(addr); err != nil {
			return nil, err
		}
	}
	if needName {
		if err := s.autobind(); err != nil {
			return nil, err
		}
	}
	if int64(n) > s.sndbuf.Load()-32 {
		return nil, abi.EMSGSIZE
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.takeErrLocked(); err != nil {
		return nil, err
	}
	if s.shutdown&shutSend != 0 {
		return nil, abi.EPIPE
	}
	return name, nil
}

// destination returns the socket of that name, without a name the peer. The caller must
// call done.
func (s *Socket) destination(ctx *vfs.Context, name []byte) (target, error) {
	if name != nil {
		return s.ns.resolve(ctx, name, s.typ)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peer == nil {
		return target{}, abi.ENOTCONN
	}
	return target{sock: s.peer}, nil
}

func (s *Socket) sendPacket(ctx *vfs.Context, m *socket.Message) (int, error) {
	n := m.Bufs.Len()
	name, err := s.preparePacket(m.Name, n)
	if err != nil {
		return 0, err
	}
	cost := packetCost(n)
	if err := s.reserve(cost); err != nil {
		return 0, err
	}
	msg := s.newMessage(ctx, m, n, cost)
	msg.name = s.boundName()
	to, err := s.destination(ctx, name)
	defer to.done()
	if err == nil && to.host != nil {
		msg.release()
		return s.sendHostOnce(to.host, m)
	}
	if err == nil {
		err = attach(ctx, msg, to.sock, m.Control.Files)
	}
	if err == nil {
		if err = s.deliver(to.sock, msg); err != nil {
			detach(msg)
		}
	}
	if err != nil {
		msg.release()
		return 0, err
	}
	return n, nil
}

// deliver queues a datagram at to.
func (s *Socket) deliver(to *Socket, msg *message) error {
	to.mu.Lock()
	if to.closed {
		to.mu.Unlock()
		return s.deadPeer(to)
	}
	n, pass := to.filter.Pass(&bpf.Packet{Data: msg.data}, 1)
	if !pass {
		to.mu.Unlock()
		discard([]*message{msg}) // the sender does not learn of it
		return nil
	}
	if (to.host.Load() != nil || to.peer != nil && to.peer != s) && s.typ == abi.SOCK_DGRAM {
		to.mu.Unlock()
		return abi.EPERM
	}
	if to.shutdown&shutRecv != 0 {
		to.mu.Unlock()
		return abi.EPIPE
	}
	if to != s && to.fullForLocked(s) {
		to.mu.Unlock()
		return abi.EAGAIN
	}
	msg.data = msg.data[:n]
	to.recv.push(msg)
	to.mu.Unlock()
	to.queue.Notify(wait.In | abi.POLLRDNORM)
	return nil
}

// deadPeer is what a send to a closed socket gives: a connected datagram socket loses its
// peer.
func (s *Socket) deadPeer(to *Socket) error {
	if s.typ == abi.SOCK_SEQPACKET {
		return abi.EPIPE
	}
	s.mu.Lock()
	var dropped []*message
	if s.peer == to {
		s.peer, s.state = nil, stateClosed
		dropped = s.recv.takeAll()
	}
	s.mu.Unlock()
	discard(dropped)
	return abi.ECONNREFUSED
}
