package server

import (
	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
)

// The operations here are what both the standard messages and the extensions do.

// create makes (or opens) a regular file in directory p and returns its node, with a
// reference, and descriptor.
func (s *session) create(p *node, name string, flags int, mode, uid, gid uint32, st *unix.Statx_t) (*node, int, error) {
	dir, err := s.hold(p)
	if err != nil {
		return nil, -1, err
	}
	defer s.drop(p)
	open := flags&(userFlags&^unix.O_DIRECTORY) | openFlags
	fd, err := openBeneath(dir, name, open&^unix.O_TRUNC|unix.O_CREAT|unix.O_EXCL, mode&0o7777)
	if err == unix.EEXIST && flags&unix.O_EXCL == 0 {
		n, err := s.lookup(p, name, st)
		if err != nil {
			return nil, -1, err
		}
		if n.id.typ != unix.S_IFREG {
			s.putNode(n)
			return nil, -1, unix.EEXIST
		}
		if fd, err = s.openNode(n, flags, st); err != nil {
			s.putNode(n)
			return nil, -1, err
		}
		return n, fd, nil
	}
	if err != nil {
		return nil, -1, err
	}
	if err := own(fd, "", mode, uid, gid, st); err != nil {
		closeFDs(fd)
		_ = unix.Unlinkat(dir, name, 0)
		return nil, -1, err
	}
	s.mu.Lock()
	n, err := s.childLocked(p, name, identityOf(st))
	s.mu.Unlock()
	if err != nil {
		closeFDs(fd)
		return nil, -1, err
	}
	return n, fd, nil
}

// createTmp makes a file without a name in directory p. Only its descriptor leads to it,
// so the node keeps a copy.
func (s *session) createTmp(p *node, flags int, mode, uid, gid uint32, st *unix.Statx_t) (*node, int, error) {
	dir, err := s.hold(p)
	if err != nil {
		return nil, -1, err
	}
	defer s.drop(p)
	if flags&unix.O_ACCMODE == unix.O_RDONLY {
		return nil, -1, unix.EINVAL
	}
	open := flags&(userFlags&^unix.O_TRUNC|unix.O_EXCL) | unix.O_TMPFILE
	fd, err := openBeneath(dir, ".", open, mode&0o7777)
	if err != nil {
		return nil, -1, err
	}
	if err := own(fd, "", mode, uid, gid, st); err != nil {
		closeFDs(fd)
		return nil, -1, err
	}
	keep, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		closeFDs(fd)
		return nil, -1, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pinned >= s.cfg.MaxPinned || s.nodes >= 2*s.cfg.MaxFIDs {
		closeFDs(fd, keep)
		return nil, -1, unix.ENFILE
	}
	n := &node{root: p.root, id: identityOf(st), parent: p, fd: keep, refs: 1, orphan: true, pinned: true}
	p.refs++
	s.nodes++
	s.fds++
	s.pinned++
	return n, fd, nil
}

// makeNode makes a directory, device, FIFO, socket node, empty file or symbolic link.
func (s *session) makeNode(p *node, name string, mode, uid, gid uint32, dev uint64, target string, st *unix.Statx_t) (*node, error) {
	dir, err := s.hold(p)
	if err != nil {
		return nil, err
	}
	defer s.drop(p)
	undo := 0
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		err = unix.Mkdirat(dir, name, mode&0o7777)
		undo = unix.AT_REMOVEDIR
	case unix.S_IFLNK:
		if target == "" || len(target) > proto.MaxTarget {
			return nil, unix.EINVAL
		}
		err = unix.Symlinkat(target, dir, name)
	case unix.S_IFREG, unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFCHR, unix.S_IFBLK:
		err = unix.Mknodat(dir, name, mode, int(dev))
	default:
		return nil, unix.EINVAL
	}
	if err != nil {
		return nil, err
	}
	if err := own(dir, name, mode, uid, gid, st); err != nil {
		_ = unix.Unlinkat(dir, name, undo)
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.childLocked(p, name, identityOf(st))
}

// linkNode makes another name of n in directory p.
func (s *session) linkNode(n, p *node, name string) error {
	if n.root != p.root {
		return unix.EXDEV
	}
	if n.id.typ == unix.S_IFDIR {
		return unix.EPERM
	}
	from, err := s.place(n)
	if err != nil {
		return err
	}
	defer s.leave(from)
	to, err := s.hold(p)
	if err != nil {
		return err
	}
	defer s.drop(p)
	if from.name == "" {
		// Needs CAP_DAC_READ_SEARCH before Linux 6.10.
		return unix.Linkat(from.dir, "", to, name, unix.AT_EMPTY_PATH)
	}
	var st unix.Statx_t
	if err := statAt(from.dir, from.name, &st); err != nil || identityOf(&st) != n.id {
		return unix.ESTALE
	}
	return unix.Linkat(from.dir, from.name, to, name, 0)
}

// removeName removes name from directory p. Caller holds tree for writing.
func (s *session) removeName(p *node, name string, flags int) error {
	if flags&^unix.AT_REMOVEDIR != 0 {
		return unix.EINVAL
	}
	dir, err := s.hold(p)
	if err != nil {
		return err
	}
	defer s.drop(p)
	s.mu.Lock()
	c := p.children[name]
	s.mu.Unlock()
	if c != nil {
		s.pin(c, dir)
	}
	err = unix.Unlinkat(dir, name, flags)
	if c == nil {
		return err
	}
	if err != nil {
		s.unpin(c)
		return err
	}
	s.mu.Lock()
	s.orphanLocked(c)
	s.mu.Unlock()
	return nil
}

