package syscalls

import (
	"time"

	"lazaret/sentry/kernel"
	"lazaret/sentry/kernel/clock"
	"lazaret/sentry/mm"
	"lazaret/sentry/socket"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// msghdr is struct msghdr as the kernel has it.
type msghdr struct {
	Name       abi.Addr
	NameLen    int32
	_          int32
	Iov        abi.Addr
	IovLen     uint64
	Control    abi.Addr
	ControlLen uint64
	Flags      uint32
	_          uint32
}

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	Hdr msghdr
	Len uint32
	_   uint32
}

// Offsets of what calls write back.
const (
	msgNameLen    = 8
	msgControlLen = 40
	msgFlags      = 48
	mmsgLen       = 56
	mmsgSize      = 64
)

// copyMsghdr copies in a header and the array it points to.
func copyMsghdr(t *kernel.Task, addr abi.Addr) (msghdr, []mm.IOVec, error) {
	h, err := copyIn[msghdr](t, addr)
	if err != nil {
		return h, nil, err
	}
	if h.Name == 0 {
		h.NameLen = 0
	}
	if h.NameLen < 0 {
		return h, nil, abi.EINVAL
	}
	h.NameLen = min(h.NameLen, abi.SockaddrMax)
	if h.IovLen > abi.UIO_MAXIOV {
		return h, nil, abi.EMSGSIZE
	}
	iovs, err := copyInIovecs(t, h.Iov, h.IovLen)
	return h, iovs, err
}

func iovTotal(iovs []mm.IOVec) uint64 {
	n := uint64(0)
	for i := range iovs {
		n += iovs[i].Len
	}
	return n
}

func isStream(s socket.Socket) bool {
	id, ok := s.(socket.Identified)
	return ok && id.Identity().Type == abi.SOCK_STREAM
}

// sendOne sends the memory of iovs as one message; a stream takes more than is pinned at
// once in pieces. It takes over the files of m.
func sendOne(t *kernel.Task, f *vfs.File, s socket.Socket, iovs []mm.IOVec, m *socket.Message) (uint64, error) {
	stream := isStream(s)
	left, total := iovTotal(iovs), uint64(0)
	flags := m.Flags
	for {
		n, err := sendChunk(t, f, iovs, left, stream, m)
		total += uint64(n)
		left -= uint64(n)
		if err != nil {
			m.Control.Release()
			if total > 0 {
				return total, nil
			}
			if err == abi.EPIPE && stream && flags&abi.MSG_NOSIGNAL == 0 {
				_ = t.SignalThread(&abi.Siginfo{Signo: abi.SIGPIPE, Code: abi.SI_KERNEL})
			}
			return 0, err
		}
		if !stream || left == 0 || n < pinChunk {
			return total, nil
		}
		iovs = skipIovecs(iovs, uint64(n))
		m.Flags, m.Control = flags, socket.Control{}
	}
}

func sendChunk(t *kernel.Task, f *vfs.File, iovs []mm.IOVec, left uint64, stream bool, m *socket.Message) (int, error) {
	var pin mm.Pinned
	if err := t.MM().PinInto(&pin, iovs, false, pinChunk); err != nil && left > 0 {
		return 0, err
	}
	defer pin.Release()
	if n := uint64(pin.Bufs.Len()); n < left && !stream {
		if n < pinChunk {
			return 0, abi.EFAULT
		}
		return 0, abi.EMSGSIZE
	}
	m.Bufs = pin.Bufs
	return socket.Send(t.Ctx(), f, m)
}

// recvOne receives into the memory of iovs. The files of m are the caller's.
func recvOne(t *kernel.Task, f *vfs.File, iovs []mm.IOVec, m *socket.Message) (uint64, error) {
	var pin mm.Pinned
	if err := t.MM().PinInto(&pin, iovs, true, pinChunk); err != nil && iovTotal(iovs) > 0 {
		return 0, err
	}
	defer pin.Release()
	m.Bufs = pin.Bufs
	n, err := socket.Recv(t.Ctx(), f, m)
	if err != nil {
		m.Control.Release()
	}
	return uint64(max(n, 0)), err
}

