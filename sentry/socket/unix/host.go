package unix

import (
	"bytes"
	"sync"
	"time"

	sys "golang.org/x/sys/unix"

	"lazaret/sentry/auth"
	"lazaret/sentry/fs/hostfile"
	"lazaret/sentry/socket"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// hostSocket is an inode that may be a Unix socket of the host. ConnectHost returns a connected
// descriptor, which the caller owns: ECONNREFUSED if it is none.
type hostSocket interface {
	ConnectHost(socktype int) (fd int, n *hostfile.Notifier, err error)
}

// hostSocketOf returns i, or what i shows of another file system, if it may be one.
func hostSocketOf(i vfs.Inode) hostSocket {
	for {
		if h, ok := i.(hostSocket); ok {
			return h
		}
		o, ok := i.(interface{ Real() vfs.Inode })
		if !ok {
			return nil
		}
		i = o.Real()
	}
}

// host is a socket's connection to a socket of the host. Of a stream it is made once, a
// datagram socket may change it.
type host struct {
	mu    sync.RWMutex // read-held during a host call: none of them waits
	fd    int          // -1: closed
	watch *hostfile.Watch
	name  []byte // as the application called the peer
}

// nobody are the credentials of every process of the host.
var nobody = socket.Ucred{UID: auth.KUID(auth.NoID), GID: auth.KGID(auth.NoID)}

// HostReady implements hostfile.Handler.
func (s *Socket) HostReady(events wait.Mask) { s.queue.Notify(withNorm(events)) }

func withNorm(m wait.Mask) wait.Mask {
	if m&wait.In != 0 {
		m |= abi.POLLRDNORM
	}
	if m&wait.Out != 0 {
		m |= abi.POLLWRNORM | abi.POLLWRBAND
	}
	return m
}

// hostRetry is how often who finds a socket of the host full looks again, where the host tells
// nobody when it is not.
const hostRetry = 20 * time.Millisecond

// retryHost wakes who waits after a while. The timer is not kept, and may find the socket
// closed.
func (s *Socket) retryHost() {
	time.AfterFunc(hostRetry, func() { s.queue.Notify(wait.Out) })
}

// openHost connects to a socket of the host.
func (s *Socket) openHost(to hostSocket, name []byte) (*host, error) {
	fd, n, err := to.ConnectHost(s.typ)
	if err == abi.EAGAIN {
		s.retryHost()
	}
	if err != nil {
		return nil, err
	}
	h := &host{fd: fd, name: bytes.Clone(name)}
	if h.watch, err = n.Watch(fd, s); err != nil {
		_ = sys.Close(fd)
		return nil, err
	}
	return h, nil
}

// close ends the connection; later calls find it closed.
func (h *host) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fd >= 0 {
		h.watch.Close()
		_ = sys.Close(h.fd)
		h.fd = -1
	}
}