// renameName moves name in from to newName in to. Caller holds tree for writing.
func (s *session) renameName(from *node, name string, to *node, newName string, flags uint) error {
	if from.root != to.root {
		return unix.EXDEV
	}
	if flags&^(unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE|unix.RENAME_WHITEOUT) != 0 {
		return unix.EINVAL
	}
	fd, err := s.hold(from)
	if err != nil {
		return err
	}
	defer s.drop(from)
	tfd, err := s.hold(to)
	if err != nil {
		return err
	}
	defer s.drop(to)
	s.mu.Lock()
	a, b := from.children[name], to.children[newName]
	s.mu.Unlock()
	replaces := b != nil && b != a && flags&unix.RENAME_EXCHANGE == 0
	if replaces {
		s.pin(b, tfd)
	}
	if err := unix.Renameat2(fd, name, tfd, newName, flags); err != nil {
		if replaces {
			s.unpin(b)
		}
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a != nil && b != nil && a != b && a.id == b.id && flags&unix.RENAME_EXCHANGE == 0 {
		s.unpinLocked(b)
		return nil // two names of one file: rename(2) does nothing
	}
	if replaces {
		s.orphanLocked(b)
	}
	if flags&unix.RENAME_EXCHANGE != 0 && b != nil {
		s.moveLocked(b, nil, "")
	}
	if a != nil {
		s.moveLocked(a, to, newName)
	}
	if flags&unix.RENAME_EXCHANGE != 0 && b != nil {
		s.moveLocked(b, from, name)
	}
	return nil
}

// moveLocked gives n another place in the tree; to nil takes it out for the moment.
func (s *session) moveLocked(n, to *node, name string) {
	if p := n.parent; p.children[n.name] == n {
		delete(p.children, n.name)
	}
	if to == nil {
		return
	}
	if to != n.parent {
		to.refs++
		old := n.parent
		n.parent = to
		s.putNodeLocked(old)
	}
	n.name = name
	if to.children == nil {
		to.children = make(map[string]*node)
	}
	to.children[name] = n
}

// setAttr changes attributes of n.
func (s *session) setAttr(n *node, a *proto.SetAttr) error {
	fd, err := s.hold(n)
	if err != nil {
		return err
	}
	defer s.drop(n)
	if a.Valid&(proto.SetUID|proto.SetGID) != 0 {
		uid, gid := -1, -1
		if a.Valid&proto.SetUID != 0 {
			uid = int(int32(a.UID))
		}
		if a.Valid&proto.SetGID != 0 {
			gid = int(int32(a.GID))
		}
		if err := unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
			return err
		}
	}
	if a.Valid&proto.SetMode != 0 {
		if err := chmodAt(fd, "", a.Mode&0o7777, uint32(n.id.typ)); err != nil {
			if err != unix.EOPNOTSUPP || n.id.typ != unix.S_IFREG && n.id.typ != unix.S_IFDIR {
				return err
			}
			if err := s.chmodOpen(n, a.Mode&0o7777); err != nil {
				return err
			}
		}
	}
	if a.Valid&proto.SetSize != 0 {
		if err := s.truncate(n, a.Size); err != nil {
			return err
		}
	}
	if a.Valid&(proto.SetAtime|proto.SetMtime) == 0 {
		return nil
	}
	ts := []unix.Timespec{
		timeOf(a.Valid, proto.SetAtime, proto.SetAtimeSet, a.Atime),
		timeOf(a.Valid, proto.SetMtime, proto.SetMtimeSet, a.Mtime),
	}
	return unix.UtimesNanoAt(fd, "", ts, unix.AT_EMPTY_PATH)
}

// chmodOpen is chmod through a descriptor, for kernels without fchmodat2.
func (s *session) chmodOpen(n *node, mode uint32) error {
	var st unix.Statx_t
	fd, err := s.openNode(n, unix.O_RDONLY, &st)
	if err != nil {
		return err
	}
	defer closeFDs(fd)
	return unix.Fchmod(fd, mode)
}

func (s *session) truncate(n *node, size uint64) error {
	if int64(size) < 0 {
		return unix.EINVAL
	}
	if n.id.typ == unix.S_IFDIR {
		return unix.EISDIR
	}
	if n.id.typ != unix.S_IFREG {
		return unix.EINVAL
	}
	var st unix.Statx_t
	fd, err := s.openNode(n, unix.O_WRONLY, &st)
	if err != nil {
		return err
	}
	defer closeFDs(fd)
	return unix.Ftruncate(fd, int64(size))
}

func timeOf(valid, now, set proto.SetMask, t proto.Timespec) unix.Timespec {
	switch {
	case valid&now == 0:
		return unix.Timespec{Nsec: unix.UTIME_OMIT}
	case valid&set == 0:
		return unix.Timespec{Nsec: unix.UTIME_NOW}
	}
	return unix.Timespec{Sec: t.Sec, Nsec: int64(t.Nsec)}
}

// readlinkNode returns a symbolic link's target.
func (s *session) readlinkNode(n *node) (string, error) {
	if n.id.typ != unix.S_IFLNK {
		return "", unix.EINVAL
	}
	p, err := s.place(n)
	if err != nil {
		return "", err
	}
	defer s.leave(p)
	buf := make([]byte, proto.MaxTarget+1)
	k, err := unix.Readlinkat(p.dir, p.name, buf)
	if err == unix.ENOENT || err == unix.EINVAL {
		return "", unix.ESTALE
	}
	if err != nil {
		return "", err
	}
	return string(buf[:k]), nil
}
