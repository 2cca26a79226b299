package server

import (
	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
)

// place is where a host call finds a file: name in the directory dir, or dir itself if
// name is empty.
type place struct {
	dir  int
	name string
	held *node
}

// place returns n's place; the caller must pass it to leave. By name where there is one,
// so that a file needs no descriptor of its own.
func (s *session) place(n *node) (place, error) {
	s.mu.Lock()
	orphan := n.orphan
	s.mu.Unlock()
	if n.parent == nil && n.root.File != "" {
		return place{dir: n.root.FD, name: n.root.File}, nil
	}
	if orphan || n.parent == nil {
		fd, err := s.hold(n)
		return place{dir: fd, held: n}, err
	}
	fd, err := s.hold(n.parent)
	return place{dir: fd, name: n.name, held: n.parent}, err
}

func (s *session) leave(p place) {
	if p.held != nil {
		s.drop(p.held)
	}
}

// stat reads n's attributes and checks that n's name still means n.
func (s *session) stat(n *node, st *unix.Statx_t) error {
	p, err := s.place(n)
	if err != nil {
		return err
	}
	defer s.leave(p)
	err = statAt(p.dir, p.name, st)
	if err == unix.ENOENT || (err == nil && identityOf(st) != n.id) {
		return unix.ESTALE
	}
	return err
}

// attr reads n's attributes for a reply; in a shared root it first arranges that changes
// are reported.
func (s *session) attr(n *node) (proto.Attr, error) {
	s.watchFor(n)
	var st unix.Statx_t
	if err := s.stat(n, &st); err != nil {
		return proto.Attr{}, err
	}
	return attrOf(&st, s.attrFlags(n)), nil
}

func (s *session) attrFlags(n *node) uint32 {
	var f uint32
	if n.root.ReadOnly {
		f |= proto.FlagReadOnly
	}
	if !n.root.Shared {
		return f | proto.FlagWatched
	}
	f |= proto.FlagShared
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchedLocked(n) {
		f |= proto.FlagWatched
	}
	return f
}

// userFlags are the open flags that a client may set.
const userFlags = unix.O_ACCMODE | unix.O_TRUNC | unix.O_APPEND | unix.O_SYNC | unix.O_DIRECT |
	unix.O_NOATIME | unix.O_DIRECTORY

// mayOpen says whether a file of n's type and root may be opened with flags.
func mayOpen(n *node, flags int) error {
	write := flags&unix.O_ACCMODE != unix.O_RDONLY || flags&unix.O_TRUNC != 0
	switch n.id.typ {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		if write {
			return unix.EISDIR
		}
	case unix.S_IFLNK:
		return unix.ELOOP
	case unix.S_IFIFO:
		// A FIFO is a channel to other processes, not content: not "read-only".
		if !n.root.AllowFIFO {
			return unix.ENXIO
		}
		return nil
	case unix.S_IFSOCK:
		return unix.ENXIO
	default:
		return unix.EACCES
	}
	if flags&unix.O_DIRECTORY != 0 && n.id.typ != unix.S_IFDIR {
		return unix.ENOTDIR
	}
	if write && n.root.ReadOnly {
		return unix.EROFS
	}
	return nil
}

// openNode opens n and returns the descriptor with its attributes.
func (s *session) openNode(n *node, flags int, st *unix.Statx_t) (int, error) {
	flags &= userFlags
	if err := mayOpen(n, flags); err != nil {
		return -1, err
	}
	p, err := s.place(n)
	if err != nil {
		return -1, err
	}
	defer s.leave(p)
	var fd int
	switch {
	case p.name != "":
		fd, err = openBeneath(p.dir, p.name, flags|openFlags, 0)
		if err == unix.ENOENT || err == unix.ELOOP {
			err = unix.ESTALE
		}
	case n.id.typ == unix.S_IFDIR:
		fd, err = openBeneath(p.dir, ".", flags|openFlags, 0)
	default:
		fd, err = dupAs(p.dir, flags)
	}
	if err != nil {
		return -1, err
	}
	if err := statAt(fd, "", st); err != nil || identityOf(st) != n.id {
		closeFDs(fd)
		return -1, unix.ESTALE
	}
	return fd, nil
}

// dupAs duplicates a descriptor of a file that has no name (any more), if it was opened
// in a way that allows flags.
func dupAs(fd, flags int) (int, error) {
	have, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return -1, err
	}
	acc := have & unix.O_ACCMODE
	if have&unix.O_PATH != 0 || (acc != unix.O_RDWR && acc != flags&unix.O_ACCMODE) {
		return -1, unix.ESTALE
	}
	if flags&unix.O_TRUNC != 0 {
		if err := unix.Ftruncate(fd, 0); err != nil {
			return -1, err
		}
	}
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
}

// own gives a file that was just made its owner, and its set-id bits, which chown clears.
func own(dir int, name string, mode, uid, gid uint32, st *unix.Statx_t) error {
	if err := statAt(dir, name, st); err != nil {
		return err
	}
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags = unix.AT_EMPTY_PATH
	}
	changed := false
	if (uid != noID && uid != st.Uid) || (gid != noID && gid != st.Gid) {
		if err := unix.Fchownat(dir, name, int(int32(uid)), int(int32(gid)), flags); err != nil {
			return err
		}
		changed = true
	}
	typ := uint32(st.Mode) & unix.S_IFMT
	if typ != unix.S_IFLNK && (uint32(st.Mode)&0o7777 != mode&0o7777 || (changed && mode&0o7000 != 0)) {
		if err := chmodAt(dir, name, mode&0o7777, typ); err != nil {
			return err
		}
		changed = true
	}
	if changed {
		return statAt(dir, name, st)
	}
	return nil
}

// noID leaves an owner as it is (chown(2)).
const noID = ^uint32(0)

// sysFchmodat2 is the same on every architecture (Linux 6.6).
const sysFchmodat2 = 452

// chmodAt changes permissions without following a link, which only fchmodat2 does. On
// older kernels regular files and directories are opened for it; the rest is refused.
func chmodAt(dir int, name string, mode, typ uint32) error {
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags = unix.AT_EMPTY_PATH
	}
	err := fchmodat2(dir, name, mode, flags)
	if err != unix.ENOSYS {
		return err
	}
	if typ != unix.S_IFREG && typ != unix.S_IFDIR {
		return unix.EOPNOTSUPP
	}
	if name == "" {
		if err := unix.Fchmod(dir, mode); err != unix.EBADF {
			return err
		}
		return unix.EOPNOTSUPP
	}
	fd, err := openBeneath(dir, name, unix.O_RDONLY|openFlags, 0)
	if err != nil {
		return err
	}
	defer closeFDs(fd)
	return unix.Fchmod(fd, mode)
}