// joinHost connects a stream or sequenced packet socket.
func (s *Socket) joinHost(to hostSocket, name []byte) error {
	s.mu.Lock()
	err := s.mayJoinLocked()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	h, err := s.openHost(to, name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if err = s.mayJoinLocked(); err == nil {
		s.host.Store(h)
		s.state, s.peerCreds, s.peerGroups = stateConnected, nobody, nil
	}
	s.mu.Unlock()
	if err != nil {
		h.close() // another thread was quicker
		return err
	}
	s.queue.Notify(wait.Out | abi.POLLWRNORM)
	return nil
}

// mayJoinLocked is what connect(2) says of a stream that is not new.
func (s *Socket) mayJoinLocked() error {
	switch {
	case s.closed || s.state == stateListening:
		return abi.EINVAL
	case s.state == stateConnected:
		return abi.EISCONN
	}
	return nil
}

// sendHost sends on a connection to the host. Linux difference: descriptors are refused with
// EPERM, for the sandbox's are none of the host; credentials are those of the Sentry, whatever
// the application says.
func (s *Socket) sendHost(h *host, m *socket.Message) (int, error) {
	if len(m.Name) > 0 && s.typ == abi.SOCK_STREAM {
		return 0, abi.EISCONN
	}
	if m.Flags&abi.MSG_OOB != 0 {
		return 0, abi.EOPNOTSUPP
	}
	if len(m.Control.Files) > 0 {
		return 0, abi.EPERM
	}
	bufs := m.Bufs
	if len(bufs) > maxBlocks {
		if s.typ != abi.SOCK_STREAM {
			return 0, abi.EMSGSIZE
		}
		bufs = bufs[:maxBlocks]
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.fd < 0 {
		return 0, abi.ENOTCONN
	}
	n, err := hostfile.SendMsg(h.fd, bufs, m.Flags&abi.MSG_EOR|sys.MSG_DONTWAIT)
	if err == abi.EAGAIN || err == nil && n < m.Bufs.Len() {
		h.watch.Arm(wait.Out)
	}
	return n, err
}

// sendHostOnce sends a datagram to a socket of the host that this one is not connected to.
func (s *Socket) sendHostOnce(to hostSocket, m *socket.Message) (int, error) {
	h, err := s.openHost(to, nil)
	if err != nil {
		return 0, err
	}
	defer h.close()
	n, err := s.sendHost(h, m)
	if err == abi.EAGAIN {
		s.retryHost()
	}
	return n, err
}

// waiting reports whether something from before the connection to the host is to be received.
func (s *Socket) waiting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recv.len() > 0
}

// maxBlocks is the host's UIO_MAXIOV.
const maxBlocks = 1024

// recvHost receives from the host. Descriptors that come along are left behind (MSG_CTRUNC).
func (s *Socket) recvHost(h *host, m *socket.Message, flags int) (int, error) {
	bufs := m.Bufs
	if len(bufs) > maxBlocks {
		bufs = bufs[:maxBlocks]
	}
	if flags&abi.MSG_OOB != 0 {
		return 0, abi.EOPNOTSUPP
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.fd < 0 {
		return 0, abi.ENOTCONN
	}
	n, got, err := hostfile.RecvMsg(h.fd, bufs, flags&(abi.MSG_PEEK|abi.MSG_TRUNC)|sys.MSG_DONTWAIT)
	if err != nil {
		if err == abi.EAGAIN {
			h.watch.Arm(wait.In | wait.RdHup)
		}
		return 0, err
	}
	h.watch.Arm(wait.In | wait.RdHup) // an edge-triggered epoll waits for the next bytes
	m.Flags = got & (abi.MSG_TRUNC | abi.MSG_CTRUNC | abi.MSG_EOR)
	m.Name = nil
	if s.typ == abi.SOCK_STREAM {
		m.Name = sockaddr(h.name)
	}
	s.mu.Lock()
	if s.opts.passCred {
		c := nobody
		m.Control.Creds = &c
	}
	s.mu.Unlock()
	return n, nil
}

// poll is what the host knows of the connection.
func (h *host) poll() wait.Mask {
	const all = wait.In | wait.Out | wait.Pri | wait.RdHup
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.fd < 0 {
		return wait.Hup
	}
	got := hostfile.PollNow(h.fd, all)
	h.watch.Arm((all | wait.Hup | wait.Err) &^ got)
	return withNorm(got)
}

// shutdownHost is shutdown(2) of a connection to the host.
func (h *host) shutdown(how int) error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.fd < 0 {
		return abi.ENOTCONN
	}
	return hostErr(sys.Shutdown(h.fd, how))
}

// takeErr is SO_ERROR. A look at the queue takes a pending error as well, and the Sentry needs
// no further host call for it.
func (h *host) takeErr() abi.Errno {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.fd < 0 || hostfile.PollNow(h.fd, wait.Err)&wait.Err == 0 {
		return 0
	}
	_, _, err := hostfile.RecvMsg(h.fd, nil, sys.MSG_PEEK|sys.MSG_DONTWAIT)
	if e, ok := err.(abi.Errno); ok && e != abi.EAGAIN {
		return e
	}
	return 0
}

// count is FIONREAD or TIOCOUTQ.
func (h *host) count(cmd uint32) (int, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.fd < 0 {
		return 0, nil
	}
	n, err := sys.IoctlGetInt(h.fd, uint(cmd))
	return n, hostErr(err)
}

func hostErr(err error) error {
	if e, ok := err.(sys.Errno); ok {
		return abi.Errno(e)
	}
	return err
}
