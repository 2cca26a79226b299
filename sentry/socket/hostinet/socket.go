package hostinet

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/sentry/fs/hostfile"
	"lazaret/sentry/socket"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Socket is an AF_INET or AF_INET6 socket of the host.
type Socket struct {
	ns    *Namespace
	id    socket.Identity
	fd    int
	watch *hostfile.Watch
	queue wait.Queue
	from  []byte // of an accepted one: its peer

	mu                 sync.Mutex
	recvTime, sendTime abi.Timeval
}

// Identity implements socket.Identified.
func (s *Socket) Identity() socket.Identity { return s.id }

// HostReady implements hostfile.Handler.
func (s *Socket) HostReady(events wait.Mask) { s.queue.Notify(withNorm(events)) }

func withNorm(events wait.Mask) wait.Mask {
	if events&wait.In != 0 {
		events |= abi.POLLRDNORM
	}
	if events&wait.Out != 0 {
		events |= abi.POLLWRNORM
	}
	return events
}

// Poll implements socket.Socket. What is not true now is armed, so that a caller who adds
// himself to the queue first misses nothing.
func (s *Socket) Poll() wait.Mask {
	const all = wait.In | wait.Out | wait.Pri | wait.RdHup
	got := pollNow(s.fd, all)
	s.watch.Arm((all | wait.Hup | wait.Err) &^ got)
	return withNorm(got)
}

// WaitQueue implements socket.Socket.
func (s *Socket) WaitQueue() *wait.Queue { return &s.queue }

// Close implements socket.Socket.
func (s *Socket) Close() {
	s.watch.Close()
	_ = unix.Close(s.fd)
	s.ns.sockets.Add(-1)
}

// Timeouts implements socket.Timeouter: they bound waiting, which is done here.
func (s *Socket) Timeouts() (recv, send time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := func(t abi.Timeval) time.Duration {
		return time.Duration(t.Sec)*time.Second + time.Duration(t.Usec)*time.Microsecond
	}
	return d(s.recvTime), d(s.sendTime)
}

// Shutdown implements socket.Socket.
func (s *Socket) Shutdown(how int) error { return hostErr(unix.Shutdown(s.fd, how)) }

// Bind implements socket.Binder.
// TRUST: addr is the application's; the host's kernel checks it as it does everybody's.
func (s *Socket) Bind(_ *vfs.Context, addr []byte) error { return hostBind(s.fd, addr) }

// LocalName implements socket.Binder.
func (s *Socket) LocalName() ([]byte, error) { return hostName(unix.SYS_GETSOCKNAME, s.fd) }

// PeerName implements socket.Binder.
func (s *Socket) PeerName() ([]byte, error) { return hostName(unix.SYS_GETPEERNAME, s.fd) }

// Connect implements socket.Connector.
func (s *Socket) Connect(_ *vfs.Context, addr []byte) error {
	err := hostConnect(s.fd, addr)
	if err == abi.EINPROGRESS || err == abi.EALREADY || err == abi.EAGAIN {
		s.watch.Arm(wait.Out)
	}
	return err
}

// Listen implements socket.Listener.
func (s *Socket) Listen(_ *vfs.Context, backlog int) error {
	return hostErr(unix.Listen(s.fd, backlog))
}

// Accept implements socket.Listener.
func (s *Socket) Accept(*vfs.Context) (socket.Socket, error) {
	if err := s.ns.take(); err != nil {
		return nil, err
	}
	fd, from, err := hostAccept(s.fd)
	s.watch.Arm(wait.In) // for the next one
	if err != nil {
		s.ns.sockets.Add(-1)
		return nil, err
	}
	c, err := s.ns.newSocket(fd, s.id)
	if err != nil {
		return nil, err
	}
	c.from = from
	return c, nil
}

// AcceptedFrom implements socket.Accepted.
func (s *Socket) AcceptedFrom() []byte { return s.from }

// Ioctl implements vfs.Ioctler: the lengths of the queues, and what devices there are.
func (s *Socket) Ioctl(ctx *vfs.Context, _ *vfs.File, cmd uint32, arg uint64, mem uio.Memory) (uint64, error) {
	switch cmd {
	case abi.FIONREAD, abi.TIOCOUTQ: // SIOCINQ, SIOCOUTQ
		n, err := hostCount(s.fd, uintptr(cmd))
		if err != nil {
			return 0, err
		}
		return 0, mem.CopyOut(abi.Addr(arg), []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
	}
	return 0, s.ns.Devices.DeviceIoctl(ctx, cmd, abi.Addr(arg), mem)
}
