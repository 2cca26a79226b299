package unix

import (
	"encoding/binary"
	"time"

	"lazaret/sentry/kernel/bpf"
	"lazaret/sentry/socket"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// options are socket options; under Socket.mu.
type options struct {
	passCred         bool
	rcvbuf           int
	lowat            int
	rcvTime, sndTime abi.Timeval
	linger           [8]byte
	flags            uint64 // booleans that are only stored, bit = option number
	priority, mark   uint32
}

// stored are the boolean options that change nothing here.
const stored = 1<<abi.SO_REUSEADDR | 1<<abi.SO_KEEPALIVE | 1<<abi.SO_BROADCAST | 1<<abi.SO_OOBINLINE |
	1<<abi.SO_DONTROUTE | 1<<abi.SO_DEBUG | 1<<abi.SO_TIMESTAMP | 1<<abi.SO_NO_CHECK | 1<<abi.SO_REUSEPORT

// Limits of net.core: rmem_max, wmem_max and the smallest sizes.
const (
	maxBuf    = 212992
	minSndBuf = 4608
	minRcvBuf = 2304
)

// Timeouts implements socket.Timeouter.
func (s *Socket) Timeouts() (recv, send time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return duration(s.opts.rcvTime), duration(s.opts.sndTime)
}

func duration(t abi.Timeval) time.Duration { return time.Duration(t.Timespec().Nano()) }

func i32(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// GetOption implements socket.Optioner.
func (s *Socket) GetOption(ctx *vfs.Context, level, name, n int) ([]byte, error) {
	if level != abi.SOL_SOCKET {
		return nil, abi.EOPNOTSUPP
	}
	switch h := s.host.Load(); {
	case name == abi.SO_PEERNAME:
		return s.PeerName()
	case name == abi.SO_ERROR && h != nil:
		return i32(int(h.takeErr())), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &s.opts
	switch name {
	case abi.SO_TYPE:
		return i32(s.typ), nil
	case abi.SO_DOMAIN:
		return i32(abi.AF_UNIX), nil
	case abi.SO_PROTOCOL, abi.SO_PASSSEC, abi.SO_RXQ_OVFL, abi.SO_BUSY_POLL:
		return i32(0), nil
	case abi.SO_ERROR:
		e := s.err
		s.err = 0
		return i32(int(e)), nil
	case abi.SO_SNDBUF:
		return i32(int(s.sndbuf.Load())), nil
	case abi.SO_RCVBUF:
		return i32(o.rcvbuf), nil
	case abi.SO_RCVLOWAT:
		return i32(o.lowat), nil
	case abi.SO_SNDLOWAT:
		return i32(1), nil
	case abi.SO_ACCEPTCONN:
		return i32(b2i(s.state == stateListening)), nil
	case abi.SO_PASSCRED:
		return i32(b2i(o.passCred)), nil
	case abi.SO_LINGER:
		return o.linger[:], nil
	case abi.SO_PRIORITY:
		return i32(int(o.priority)), nil
	case abi.SO_MARK:
		return i32(int(o.mark)), nil
	case abi.SO_RCVTIMEO_OLD, abi.SO_RCVTIMEO_NEW:
		return timeval(o.rcvTime), nil
	case abi.SO_SNDTIMEO_OLD, abi.SO_SNDTIMEO_NEW:
		return timeval(o.sndTime), nil
	case abi.SO_LOCK_FILTER:
		return i32(b2i(s.filter.Locked())), nil
	case abi.SO_PEEK_OFF:
		return i32(-1), nil
	}
	if name > 0 && name < 64 && stored&(1<<name) != 0 {
		return i32(b2i(o.flags&(1<<name) != 0)), nil
	}
	return s.peerOptionLocked(ctx, name, n)
}

// PeerCreds implements socket.PeerCredentials.
func (s *Socket) PeerCreds() socket.Ucred {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peerCreds
}

// peerOptionLocked are the options about who is on the other side. SO_PEERCRED gives ids
// as the caller's user namespace sees them; the system call layer translates the pid.
func (s *Socket) peerOptionLocked(ctx *vfs.Context, name, n int) ([]byte, error) {
	switch name {
	case abi.SO_PEERCRED:
		if s.peerCreds.PID == 0 && s.peer == nil && s.state != stateConnected {
			return append(i32(0), append(i32(-1), i32(-1)...)...), nil
		}
		ns := ctx.Creds.UserNS
		b := i32(int(s.peerCreds.PID))
		b = append(b, i32(int(ns.UID(s.peerCreds.UID)))...)
		return append(b, i32(int(ns.GID(s.peerCreds.GID)))...), nil
	case abi.SO_PEERGROUPS:
		if s.state != stateConnected {
			return nil, abi.ENODATA
		}
		var b []byte
		for _, g := range s.peerGroups {
			b = append(b, i32(int(ctx.Creds.UserNS.GID(g)))...)
		}
		if len(b) > n {
			return b, abi.ERANGE
		}
		return b, nil
	}
	return nil, abi.ENOPROTOOPT // SO_PEERSEC too: there is no security module
}

func timeval(t abi.Timeval) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(t.Sec))
	return binary.LittleEndian.AppendUint64(b, uint64(t.Usec))
}

func parseTimeval(b []byte) (abi.Timeval, error) {
	if len(b) < 16 {
		return abi.Timeval{}, abi.EINVAL
	}
	t := abi.Timeval{Sec: int64(binary.LittleEndian.Uint64(b)), Usec: int64(binary.LittleEndian.Uint64(b[8:]))}
	if t.Usec < 0 || t.Usec >= 1_000_000 {
		return abi.Timeval{}, abi.EDOM
	}
	if t.Sec < 0 {
		t = abi.Timeval{}
	}
	return t, nil
}

// SetOption implements socket.Optioner.
func (s *Socket) SetOption(ctx *vfs.Context, level, name int, value []byte) error {
	if level != abi.SOL_SOCKET {
		return abi.EOPNOTSUPP
	}
	if len(value) < 4 {
		return abi.EINVAL
	}
	v := int(int32(binary.LittleEndian.Uint32(value)))
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &s.opts
	switch name {
	case abi.SO_SNDBUF, abi.SO_SNDBUFFORCE:
		if name == abi.SO_SNDBUFFORCE && !ctx.Creds.HasCap(abi.CAP_NET_ADMIN) {
			return abi.EPERM
		}
		s.sndbuf.Store(int64(max(min(uint(v), maxBuf)*2, minSndBuf)))
		return nil
	case abi.SO_RCVBUF, abi.SO_RCVBUFFORCE:
		if name == abi.SO_RCVBUFFORCE && !ctx.Creds.HasCap(abi.CAP_NET_ADMIN) {
			return abi.EPERM
		}
		o.rcvbuf = int(max(min(uint(v), maxBuf)*2, minRcvBuf))
		return nil
	case abi.SO_PASSCRED:
		o.passCred = v != 0
		return nil
	case abi.SO_RCVLOWAT:
		if o.lowat = v; v <= 0 {
			o.lowat = 1
		}
		return nil
	case abi.SO_PRIORITY:
		o.priority = uint32(v)
		return nil
	case abi.SO_MARK:
		o.mark = uint32(v)
		return nil
	case abi.SO_LINGER:
		if len(value) < 8 {
			return abi.EINVAL
		}
		copy(o.linger[:], value)
		return nil
	case abi.SO_DETACH_FILTER:
		return s.filter.Set(s.acct, nil)
	case abi.SO_LOCK_FILTER:
		return s.filter.Lock(v != 0)
	case abi.SO_TYPE, abi.SO_DOMAIN, abi.SO_PROTOCOL, abi.SO_ERROR, abi.SO_ACCEPTCONN:
		return abi.ENOPROTOOPT
	}
	return s.setTimesLocked(name, v, value)
}

// AttachFilter implements socket.Filterer: a filter of datagrams. Streams have it for nothing.
func (s *Socket) AttachFilter(p *bpf.Program) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return abi.EBADF
	}
	return s.filter.Set(s.acct, p)
}

