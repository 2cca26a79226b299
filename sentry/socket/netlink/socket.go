package netlink

import (
	"encoding/binary"
	"sync"
	"time"

	"lazaret/netstack"
	"lazaret/sentry/auth"
	"lazaret/sentry/kernel/bpf"
	"lazaret/sentry/memfile"
	"lazaret/sentry/socket"
	"lazaret/sentry/socket/inet"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Namespace is the netlink side of a network namespace.
type Namespace struct {
	inet *inet.Namespace
	find Finder

	mu    sync.Mutex
	ids   []*netstack.Stack // namespaces by the id that this one has for them (RTM_NEWNSID)
	ports map[portKey]*Socket
	last  uint32 // port ids that nobody asked for count down from the top
}

type portKey struct {
	protocol int
	port     uint32
}

// Finder finds the network namespaces that requests name; nil if there is none.
type Finder interface {
	ByFD(ctx *vfs.Context, fd int32) *inet.Namespace
	ByPID(ctx *vfs.Context, pid int32) *inet.Namespace
}

// NewNamespace returns the netlink side of n.
func NewNamespace(n *inet.Namespace, f Finder) *Namespace {
	ns := &Namespace{inet: n, find: f, ports: map[portKey]*Socket{}}
	n.Stack.Watch(ns)
	return ns
}

// Family makes AF_NETLINK sockets.
type Family struct{ NS *Namespace }

// Bounds of a socket.
const (
	maxQueue   = 4 << 20 // bytes of answers that wait
	datagram   = 16 << 10
	maxRequest = 64 << 10
	addrSize   = 12
	baseCost   = 4 << 10
	// firstType is NLMSG_MIN_TYPE: below are control messages.
	firstType = 0x10
)

// Socket is an AF_NETLINK socket.
type Socket struct {
	ns    *Namespace
	id    socket.Identity
	acct  *memfile.Account
	queue wait.Queue
	ino   uint64
	uid   auth.KUID

	mu     sync.Mutex
	closed bool
	port   uint32
	groups uint64
	msgs   []message
	bytes  int
	err    abi.Errno
	rcvbuf int
	flags  uint32 // SOL_NETLINK options, bit = option number
	times  [2]abi.Timeval
	filter socket.Filter
}

// message is a datagram that waits.
type message struct {
	data  []byte
	group uint32
}

// NewSocket implements socket.Family.
func (f Family) NewSocket(ctx *vfs.Context, typ, protocol int) (socket.Socket, error) {
	if typ != abi.SOCK_RAW && typ != abi.SOCK_DGRAM {
		return nil, abi.ESOCKTNOSUPPORT
	}
	switch protocol {
	case abi.NETLINK_ROUTE, abi.NETLINK_SOCK_DIAG, abi.NETLINK_KOBJECT_UEVENT:
	default:
		return nil, abi.EPROTONOSUPPORT
	}
	s := &Socket{ns: f.NS, acct: ctx.Account, rcvbuf: 212992, id: socket.Identity{Family: abi.AF_NETLINK, Type: typ, Protocol: protocol}}
	if s.acct != nil && s.acct.Charge(baseCost) != nil {
		return nil, abi.ENOBUFS
	}
	return s, nil
}

// Identity implements socket.Identified.
func (s *Socket) Identity() socket.Identity { return s.id }

// SetInode implements socket.Inoded.
func (s *Socket) SetInode(ino uint64, uid auth.KUID) { s.ino, s.uid = ino, uid }

// WaitQueue implements socket.Socket.
func (s *Socket) WaitQueue() *wait.Queue { return &s.queue }

// Poll implements socket.Socket.
func (s *Socket) Poll() wait.Mask {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := wait.Out | abi.POLLWRNORM | abi.POLLWRBAND
	if len(s.msgs) > 0 {
		m |= wait.In | abi.POLLRDNORM
	}
	if s.err != 0 {
		m |= wait.Err
	}
	return m
}

// Close implements socket.Socket.
func (s *Socket) Close() {
	s.ns.mu.Lock()
	s.mu.Lock()
	if k := (portKey{s.id.Protocol, s.port}); s.ns.ports[k] == s {
		delete(s.ns.ports, k)
	}
	was := s.closed
	s.closed, s.msgs = true, nil
	s.filter.Close(s.acct)
	n := s.bytes
	s.bytes = 0
	s.mu.Unlock()
	s.ns.mu.Unlock()
	if s.acct != nil && !was {
		s.acct.Uncharge(uint64(baseCost + n))
	}
}

// Shutdown implements socket.Socket.
func (s *Socket) Shutdown(int) error { return abi.EOPNOTSUPP }

func parseAddr(b []byte) (port, groups uint32, err error) {
	if len(b) < addrSize {
		return 0, 0, abi.EINVAL
	}
	if binary.LittleEndian.Uint16(b) != abi.AF_NETLINK {
		return 0, 0, abi.EINVAL
	}
	return binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:]), nil
}