// Sendto is sendto(2).
func Sendto(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, s, err := getSocket(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	m := socket.Message{Flags: int(a.Uint(3))}
	if addr := a.Addr(4); addr != 0 {
		if m.Name, err = copyInSockaddr(t, addr, a.Int(5)); err != nil {
			return 0, err
		}
	}
	return sendOne(t, f, s, []mm.IOVec{{Addr: a.Addr(1), Len: min(a.Size(2), maxRW)}}, &m)
}

// Recvfrom is recvfrom(2).
func Recvfrom(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, _, err := getSocket(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	m := socket.Message{Flags: int(a.Uint(3))}
	n, err := recvOne(t, f, []mm.IOVec{{Addr: a.Addr(1), Len: min(a.Size(2), maxRW)}}, &m)
	if err != nil {
		return 0, err
	}
	m.Control.Release()
	if addr := a.Addr(4); addr != 0 {
		if err := copyOutSockaddr(t, addr, a.Addr(5), m.Name); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// Sendmsg is sendmsg(2).
func Sendmsg(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, s, err := getSocket(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	return sendMsg(t, f, s, a.Addr(1), a.Uint(2))
}

func sendMsg(t *kernel.Task, f *vfs.File, s socket.Socket, addr abi.Addr, flags uint32) (uint64, error) {
	h, iovs, err := copyMsghdr(t, addr)
	if err != nil {
		return 0, err
	}
	m := socket.Message{Flags: int(flags)}
	if h.NameLen > 0 {
		if m.Name, err = copyInSockaddr(t, h.Name, h.NameLen); err != nil {
			return 0, err
		}
	}
	if m.Control, err = controlIn(t, h.Control, h.ControlLen); err != nil {
		return 0, err
	}
	return sendOne(t, f, s, iovs, &m)
}

// Recvmsg is recvmsg(2).
func Recvmsg(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, _, err := getSocket(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	return recvMsg(t, f, a.Addr(1), a.Uint(2))
}

func recvMsg(t *kernel.Task, f *vfs.File, addr abi.Addr, flags uint32) (uint64, error) {
	h, iovs, err := copyMsghdr(t, addr)
	if err != nil {
		return 0, err
	}
	cloexec := flags & abi.MSG_CMSG_CLOEXEC
	m := socket.Message{Flags: int(flags &^ abi.MSG_CMSG_CLOEXEC)}
	n, err := recvOne(t, f, iovs, &m)
	if err != nil {
		return 0, err
	}
	limit := 0
	if h.Control != 0 {
		limit = int(min(h.ControlLen, maxControl))
	}
	control, fds, more := controlOut(t, &m.Control, limit, cloexec != 0)
	if err := msgOut(t, addr, &h, m.Name, control, uint32(m.Flags|more)|cloexec); err != nil {
		closeAll(t, fds)
		return 0, err
	}
	return n, nil
}

// msgOut writes what a receive found: address, ancillary data, lengths and flags.
func msgOut(t *kernel.Task, addr abi.Addr, h *msghdr, name, control []byte, flags uint32) error {
	mem := t.MM()
	if h.Name != 0 {
		if err := mem.CopyOut(h.Name, name[:min(len(name), int(h.NameLen))]); err != nil {
			return err
		}
		n := uint32(len(name))
		if err := copyOut(t, addr+msgNameLen, &n); err != nil {
			return err
		}
	}
	if err := mem.CopyOut(h.Control, control); err != nil {
		return err
	}
	n := uint64(len(control))
	if err := copyOut(t, addr+msgControlLen, &n); err != nil {
		return err
	}
	return copyOut(t, addr+msgFlags, &flags)
}

// Sendmmsg is sendmmsg(2).
func Sendmmsg(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, s, err := getSocket(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	count, addr := min(a.Uint(2), abi.UIO_MAXIOV), a.Addr(1)
	for i := uint32(0); i < count; i++ {
		n, err := sendMsg(t, f, s, addr, a.Uint(3))
		if err == nil {
			sent := uint32(n)
			err = copyOut(t, addr+mmsgLen, &sent)
		}
		if err != nil {
			if i > 0 {
				return uint64(i), nil
			}
			return 0, err
		}
		if addr += mmsgSize; t.Interrupted() {
			return uint64(i + 1), nil
		}
	}
	return uint64(count), nil
}

// Recvmmsg is recvmmsg(2). As on Linux the timeout is looked at after each message only.
func Recvmmsg(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, _, err := getSocket(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	var deadline time.Time
	timeout := a.Addr(4)
	if timeout != 0 {
		ts, err := copyIn[abi.Timespec](t, timeout)
		if err != nil {
			return 0, err
		}
		if !ts.Valid() {
			return 0, abi.EINVAL
		}
		deadline = clock.After(ts.Nano())
	}
	n, err := recvMany(t, f, a, deadline)
	if err != nil {
		return 0, err
	}
	if timeout != 0 {
		left := abi.NsecToTimespec(max(time.Until(deadline).Nanoseconds(), 0))
		return n, copyOut(t, timeout, &left)
	}
	return n, nil
}

func recvMany(t *kernel.Task, f *vfs.File, a *abi.Args, deadline time.Time) (uint64, error) {
	count, flags, addr := min(a.Uint(2), abi.UIO_MAXIOV), a.Uint(3), a.Addr(1)
	for i := uint32(0); i < count; i++ {
		n, err := recvMsg(t, f, addr, flags&^abi.MSG_WAITFORONE)
		if err == nil {
			got := uint32(n)
			err = copyOut(t, addr+mmsgLen, &got)
		}
		if err != nil {
			if i > 0 {
				return uint64(i), nil
			}
			return 0, err
		}
		if flags&abi.MSG_WAITFORONE != 0 {
			flags |= abi.MSG_DONTWAIT
		}
		if addr += mmsgSize; !deadline.IsZero() && !time.Now().Before(deadline) || t.Interrupted() {
			return uint64(i + 1), nil
		}
	}
	return uint64(count), nil
}
