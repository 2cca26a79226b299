package hostfile

import (
	"golang.org/x/sys/unix"

	"lazaret/sentry/auth"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// NewFIFO is NewOps of a FIFO of the host that was opened with O_NONBLOCK for nobody else. That
// open did not wait for a partner: with awaits, the first read does. Linux difference: open(2)
// should.
func NewFIFO(n *Notifier, fd int, awaits bool) (vfs.FileOps, error) {
	ops, err := NewOps(n, fd)
	if s, ok := ops.(*stream); ok {
		s.kind, s.awaits = kindFIFO, awaits
	}
	return ops, err
}

// NewOps returns the operations of an open file over the host descriptor fd, which they
// own from then on.
func NewOps(n *Notifier, fd int) (vfs.FileOps, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, hostErr(err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return nil, abi.EISDIR // would let the application walk the host
	case unix.S_IFREG, unix.S_IFBLK:
		r := &regular{fd: fd, seekable: true}
		r.refs.Store(1)
		return r, nil
	}
	s := &stream{fd: fd}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		s.kind = kindSocket
	case unix.S_IFCHR:
		if IsTerminal(fd) {
			s.kind = kindTTY
		}
	}
	w, err := n.Watch(fd, s)
	if err == abi.EPERM {
		r := &regular{fd: fd}
		r.refs.Store(1)
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	s.watch = w
	s.refs.Store(1)
	return s, nil
}

// IsTerminal reports whether the host descriptor is a terminal.
func IsTerminal(fd int) bool {
	var buf [64]byte
	return rawIoctl(fd, unix.TCGETS, &buf) == nil
}

// Access returns the Mode bits and status flags with which the host descriptor is open.
func Access(fd int) (mode, flags uint32, err error) {
	fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return 0, 0, hostErr(err)
	}
	switch fl & unix.O_ACCMODE {
	case unix.O_RDONLY:
		mode = vfs.ModeRead
	case unix.O_WRONLY:
		mode = vfs.ModeWrite
	default:
		mode = vfs.ModeRead | vfs.ModeWrite
	}
	if fl&unix.O_PATH != 0 {
		return 0, 0, abi.EBADF
	}
	return mode, uint32(fl) & (abi.O_ACCMODE | abi.O_APPEND), nil
}

func ts(t unix.Timespec) abi.Timespec { return abi.Timespec{Sec: int64(t.Sec), Nsec: int64(t.Nsec)} }

// hostAttr returns the attributes of a host descriptor. Owners are the sandbox's root:
// host ids mean nothing inside.
func hostAttr(fd int) (vfs.Attr, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return vfs.Attr{}, hostErr(err)
	}
	return vfs.Attr{
		Ino: st.Ino, Mode: st.Mode, Nlink: uint32(st.Nlink), UID: auth.KUID(0), GID: auth.KGID(0),
		RdevMajor: unix.Major(uint64(st.Rdev)), RdevMinor: unix.Minor(uint64(st.Rdev)),
		Size: uint64(st.Size), Blocks: uint64(st.Blocks), BlkSize: uint32(st.Blksize),
		Atime: ts(st.Atim), Mtime: ts(st.Mtim), Ctime: ts(st.Ctim),
	}, nil
}