func sockaddr(port uint32, groups uint32) []byte {
	b := make([]byte, addrSize)
	binary.LittleEndian.PutUint16(b, abi.AF_NETLINK)
	binary.LittleEndian.PutUint32(b[4:], port)
	binary.LittleEndian.PutUint32(b[8:], groups)
	return b
}

// Bind implements socket.Binder.
func (s *Socket) Bind(ctx *vfs.Context, addr []byte) error {
	port, groups, err := parseAddr(addr)
	if err != nil {
		return err
	}
	s.mu.Lock()
	bound := s.port
	s.mu.Unlock()
	switch {
	case bound != 0 && port != bound && port != 0:
		return abi.EINVAL
	case bound == 0:
		if err := s.setPort(ctx, port); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.groups = s.groups&^0xffffffff | uint64(groups)
	s.mu.Unlock()
	return nil
}

// setPort enters the socket under a port id: the process's, if it is free, when port is 0.
func (s *Socket) setPort(ctx *vfs.Context, port uint32) error {
	n := s.ns
	n.mu.Lock()
	defer n.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.port != 0 {
		return nil
	}
	if port == 0 {
		if port = uint32(ctx.PID); port == 0 || n.ports[portKey{s.id.Protocol, port}] != nil {
			for n.last--; n.ports[portKey{s.id.Protocol, n.last}] != nil || int32(n.last) >= 0; n.last-- {
			}
			port = n.last
		}
	} else if n.ports[portKey{s.id.Protocol, port}] != nil {
		return abi.EADDRINUSE
	}
	s.port = port
	n.ports[portKey{s.id.Protocol, port}] = s
	return nil
}

// LocalName implements socket.Binder.
func (s *Socket) LocalName() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sockaddr(s.port, uint32(s.groups)), nil
}

// PeerName implements socket.Binder: the kernel.
func (s *Socket) PeerName() ([]byte, error) { return sockaddr(0, 0), nil }

// Connect implements socket.Connector: to the kernel, which every socket talks to anyway.
func (s *Socket) Connect(ctx *vfs.Context, addr []byte) error {
	port, _, err := parseAddr(addr)
	if err != nil {
		return err
	}
	if port != 0 {
		return abi.ECONNREFUSED
	}
	return s.setPort(ctx, 0)
}

// Send implements socket.Socket: a request to the kernel.
func (s *Socket) Send(ctx *vfs.Context, m *socket.Message) (int, error) {
	if m.Flags&abi.MSG_OOB != 0 {
		return 0, abi.EOPNOTSUPP
	}
	if len(m.Name) > 0 {
		port, groups, err := parseAddr(m.Name)
		if err != nil {
			return 0, err
		}
		if port != 0 {
			return 0, abi.ECONNREFUSED // between processes: TODO, nothing was seen to use it
		}
		if groups != 0 && !ctx.Creds.HasCapIn(abi.CAP_NET_ADMIN, s.ns.inet.UserNS) {
			return 0, abi.EPERM
		}
	}
	if err := s.setPort(ctx, 0); err != nil {
		return 0, err
	}
	n := m.Bufs.Len()
	if n > maxRequest {
		return 0, abi.EMSGSIZE
	}
	b := make([]byte, n)
	m.Bufs.CopyTo(b)
	for _, r := range parse(b) {
		if r.flags&abi.NLM_F_REQUEST == 0 || r.typ < firstType {
			if r.flags&abi.NLM_F_ACK != 0 {
				s.acknowledge(&r, 0)
			}
			continue
		}
		s.answer(ctx, &r)
	}
	return n, nil
}

// answer carries out a request and queues what it gives.
func (s *Socket) answer(ctx *vfs.Context, r *request) {
	s.mu.Lock()
	port := s.port
	s.mu.Unlock()
	q := &query{Socket: s, ctx: ctx, r: r, port: port}
	var err error
	switch s.id.Protocol {
	case abi.NETLINK_ROUTE:
		err = q.route()
	case abi.NETLINK_SOCK_DIAG:
		err = q.diag()
	default:
		err = abi.EOPNOTSUPP
	}
	switch {
	case err != nil:
		e, ok := err.(abi.Errno)
		if !ok {
			e = abi.EINVAL
		}
		s.acknowledge(r, e)
	case q.dump:
		q.out.done(r, port)
		s.deliverAll(q.out.b)
	default:
		if len(q.out.b) > 0 {
			s.deliver(message{data: q.out.b})
		}
		if r.flags&abi.NLM_F_ACK != 0 {
			s.acknowledge(r, 0)
		}
	}
}

