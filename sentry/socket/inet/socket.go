package inet

import (
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/waiter"
	"lazaret/netstack"
	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/socket"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Socket is an AF_INET or AF_INET6 socket.
type Socket struct {
	ns    *Namespace
	id    socket.Identity
	kind  netstack.Kind
	v6    bool
	acct  *memfile.Account
	ino   uint64
	uid   auth.KUID
	gid   auth.KGID
	from  netstack.Addr // of an accepted one: its peer
	queue wait.Queue

	// ep changes under mu when a connection that failed or was dissolved gives way to a
	// new one; who uses it without mu works on the old one for that call.
	ep atomic.Pointer[netstack.Endpoint]

	// finSeen: the peer was found to send no more. A reset after that is EPIPE.
	finSeen atomic.Bool

	mu         sync.Mutex
	closed     bool
	listening  bool
	backlog    int
	connecting bool           // a connect was begun and its outcome was not told
	peer       bool           // a datagram socket that is connected
	bound      *netstack.Addr // what bind(2) asked for
	shut       int            // shutRecv, shutSend, by shutdown(2)
	err        abi.Errno      // pending; taken over from the endpoint by Poll
	opts       options
	stamp      time.Time // of the packet received last (SIOCGSTAMP)
	filter     socket.Filter

	// filterMu is held while packets are looked at and taken, before mu.
	filterMu sync.Mutex

	chargeMu sync.Mutex
	charged  uint64
}

const (
	shutRecv = 1
	shutSend = 2
)

// NewSocket implements socket.Family.
func (f Family) NewSocket(ctx *vfs.Context, typ, protocol int) (socket.Socket, error) {
	kind, proto, err := f.check(ctx, typ, protocol)
	if err != nil {
		return nil, err
	}
	domain := abi.AF_INET
	if f.V6 {
		domain = abi.AF_INET6
	}
	s := &Socket{ns: f.NS, id: socket.Identity{Family: domain, Type: typ, Protocol: proto}, kind: kind, v6: f.V6, acct: ctx.Account}
	if ctx.Creds != nil {
		s.gid = ctx.Creds.EGID
	}
	s.opts = s.newOptions()
	if err := s.chargeNew(); err != nil {
		return nil, err
	}
	ep, err := f.NS.Stack.NewEndpoint(kind, f.V6, uint8(proto), s)
	if err != nil {
		s.uncharge()
		return nil, err
	}
	s.ep.Store(ep)
	s.mu.Lock()
	s.applyLocked(ep)
	s.mu.Unlock()
	f.NS.add(s)
	return s, nil
}

// Identity implements socket.Identified.
func (s *Socket) Identity() socket.Identity { return s.id }

// SetInode implements socket.Inoded.
func (s *Socket) SetInode(ino uint64, uid auth.KUID) { s.ino, s.uid = ino, uid }

// KUID and KGID implement tcpip.PacketOwner, in the ids of the namespace's owner: those that
// the owner match of iptables(8) is written in.
func (s *Socket) KUID() uint32 { return s.ns.UserNS.UID(s.uid) }

// KGID is the group; see KUID.
func (s *Socket) KGID() uint32 { return s.ns.UserNS.GID(s.gid) }

// WaitQueue implements socket.Socket.
func (s *Socket) WaitQueue() *wait.Queue { return &s.queue }

// NotifyEvent implements waiter.EventListener: the stack tells of events, with locks held.
func (s *Socket) NotifyEvent(m waiter.EventMask) {
	events := wait.Mask(m)
	if events&wait.In != 0 {
		events |= abi.POLLRDNORM | wait.RdHup
	}
	if events&wait.Out != 0 {
		events |= abi.POLLWRNORM
	}
	s.queue.Notify(events | wait.Stack)
}

// takeError returns and clears the pending error.
func (s *Socket) takeError() abi.Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeErrorLocked()
}

func (s *Socket) takeErrorLocked() abi.Errno {
	e := s.err
	if s.err = 0; e != 0 {
		return e
	}
	return s.endError()
}

// endError returns and clears the endpoint's error.
func (s *Socket) endError() abi.Errno {
	e := s.ep.Load().TakeError()
	if e == abi.ECONNRESET && s.finSeen.Load() {
		return abi.EPIPE
	}
	return e
}

// noteFin remembers that the peer sends no more, if that is so.
func (s *Socket) noteFin(state netstack.TCPState) {
	if state == abi.TCP_CLOSE_WAIT {
		s.finSeen.Store(true)
	}
}

// peekErrorLocked returns the pending error and leaves it.
func (s *Socket) peekErrorLocked() abi.Errno {
	if s.err == 0 {
		s.err = s.endError()
	}
	return s.err
}

// renewLocked puts a fresh endpoint in the place of one whose connection is over.
func (s *Socket) renewLocked() error {
	ep, err := s.ns.Stack.NewEndpoint(s.kind, s.v6, uint8(s.id.Protocol), s)
	if err != nil {
		return err
	}
	s.applyLocked(ep)
	s.ep.Swap(ep).Abort()
	s.finSeen.Store(false)
	s.listening, s.connecting, s.shut, s.err = false, false, 0, 0
	if s.bound != nil {
		if err := ep.Bind(*s.bound); err != nil {
			s.bound = nil
		}
	}
	return nil
}

// LocalName implements socket.Binder.
func (s *Socket) LocalName() ([]byte, error) { return s.sockaddr(s.local()), nil }

// local is the local address. Raw sockets show their protocol as the port.
func (s *Socket) local() netstack.Addr {
	a := s.ep.Load().LocalAddr()
	if s.kind == netstack.Raw {
		a.Port = uint16(s.id.Protocol)
	}
	return a
}

// PeerName implements socket.Binder.
func (s *Socket) PeerName() ([]byte, error) {
	a, err := s.ep.Load().RemoteAddr()
	if err != nil {
		return nil, err
	}
	return s.sockaddr(a), nil
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
	ep := s.ep.Load()
	s.mu.Unlock()
	s.ns.remove(s)
	ep.Close()
	s.uncharge()
	s.queue.Notify(wait.All)
}

// Timeouts implements socket.Timeouter.
func (s *Socket) Timeouts() (recv, send time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.opts.recvTime.Timespec().Nano()), time.Duration(s.opts.sendTime.Timespec().Nano())
}
