package unix

import (
	"bytes"
	"sync"
	"sync/atomic"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/socket"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Connection states.
const (
	stateClosed = iota // not connected; of a datagram socket also when it has a peer
	stateListening
	stateConnected
)

// Defaults of net.core and net.unix.
const (
	defaultBuf   = 212992
	dgramBacklog = 10
)

// Socket is an AF_UNIX socket.
type Socket struct {
	ns    *Namespace
	typ   int
	acct  *memfile.Account
	queue wait.Queue

	inFlight atomic.Int64 // cost of messages in others' queues
	sndbuf   atomic.Int64

	// host, instead of peer, is what it is connected to on the host. Set under mu.
	host atomic.Pointer[host]

	// door is where programs of the host connect to a socket that is bound in a tree of theirs.
	door atomic.Pointer[door]

	mu       sync.Mutex
	state    int
	peer     *Socket
	closed   bool
	shutdown int // 1: receiving, 2: sending
	err      abi.Errno
	name     []byte
	path     vfs.Path // of the socket file, if bound to one
	recv     queue
	urgent   *message // the urgent byte in recv
	backlog  int
	pending  []*Socket // connections that wait for accept
	// blocked are senders that found the receive queue or the backlog full, or want to
	// know when it is not.
	blocked map[*Socket]struct{}

	ino uint64 // of its file; 0 before it has one

	creds, peerCreds   socket.Ucred // creds: of who made or listened
	groups, peerGroups []auth.KGID
	opts               options
	filter             socket.Filter
}

const (
	shutRecv = 1
	shutSend = 2
)

func newSocket(ctx *vfs.Context, ns *Namespace, typ int) *Socket {
	s := &Socket{ns: ns, typ: typ, acct: ctx.Account, backlog: dgramBacklog}
	s.sndbuf.Store(defaultBuf)
	s.opts.rcvbuf = defaultBuf
	s.opts.lowat = 1
	s.creds, s.groups = credsOf(ctx)
	return s
}

func credsOf(ctx *vfs.Context) (socket.Ucred, []auth.KGID) {
	u := socket.Ucred{PID: ctx.PID, Process: ctx.Process}
	if ctx.Creds == nil {
		return u, nil
	}
	u.UID, u.GID = ctx.Creds.EUID, ctx.Creds.EGID
	return u, ctx.Creds.Groups
}

// Family makes AF_UNIX sockets of one network namespace.
type Family struct{ NS *Namespace }

func checkType(typ, protocol int) (int, error) {
	if protocol != 0 && protocol != abi.AF_UNIX {
		return 0, abi.EPROTONOSUPPORT
	}
	switch typ {
	case abi.SOCK_STREAM, abi.SOCK_DGRAM, abi.SOCK_SEQPACKET:
		return typ, nil
	case abi.SOCK_RAW: // "believe it or not BSD has AF_UNIX, SOCK_RAW"
		return abi.SOCK_DGRAM, nil
	}
	return 0, abi.ESOCKTNOSUPPORT
}

// NewSocket implements socket.Family.
func (f Family) NewSocket(ctx *vfs.Context, typ, protocol int) (socket.Socket, error) {
	typ, err := checkType(typ, protocol)
	if err != nil {
		return nil, err
	}
	return newSocket(ctx, f.NS, typ), nil
}

// NewPair implements socket.Pairer.
func (f Family) NewPair(ctx *vfs.Context, typ, protocol int) (socket.Socket, socket.Socket, error) {
	typ, err := checkType(typ, protocol)
	if err != nil {
		return nil, nil, err
	}
	a, b := newSocket(ctx, f.NS, typ), newSocket(ctx, f.NS, typ)
	a.peer, b.peer = b, a
	a.peerCreds, b.peerCreds = b.creds, a.creds
	a.peerGroups, b.peerGroups = b.groups, a.groups
	a.state, b.state = stateConnected, stateConnected
	return a, b, nil
}

// Identity implements socket.Identified.
func (s *Socket) Identity() socket.Identity {
	return socket.Identity{Family: abi.AF_UNIX, Type: s.typ}
}

// WaitQueue implements socket.Socket.
func (s *Socket) WaitQueue() *wait.Queue { return &s.queue }

// writable: at most a quarter of SO_SNDBUF is in flight.
func (s *Socket) writable() bool { return s.inFlight.Load()*4 <= s.sndbuf.Load() }

// Poll implements socket.Socket.
func (s *Socket) Poll() wait.Mask {
	s.mu.Lock()
	var m wait.Mask
	if s.err != 0 {
		m |= wait.Err
	}
	if s.shutdown == shutRecv|shutSend {
		m |= wait.Hup
	}
	if s.shutdown&shutRecv != 0 {
		m |= wait.RdHup | wait.In | abi.POLLRDNORM
	}
	if s.recv.len() > 0 || len(s.pending) > 0 {
		m |= wait.In | abi.POLLRDNORM
	}
	if s.urgent != nil {
		m |= wait.Pri
	}
	if s.typ != abi.SOCK_DGRAM && s.state == stateClosed {
		m |= wait.Hup
	}
	out := s.state != stateListening && s.writable()
	peer, h := s.peer, s.host.Load()
	listening, down := s.state == stateListening, s.shutdown&shutRecv != 0
	s.mu.Unlock()
	if d := s.door.Load(); d != nil && !down && (listening || s.typ == abi.SOCK_DGRAM) {
		m |= d.poll() & (wait.In | abi.POLLRDNORM)
	}
	if h != nil {
		return h.poll() | m&(wait.In|abi.POLLRDNORM)
	}
	if out && peer != nil && peer != s && s.typ == abi.SOCK_DGRAM {
		out = !peer.fullFor(s)
	}
	if out {
		m |= wait.Out | abi.POLLWRNORM | abi.POLLWRBAND
	}
	return m
}

// fullFor reports whether no datagram of from fits into s's queue; then from is told
// when one does. A pair's queues have no such limit towards each other.
func (s *Socket) fullFor(from *Socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fullForLocked(from)
}

func (s *Socket) fullForLocked(from *Socket) bool {
	if s.closed || s.peer == from || s.recv.len() <= s.backlog {
		return false
	}
	if s.blocked == nil {
		s.blocked = make(map[*Socket]struct{})
	}
	s.blocked[from] = struct{}{}
	return true
}

// takeBlockedLocked returns those who wait for room.
func (s *Socket) takeBlockedLocked() map[*Socket]struct{} {
	b := s.blocked
	s.blocked = nil
	return b
}

func notifyRoom(blocked map[*Socket]struct{}) {
	for b := range blocked {
		b.queue.Notify(wait.Out | abi.POLLWRNORM | abi.POLLWRBAND)
	}
}

// Bind implements socket.Binder.
func (s *Socket) Bind(ctx *vfs.Context, addr []byte) error {
	name, err := parseAddr(addr)
	if err != nil {
		return err
	}
	s.mu.Lock()
	bound := s.name != nil
	s.mu.Unlock()
	if len(name) == 0 {
		if bound {
			return nil
		}
		return s.autobind()
	}
	if bound {
		return abi.EINVAL
	}
	if name[0] == 0 {
		return s.setName(name, vfs.Path{}, s.ns.add(string(name), s))
	}
	p, err := bindPath(ctx, string(name), s)
	if err != nil {
		return err
	}
	d, err := openDoor(p.Inode(), s)
	if err != nil {
		unbindPath(p, s)
		return err
	}
	if err = s.setName(name, p, nil); err != nil {
		d.close()
		return err
	}
	if d != nil && !s.keepDoor(d) {
		d.close()
	}
	return nil
}

// setName makes a name that was entered in a table the socket's own.
func (s *Socket) setName(name []byte, p vfs.Path, err error) error {
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.name == nil && !s.closed {
		s.name, s.path = name, p
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	s.unbind(name, p) // another thread was quicker
	return abi.EINVAL
}

func (s *Socket) autobind() error {
	name, err := s.ns.autobind(s)
	if err != nil {
		return err
	}
	return s.setName([]byte(name), vfs.Path{}, nil)
}

func (s *Socket) unbind(name []byte, p vfs.Path) {
	if p.OK() {
		unbindPath(p, s)
	} else if len(name) > 0 && name[0] == 0 {
		s.ns.remove(string(name), s)
	}
}

// LocalName implements socket.Binder.
func (s *Socket) LocalName() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sockaddr(s.name), nil
}

// PeerName implements socket.Binder.
func (s *Socket) PeerName() ([]byte, error) {
	s.mu.Lock()
	peer, h := s.peer, s.host.Load()
	s.mu.Unlock()
	switch {
	case h != nil:
		return sockaddr(h.name), nil
	case peer == nil:
		return nil, abi.ENOTCONN
	}
	return peer.LocalName()
}

func (s *Socket) boundName() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.name)
}
