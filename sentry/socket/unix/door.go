package unix

import (
	sys "golang.org/x/sys/unix"

	"lazaret/sentry/fs/hostfile"
	"lazaret/sentry/socket"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// doorInode is the inode of a socket file that bind(2) has made on the host too (--host-uds).
type doorInode interface {
	TakeDoor() (fd int, n *hostfile.Notifier, ok bool)
	ListenHost(backlog int) error
	AcceptHost() (int, error)
	CloseDoor()
}

// door is a socket of the host at the name that a socket of the sandbox is bound to: the Gofer
// listens and accepts, datagrams come to its descriptor. Whoever connects from inside the sandbox
// does not need it.
type door struct {
	*host
	inode doorInode
}

// openDoor returns the door that was made with a socket file; nil: none was.
func openDoor(i vfs.Inode, s *Socket) (*door, error) {
	di, ok := i.(doorInode)
	if !ok {
		return nil, nil
	}
	fd, n, ok := di.TakeDoor()
	if !ok {
		return nil, nil
	}
	w, err := n.Watch(fd, s)
	if err != nil {
		_ = sys.Close(fd)
		di.CloseDoor()
		return nil, err
	}
	return &door{&host{fd: fd, watch: w}, di}, nil
}

// close ends it. The file stays, as on Linux.
func (d *door) close() {
	if d != nil {
		d.host.close()
		d.inode.CloseDoor()
	}
}

// keepDoor makes d the socket's; false: it was closed meanwhile.
func (s *Socket) keepDoor(d *door) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.door.Store(d)
	return true
}

// acceptHost takes a connection of a program of the host.
func (s *Socket) acceptHost(ctx *vfs.Context, d *door) (socket.Socket, error) {
	fd, err := d.inode.AcceptHost()
	if err == abi.EAGAIN {
		d.host.mu.RLock()
		if d.fd >= 0 {
			d.watch.Arm(wait.In)
		}
		d.host.mu.RUnlock()
	}
	if err != nil {
		return nil, err
	}
	n := newSocket(ctx, s.ns, s.typ)
	h := &host{fd: fd}
	if h.watch, err = d.watch.Beside(fd, n); err != nil {
		_ = sys.Close(fd)
		return nil, err
	}
	s.mu.Lock()
	n.name, n.opts.passCred = s.name, s.opts.passCred
	s.mu.Unlock()
	n.state, n.peerCreds = stateConnected, nobody
	n.host.Store(h)
	return n, nil
}
