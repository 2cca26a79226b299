package unix

import (
	"sync"

	"lazaret/sentry/socket"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Listen implements socket.Listener.
func (s *Socket) Listen(ctx *vfs.Context, backlog int) error {
	if s.typ == abi.SOCK_DGRAM {
		return abi.EOPNOTSUPP
	}
	s.mu.Lock()
	if s.name == nil || s.state == stateConnected {
		s.mu.Unlock()
		return abi.EINVAL
	}
	if backlog < 0 || backlog > abi.SOMAXCONN {
		backlog = abi.SOMAXCONN
	}
	var blocked map[*Socket]struct{}
	if backlog > s.backlog {
		blocked = s.takeBlockedLocked()
	}
	s.state, s.backlog = stateListening, backlog
	s.creds, s.groups = credsOf(ctx) // what SO_PEERCRED of a client shows
	s.mu.Unlock()
	notifyRoom(blocked)
	if d := s.door.Load(); d != nil {
		return d.inode.ListenHost(backlog)
	}
	return nil
}

// Accept implements socket.Listener.
func (s *Socket) Accept(ctx *vfs.Context) (socket.Socket, error) {
	if s.typ == abi.SOCK_DGRAM {
		return nil, abi.EOPNOTSUPP
	}
	s.mu.Lock()
	if s.state != stateListening {
		s.mu.Unlock()
		return nil, abi.EINVAL
	}
	if len(s.pending) == 0 {
		down := s.shutdown&shutRecv != 0
		s.mu.Unlock()
		if d := s.door.Load(); d != nil && !down {
			return s.acceptHost(ctx, d)
		}
		return nil, abi.EAGAIN // also after a shutdown, which only ends a blocked accept
	}
	c := s.pending[0]
	s.pending[0] = nil
	s.pending = s.pending[1:]
	blocked := s.takeBlockedLocked()
	s.mu.Unlock()
	notifyRoom(blocked)
	return c, nil
}

// Connect implements socket.Connector.
func (s *Socket) Connect(ctx *vfs.Context, addr []byte) error {
	if s.typ == abi.SOCK_DGRAM {
		return s.connectDgram(ctx, addr)
	}
	name, err := parseAddr(addr)
	if err != nil {
		return err
	}
	s.mu.Lock()
	state := s.state
	down := s.shutdown&shutRecv != 0
	needName := s.opts.passCred && s.name == nil
	s.mu.Unlock()
	to, err := s.ns.resolve(ctx, name, s.typ)
	if err != nil {
		return err
	}
	defer to.done()
	if needName {
		if err := s.autobind(); err != nil {
			return err
		}
	}
	if to.host != nil {
		return s.joinHost(to.host, name)
	}
	if to.sock == s {
		if state == stateListening && !down {
			return abi.EINVAL
		}
		return abi.ECONNREFUSED
	}
	return s.join(ctx, to.sock)
}

// joining serializes the one place where two sockets are locked: two that listen and
// connect to each other would otherwise wait for each other. It is of the whole sandbox
// because path names cross network namespaces.
var joining sync.Mutex

// join puts a new socket, connected to s, into the backlog of other.
func (s *Socket) join(ctx *vfs.Context, other *Socket) error {
	n := newSocket(ctx, s.ns, s.typ)
	n.peer, n.state = s, stateConnected
	n.peerCreds, n.peerGroups = credsOf(ctx)
	joining.Lock()
	defer joining.Unlock()
	other.mu.Lock()
	switch {
	case other.closed || other.state != stateListening || other.shutdown&shutRecv != 0:
		other.mu.Unlock()
		return abi.ECONNREFUSED
	case len(other.pending) > other.backlog:
		if other.blocked == nil {
			other.blocked = make(map[*Socket]struct{})
		}
		other.blocked[s] = struct{}{}
		other.mu.Unlock()
		return abi.EAGAIN
	}
	n.name, n.acct = other.name, other.acct
	n.opts.passCred = other.opts.passCred
	creds, groups := other.creds, other.groups
	n.creds, n.groups = creds, groups

	s.mu.Lock()
	if s.state != stateClosed || s.closed {
		err := abi.EISCONN
		if s.state == stateListening || s.closed {
			err = abi.EINVAL
		}
		s.mu.Unlock()
		other.mu.Unlock()
		return err
	}
	s.peer, s.state = n, stateConnected
	s.peerCreds, s.peerGroups = creds, groups
	s.mu.Unlock()
	other.pending = append(other.pending, n)
	other.mu.Unlock()
	other.queue.Notify(wait.In | abi.POLLRDNORM)
	s.queue.Notify(wait.Out | abi.POLLWRNORM)
	return nil
}

// connectDgram sets, or with AF_UNSPEC clears, the peer.
func (s *Socket) connectDgram(ctx *vfs.Context, addr []byte) error {
	var other *Socket
	var h *host
	if len(addr) < 2 {
		return abi.EINVAL
	}
	if uint16(addr[0])|uint16(addr[1])<<8 != abi.AF_UNSPEC {
		name, err := parseAddr(addr)
		if err != nil {
			return err
		}
		to, err := s.ns.resolve(ctx, name, s.typ)
		if err != nil {
			return err
		}
		defer to.done()
		if other = to.sock; other != nil && !other.accepts(s) {
			return abi.EPERM
		}
		if to.host != nil {
			if h, err = s.openHost(to.host, name); err != nil {
				return err
			}
		}
	}
	return s.setPeer(other, h)
}

// setPeer makes other, or a socket of the host, or nothing the peer of a datagram socket.
func (s *Socket) setPeer(other *Socket, h *host) error {
	s.mu.Lock()
	needName := s.opts.passCred && s.name == nil && (other != nil || h != nil)
	old, oldHost := s.peer, s.host.Swap(h)
	changed := old != nil && old != other
	s.peer = other
	s.state = stateClosed
	if other != nil || h != nil {
		s.state = stateConnected
	}
	if h != nil {
		s.peerCreds, s.peerGroups = nobody, nil
	}
	var dropped []*message
	if changed {
		dropped = s.recv.takeAll() // what others sent before is of no interest now
	}
	s.mu.Unlock()
	if oldHost != nil {
		oldHost.close()
	}
	discard(dropped)
	if len(dropped) > 0 {
		old.lost(s)
	}
	if needName {
		return s.autobind()
	}
	return nil
}

// lost tells a datagram socket that was connected to from that what it sent is gone.
func (s *Socket) lost(from *Socket) {
	s.mu.Lock()
	hit := !s.closed && s.peer == from
	if hit {
		s.err = abi.ECONNRESET
	}
	s.mu.Unlock()
	if hit {
		s.queue.Notify(wait.Err)
	}
}

// accepts reports whether s takes datagrams of from: a connected socket
// takes those of its peer only.
func (s *Socket) accepts(from *Socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.host.Load() == nil && (s.peer == nil || s.peer == from)
}

// Shutdown implements socket.Socket.
func (s *Socket) Shutdown(how int) error {
	if how < abi.SHUT_RD || how > abi.SHUT_RDWR {
		return abi.EINVAL
	}
	mode := how + 1
	s.mu.Lock()
	s.shutdown |= mode
	peer, h := s.peer, s.host.Load()
	s.mu.Unlock()
	if h != nil {
		if err := h.shutdown(how); err != nil {
			return err
		}
	}
	if peer != nil && s.typ != abi.SOCK_DGRAM {
		theirs := 0
		if mode&shutRecv != 0 {
			theirs |= shutSend
		}
		if mode&shutSend != 0 {
			theirs |= shutRecv
		}
		peer.mu.Lock()
		peer.shutdown |= theirs
		peer.mu.Unlock()
		peer.queue.Notify(wait.All)
	}
	s.queue.Notify(wait.All)
	return nil
}

// Close implements socket.Socket.
func (s *Socket) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	s.filter.Close(s.acct)
	s.ns.forget(s)
	s.shutdown = shutRecv | shutSend
	peer, name, path, pending, h := s.peer, s.name, s.path, s.pending, s.host.Swap(nil)
	wasListening := s.state == stateListening
	s.state, s.pending, s.peer, s.path = stateClosed, nil, nil, vfs.Path{}
	messages := s.recv.takeAll()
	blocked := s.takeBlockedLocked()
	s.mu.Unlock()

	if d := s.door.Swap(nil); d != nil {
		d.close()
	}
	if path.OK() || wasListening || peer == nil || len(name) > 0 && s.owns(name) {
		s.unbind(name, path)
	}
	if h != nil {
		h.close()
	}
	if peer != nil && s.typ != abi.SOCK_DGRAM {
		peer.hangUp(unread(messages))
	}
	for _, c := range pending {
		c.abandon()
	}
	discard(messages)
	notifyRoom(blocked)
	s.queue.Notify(wait.All)
	collect()
}

// unread reports whether a close with these messages queued resets the connection. A first
// message of no bytes does not count: Linux takes it for an urgent byte that was read.
func unread(ms []*message) bool {
	if len(ms) > 0 && len(ms[0].rest()) == 0 {
		ms = ms[1:]
	}
	return len(ms) > 0
}

// owns reports whether the abstract name is entered for s: accepted sockets share the
// listener's.
func (s *Socket) owns(name []byte) bool {
	return name[0] == 0 && s.ns.find(string(name), s.typ) == s
}

// hangUp tells s that its peer is gone; reset: with data unread.
func (s *Socket) hangUp(reset bool) {
	s.mu.Lock()
	s.shutdown = shutRecv | shutSend
	if reset {
		s.err = abi.ECONNRESET
	}
	s.mu.Unlock()
	s.queue.Notify(wait.All)
}

// abandon closes a connection that was never accepted.
func (s *Socket) abandon() {
	s.mu.Lock()
	peer := s.peer
	s.mu.Unlock()
	if peer != nil {
		peer.hangUp(true)
	}
	s.Close()
}
