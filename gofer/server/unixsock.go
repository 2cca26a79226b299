package server

import (
	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
	"lazaret/syscalls/abi"
)

// maxSockName is the longest name that fits sun_path after "./".
const maxSockName = 105

// socketType checks the type that a client asks for.
func socketType(t uint32) (int, error) {
	switch t {
	case abi.SOCK_STREAM, abi.SOCK_DGRAM, abi.SOCK_SEQPACKET:
		return int(t) | unix.SOCK_CLOEXEC, nil
	}
	return 0, unix.ESOCKTNOSUPPORT
}

// xconnect connects to a socket of the host. connect takes a path, so it follows a link
// that replaces the socket just then; the tree is locked against our own client, and what
// else changes a shared tree can only lead to sockets within the gofer's own root.
func (r *request) xconnect() error {
	num, st := r.d.U32(), r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.fid(num)
	if err != nil {
		return err
	}
	n := f.node
	if n.id.typ != unix.S_IFSOCK || !n.root.AllowUnix {
		return unix.ECONNREFUSED
	}
	typ, err := socketType(st)
	if err != nil {
		return err
	}
	p, err := r.s.place(n)
	if err != nil {
		return err
	}
	defer r.s.leave(p)
	if p.name == "" {
		return unix.ECONNREFUSED // removed
	}
	if len(p.name) > maxSockName {
		return unix.ENAMETOOLONG
	}
	var sx unix.Statx_t
	if err := r.s.stat(n, &sx); err != nil {
		return err
	}
	// A full backlog gives EAGAIN instead of making everybody wait.
	sock, err := unix.Socket(unix.AF_UNIX, typ|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	err = inDir(p.dir, func() error { return unix.Connect(sock, &unix.SockaddrUnix{Name: "./" + p.name}) })
	if err != nil {
		closeFDs(sock)
		return err
	}
	r.fd = sock
	return nil
}

// xbind makes a socket of the host. bind does not follow links.
func (r *request) xbind() error {
	num, newNum := r.d.U32(), r.d.U32()
	name, err := r.name()
	if err != nil {
		return err
	}
	st, mode, uid, gid := r.d.U32(), r.d.U32(), r.d.U32(), r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.changeDir(num)
	if err != nil {
		return err
	}
	if !f.node.root.AllowUnix {
		return unix.EPERM
	}
	if len(name) > maxSockName {
		return unix.ENAMETOOLONG
	}
	typ, err := socketType(st)
	if err != nil {
		return err
	}
	if err := r.s.checkFIDs(newNum); err != nil {
		return err
	}
	dir, err := r.s.hold(f.node)
	if err != nil {
		return err
	}
	defer r.s.drop(f.node)
	if r.fd, err = unix.Socket(unix.AF_UNIX, typ|unix.SOCK_NONBLOCK, 0); err != nil {
		r.fd = -1
		return err
	}
	sock, err := r.copyBound()
	if err != nil {
		return err
	}
	// A name that starts with '@' would be abstract to x/sys, hence the "./".
	err = inDir(dir, func() error { return unix.Bind(r.fd, &unix.SockaddrUnix{Name: "./" + name}) })
	if err == nil {
		if err = r.enterBound(f.node, dir, name, newNum, sock, mode, uid, gid); err != nil {
			_ = unix.Unlinkat(dir, name, 0)
		}
	}
	if err != nil {
		closeFDs(sock)
		r.s.unreserveOpen()
	}
	return err
}

// copyBound returns a copy of the socket that goes to the client, who can neither listen nor accept
// itself. Like open files these are counted.
func (r *request) copyBound() (int, error) {
	if err := r.s.reserveOpen(); err != nil {
		return -1, err
	}
	sock, err := unix.FcntlInt(uintptr(r.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		r.s.unreserveOpen()
	}
	return sock, err
}

// enterBound makes a fid of the name that a socket was bound to, which keeps sock.
func (r *request) enterBound(parent *node, dir int, name string, newNum uint32, sock int, mode, uid, gid uint32) error {
	var sx unix.Statx_t
	if err := own(dir, name, mode, uid, gid, &sx); err != nil {
		return err
	}
	r.s.mu.Lock()
	n, err := r.s.childLocked(parent, name, identityOf(&sx))
	r.s.mu.Unlock()
	if err != nil {
		return err
	}
	a := attrOf(&sx, r.s.attrFlags(n))
	if err := r.s.addFIDs([]uint32{newNum}, []*node{n}); err != nil {
		return err
	}
	f, err := r.fid(newNum)
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.sock = sock
	f.mu.Unlock()
	r.enc.Attr(&a)
	return nil
}

// maxBacklog is the host's usual net.core.somaxconn.
const maxBacklog = 4096

// xlisten lets others connect to a socket that xbind made, or ends it.
func (r *request) xlisten() error {
	num, backlog := r.d.U32(), r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.fid(num)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.sock < 0:
		return unix.EINVAL
	case backlog == proto.StopListening:
		closeFDs(f.sock)
		f.sock = -1
		r.s.unreserveOpen()
		return nil
	}
	return unix.Listen(f.sock, int(min(backlog, maxBacklog)))
}

// xaccept takes a connection. It never waits: the client watches its own descriptor of the socket.
func (r *request) xaccept() error {
	num := r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.fid(num)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sock < 0 {
		return unix.EINVAL
	}
	fd, _, err := unix.Accept4(f.sock, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err == nil {
		r.fd = fd
	}
	return err
}