func (s *Socket) setTimesLocked(name, v int, value []byte) error {
	o := &s.opts
	switch name {
	case abi.SO_RCVTIMEO_OLD, abi.SO_RCVTIMEO_NEW, abi.SO_SNDTIMEO_OLD, abi.SO_SNDTIMEO_NEW:
		t, err := parseTimeval(value)
		if err != nil {
			return err
		}
		if name == abi.SO_RCVTIMEO_OLD || name == abi.SO_RCVTIMEO_NEW {
			o.rcvTime = t
		} else {
			o.sndTime = t
		}
		return nil
	}
	if name > 0 && name < 64 && stored&(1<<name) != 0 {
		o.flags &^= 1 << name
		if v != 0 {
			o.flags |= 1 << name
		}
		return nil
	}
	return abi.ENOPROTOOPT
}

// Ioctl implements vfs.Ioctler: SIOCINQ (FIONREAD), SIOCOUTQ (TIOCOUTQ), SIOCATMARK.
func (s *Socket) Ioctl(ctx *vfs.Context, _ *vfs.File, cmd uint32, arg uint64, mem uio.Memory) (uint64, error) {
	n := 0
	h := s.host.Load()
	switch {
	case h == nil || s.waiting():
	case cmd == abi.TIOCOUTQ || cmd == abi.FIONREAD:
		n, err := h.count(cmd)
		if err != nil {
			return 0, err
		}
		return 0, mem.CopyOut(abi.Addr(arg), i32(n))
	}
	switch cmd {
	case abi.TIOCOUTQ:
		n = int(s.inFlight.Load())
	case abi.FIONREAD:
		s.mu.Lock()
		listening := s.state == stateListening
		n = s.recv.bytes
		if s.typ == abi.SOCK_DGRAM && s.recv.len() > 0 {
			n = len(s.recv.first().data)
		}
		s.mu.Unlock()
		if listening {
			return 0, abi.EINVAL
		}
	case abi.SIOCATMARK:
		n = b2i(s.atMark())
	default:
		if s.ns.Devices == nil {
			return 0, abi.ENOTTY
		}
		return 0, s.ns.Devices.DeviceIoctl(ctx, cmd, abi.Addr(arg), mem)
	}
	return 0, mem.CopyOut(abi.Addr(arg), i32(n))
}
