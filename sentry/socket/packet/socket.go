package packet

import (
	"encoding/binary"
	"sync"
	"time"

	"lazaret/netstack"
	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/socket"
	"lazaret/sentry/socket/inet"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Family makes AF_PACKET sockets. Without MemFile there are no rings.
type Family struct {
	NS      *inet.Namespace
	MemFile *memfile.File
}

const (
	defaultBuf = 212992
	minBuf     = 2304
	baseCost   = 4 << 10
	// frameCost is what a frame in the queue costs beside its bytes.
	frameCost = 256
	addrSize  = 20 // struct sockaddr_ll
	minAddr   = 12 // of which a name for bind(2) needs this much
)

// Socket is an AF_PACKET socket.
type Socket struct {
	f     Family
	id    socket.Identity
	acct  *memfile.Account
	queue wait.Queue

	mu      sync.Mutex
	closed  bool
	proto   uint16 // ETH_P_*, 0: nothing is received
	link    int32  // 0: all
	filter  socket.Filter
	frames  []frame
	bytes   int // of frames, with their cost
	rcvbuf  int
	packets uint32 // since PACKET_STATISTICS, with the dropped ones
	drops   uint32
	members []membership
	values  [maxValues]int32
	times   [2]abi.Timeval // SO_RCVTIMEO, SO_SNDTIMEO
	stamp   time.Time      // of the frame received last
	ring    *ring
}

// frame is a frame that waits.
type frame struct {
	data  []byte
	size  int // before the filter cut it
	from  [addrSize]byte
	net   int // where the network header is, from the start of data
	large bool
	stamp time.Time
}

// NewSocket implements socket.Family. The protocol is in network byte order.
func (f Family) NewSocket(ctx *vfs.Context, typ, protocol int) (socket.Socket, error) {
	if ctx.Creds == nil || !ctx.Creds.HasCapIn(abi.CAP_NET_RAW, f.NS.UserNS) {
		return nil, abi.EPERM
	}
	if typ != abi.SOCK_RAW && typ != abi.SOCK_DGRAM {
		return nil, abi.ESOCKTNOSUPPORT // TODO: SOCK_PACKET
	}
	s := &Socket{f: f, acct: ctx.Account, rcvbuf: defaultBuf, proto: swap(uint16(protocol)),
		id: socket.Identity{Family: abi.AF_PACKET, Type: typ, Protocol: protocol}}
	if s.acct != nil && s.acct.Charge(baseCost) != nil {
		return nil, abi.ENOBUFS
	}
	f.NS.Stack.Observe(s)
	return s, nil
}

func swap(n uint16) uint16 { return n<<8 | n>>8 }

// Identity implements socket.Identified.
func (s *Socket) Identity() socket.Identity { return s.id }

// SetInode implements socket.Inoded.
func (s *Socket) SetInode(uint64, auth.KUID) {}

// WaitQueue implements socket.Socket.
func (s *Socket) WaitQueue() *wait.Queue { return &s.queue }

// Poll implements socket.Socket.
func (s *Socket) Poll() wait.Mask {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := wait.Out | abi.POLLWRNORM | abi.POLLWRBAND
	if len(s.frames) > 0 || s.ring != nil && s.ring.readable() {
		m |= wait.In | abi.POLLRDNORM
	}
	return m
}

// Shutdown implements socket.Socket.
func (s *Socket) Shutdown(int) error { return abi.EOPNOTSUPP }

// Close implements socket.Socket.
func (s *Socket) Close() {
	s.f.NS.Stack.Unobserve(s)
	s.mu.Lock()
	was, r, n := s.closed, s.ring, s.bytes
	s.closed, s.ring, s.frames, s.bytes, s.proto = true, nil, nil, 0, 0
	s.filter.Close(s.acct)
	s.mu.Unlock()
	if was {
		return
	}
	if r != nil {
		r.release()
	}
	if s.acct != nil {
		s.acct.Uncharge(uint64(baseCost + n))
	}
}

// Timeouts implements socket.Timeouter.
func (s *Socket) Timeouts() (recv, send time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.times[0].Timespec().Nano()), time.Duration(s.times[1].Timespec().Nano())
}

// Bind implements socket.Binder.
func (s *Socket) Bind(_ *vfs.Context, addr []byte) error {
	if len(addr) < addrSize || binary.LittleEndian.Uint16(addr) != abi.AF_PACKET {
		return abi.EINVAL
	}
	link := int32(binary.LittleEndian.Uint32(addr[4:]))
	if link != 0 {
		if _, ok := s.f.NS.Stack.LinkByIndex(link); !ok {
			return abi.ENODEV
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link = link
	if p := binary.BigEndian.Uint16(addr[2:]); p != 0 {
		s.proto = p
	}
	return nil
}

// LocalName implements socket.Binder.
func (s *Socket) LocalName() ([]byte, error) {
	s.mu.Lock()
	link, proto := s.link, s.proto
	s.mu.Unlock()
	b := name(link, proto)
	if l, ok := s.f.NS.Stack.LinkByIndex(link); ok {
		binary.LittleEndian.PutUint16(b[8:], l.Type)
		b[11] = byte(len(l.MAC))
		copy(b[12:], l.MAC[:])
		return b[:12+len(l.MAC)], nil
	}
	return b[:12], nil
}

// PeerName implements socket.Binder.
func (s *Socket) PeerName() ([]byte, error) { return nil, abi.EOPNOTSUPP }

// name is a struct sockaddr_ll of which the rest is to be filled in.
func name(link int32, proto uint16) []byte {
	b := make([]byte, addrSize)
	binary.LittleEndian.PutUint16(b, abi.AF_PACKET)
	binary.BigEndian.PutUint16(b[2:], proto)
	binary.LittleEndian.PutUint32(b[4:], uint32(link))
	return b
}

// Ioctl implements vfs.Ioctler.
func (s *Socket) Ioctl(ctx *vfs.Context, _ *vfs.File, cmd uint32, arg uint64, mem uio.Memory) (uint64, error) {
	put := func(b []byte) (uint64, error) { return 0, mem.CopyOut(abi.Addr(arg), b) }
	s.mu.Lock()
	stamp, first := s.stamp, 0
	if len(s.frames) > 0 {
		first = len(s.frames[0].data)
	}
	s.mu.Unlock()
	switch cmd {
	case abi.FIONREAD:
		return put(i32(first))
	case abi.TIOCOUTQ:
		return put(i32(0))
	case abi.SIOCGSTAMP_OLD, abi.SIOCGSTAMPNS_OLD:
		if stamp.IsZero() {
			return 0, abi.ENOENT
		}
		return put(stampBytes(stamp, cmd == abi.SIOCGSTAMPNS_OLD))
	}
	return 0, s.f.NS.DeviceIoctl(ctx, cmd, abi.Addr(arg), mem)
}

func i32(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }

// stampBytes is a struct timeval or timespec.
func stampBytes(t time.Time, nano bool) []byte {
	sub := t.Nanosecond()
	if !nano {
		sub /= 1000
	}
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(t.Unix())), uint64(sub))
}

var (
	_ netstack.Observer = (*Socket)(nil)
	_ socket.Binder     = (*Socket)(nil)
	_ socket.Filterer   = (*Socket)(nil)
	_ vfs.Ioctler       = (*Socket)(nil)
)