// acknowledge queues an NLMSG_ERROR.
func (s *Socket) acknowledge(r *request, e abi.Errno) {
	s.mu.Lock()
	short := s.flags&(1<<abi.NETLINK_CAP_ACK) != 0
	port := s.port
	s.mu.Unlock()
	var m builder
	m.fail(r, port, e, short)
	s.deliver(message{data: m.b})
}

// deliverAll queues the messages of a dump in datagrams that a usual buffer holds.
func (s *Socket) deliverAll(b []byte) {
	for len(b) > 0 {
		n := 0
		for n < len(b) {
			l := align4(int(binary.LittleEndian.Uint32(b[n:])))
			// The end of a dump has a datagram of its own, as programs know it from Linux.
			last := binary.LittleEndian.Uint16(b[n+4:]) == abi.NLMSG_DONE
			if n > 0 && (n+l > datagram || last) {
				break
			}
			n += l
		}
		s.deliver(message{data: b[:n:n]})
		b = b[n:]
	}
}

// deliver queues a datagram; what does not fit is lost, and the next receive says so
// (ENOBUFS).
func (s *Socket) deliver(m message) {
	s.mu.Lock()
	n, pass := s.filter.Pass(&bpf.Packet{Data: m.data}, 1)
	m.data = m.data[:n]
	switch {
	case s.closed, !pass:
	case s.bytes+n > maxQueue || s.acct != nil && s.acct.Charge(uint64(n)) != nil:
		s.err = abi.ENOBUFS
	default:
		s.msgs = append(s.msgs, m)
		s.bytes += n
	}
	s.mu.Unlock()
	s.queue.Notify(wait.In | abi.POLLRDNORM)
}

// multicast sends a message to the sockets that joined a group, but for one.
func (n *Namespace) multicast(protocol int, group uint32, data []byte) {
	n.mu.Lock()
	var to []*Socket
	for k, s := range n.ports {
		if k.protocol == protocol {
			to = append(to, s)
		}
	}
	n.mu.Unlock()
	for _, s := range to {
		s.mu.Lock()
		joined := s.groups&(1<<(group-1)) != 0 && s.bytes < s.rcvbuf
		s.mu.Unlock()
		if joined {
			s.deliver(message{data: data, group: group})
		}
	}
}

// Recv implements socket.Socket.
func (s *Socket) Recv(_ *vfs.Context, m *socket.Message) (int, error) {
	flags := m.Flags
	m.Flags = 0
	if flags&abi.MSG_OOB != 0 {
		return 0, abi.EOPNOTSUPP
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.err; e != 0 {
		s.err = 0
		return 0, e
	}
	if len(s.msgs) == 0 {
		return 0, abi.EAGAIN
	}
	msg := s.msgs[0]
	n := m.Bufs.CopyFrom(msg.data)
	if n < len(msg.data) {
		m.Flags |= abi.MSG_TRUNC
		if flags&abi.MSG_TRUNC != 0 {
			n = len(msg.data)
		}
	}
	if flags&abi.MSG_PEEK == 0 {
		s.msgs[0] = message{}
		s.msgs = s.msgs[1:]
		s.bytes -= len(msg.data)
		if s.acct != nil {
			s.acct.Uncharge(uint64(len(msg.data)))
		}
	}
	groups := uint32(0)
	if msg.group > 0 && msg.group <= 32 {
		groups = 1 << (msg.group - 1)
	}
	m.Name = sockaddr(0, groups)
	if s.flags&(1<<abi.NETLINK_PKTINFO) != 0 {
		m.Control.Cmsgs = append(m.Control.Cmsgs, socket.Cmsg{Level: abi.SOL_NETLINK, Type: abi.NETLINK_PKTINFO,
			Data: binary.LittleEndian.AppendUint32(nil, msg.group)})
	}
	return n, nil
}

// Timeouts implements socket.Timeouter.
func (s *Socket) Timeouts() (recv, send time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.times[0].Timespec().Nano()), time.Duration(s.times[1].Timespec().Nano())
}

// Ioctl implements vfs.Ioctler.
func (s *Socket) Ioctl(ctx *vfs.Context, _ *vfs.File, cmd uint32, arg uint64, mem uio.Memory) (uint64, error) {
	return 0, s.ns.inet.DeviceIoctl(ctx, cmd, abi.Addr(arg), mem)
}
