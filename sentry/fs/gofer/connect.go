package gofer

import (
	"sync/atomic"
	"time"

	"lazaret/gofer/proto"
	"lazaret/sentry/fs/hostfile"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// special is a FIFO, socket or device node. The VFS opens those by their type, but for
// FIFOs of trees whose FIFOs and sockets are the host's (UseHost).
type special struct {
	inode
	door atomic.Int32 // the socket of the host that bind(2) made with the file; 0: none, or taken
}

// UseHost makes the FIFOs and Unix sockets of trees that are mounted from now on the host's
// own; n watches what is open. The Gofer decides whether it hands them out.
func (c *Client) UseHost(n *hostfile.Notifier) { c.host = n }

// OpensSpecial implements vfs.SpecialOpener.
func (s *special) OpensSpecial() bool { return s.typ == abi.S_IFIFO && s.fs.host != nil }

// fifoRetry is how often who waits for a reader looks for one: the host tells nobody.
const fifoRetry = 20 * time.Millisecond

// Open implements vfs.Inode: of a FIFO of the host. The Gofer never waits; for a writer
// this does, and a reader waits when it reads (hostfile.NewFIFO).
func (s *special) Open(ctx *vfs.Context, f *vfs.File) (vfs.FileOps, error) {
	if !s.OpensSpecial() {
		return nil, abi.ENXIO
	}
	flags := int(f.Flags() & abi.O_ACCMODE)
	block := f.Flags()&abi.O_NONBLOCK == 0 && ctx.Sleeper != nil
	fd, err := s.donated(flags)
	for err == abi.ENXIO && flags == abi.O_WRONLY && block {
		if err := ctx.Sleeper.Sleep(time.Now().Add(fifoRetry)); err != nil && err != abi.ETIMEDOUT {
			return nil, err
		}
		fd, err = s.donated(flags)
	}
	if err != nil {
		return nil, err
	}
	ops, err := hostfile.NewFIFO(s.fs.host, fd, flags == abi.O_RDONLY && block)
	if err != nil {
		closeFD(fd)
		return nil, err
	}
	f.Mode |= vfs.ModeStream | vfs.ModeAsync
	return ops, nil
}

func (s *special) donated(flags int) (int, error) {
	file, err := s.getFile()
	if err != nil {
		return -1, err
	}
	fd, err := file.Open(flags)
	if err == nil && fd < 0 {
		err = abi.ENXIO
	}
	return fd, err
}

// ConnectHost connects to the Unix socket of the host that the file is: ECONNREFUSED if
// there is none, or if it is not for the sandbox. The caller owns the descriptor.
func (s *special) ConnectHost(socktype int) (fd int, n *hostfile.Notifier, err error) {
	if s.typ != abi.S_IFSOCK || s.fs.host == nil {
		return -1, nil, abi.ECONNREFUSED
	}
	file, err := s.getFile()
	if err == nil {
		fd, err = file.Connect(uint32(socktype))
	}
	if err == abi.ESTALE {
		err = abi.ECONNREFUSED // removed on the host
	}
	if err != nil {
		return -1, nil, err
	}
	return fd, s.fs.host, nil
}

// maxSockName is the longest name of a socket that the Gofer can bind: "./" is before it.
const maxSockName = 105

// bind makes a Unix socket of the host: programs there can connect to it.
func (d *directory) bind(f *proto.File, name string, args *vfs.MakeArgs) (vfs.Inode, error) {
	child, fd, a, err := f.Bind(name, uint32(args.SockType), args.Mode&0o7777, uint32(args.UID), uint32(args.GID))
	if err == abi.EADDRINUSE {
		err = abi.EEXIST
	}
	if err != nil {
		d.failed(abi.IN_CREATE, name)
		return nil, err
	}
	d.set(name, &a)
	i := d.fs.inode(d, name, &a, child)
	if s, ok := i.(*special); !ok || fd <= 0 || !s.door.CompareAndSwap(0, int32(fd)) {
		closeFD(fd)
	}
	return i, nil
}

// TakeDoor returns the socket of the host that bind(2) made with the file, which the caller
// owns then; ok is false if there is none.
func (s *special) TakeDoor() (fd int, n *hostfile.Notifier, ok bool) {
	fd = int(s.door.Swap(0))
	return fd, s.fs.host, fd > 0
}

// ReleaseInode implements vfs.Releaser.
func (s *special) ReleaseInode() {
	if fd := s.door.Swap(0); fd > 0 {
		closeFD(int(fd))
	}
	s.inode.ReleaseInode()
}

// ListenHost lets the host connect to the socket.
func (s *special) ListenHost(backlog int) error {
	f, err := s.getFile()
	if err == nil {
		err = f.Listen(uint32(backlog))
	}
	return err
}

// AcceptHost takes a connection of the host: EAGAIN if there is none. The caller owns it.
func (s *special) AcceptHost() (int, error) {
	f, err := s.getFile()
	if err != nil {
		return -1, err
	}
	return f.Accept()
}

// CloseDoor ends the socket: nobody of the host can connect any more.
func (s *special) CloseDoor() {
	if f, err := s.getFile(); err == nil {
		_ = f.Listen(proto.StopListening)
	}
}
