package server

import (
	"golang.org/x/sys/unix"
)

// Handlers of the standard messages that make, move and remove names.

// make makes a file and answers with its qid.
func (r *request) make(num uint32, name string, mode, gid uint32, dev uint64, target string) error {
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.changeDir(num)
	if err != nil {
		return err
	}
	var st unix.Statx_t
	n, err := r.s.makeNode(f.node, name, mode, noID, gid, dev, target, &st)
	if err != nil {
		return err
	}
	r.qid(n.id)
	r.s.putNode(n)
	return nil
}

func (r *request) mkdir() error {
	num := r.d.U32()
	name, err := r.name()
	if err != nil {
		return err
	}
	mode, gid := r.d.U32(), r.d.U32()
	return r.make(num, name, mode&0o7777|unix.S_IFDIR, gid, 0, "")
}

func (r *request) symlink() error {
	num := r.d.U32()
	name, err := r.name()
	if err != nil {
		return err
	}
	target, gid := r.d.String(), r.d.U32()
	return r.make(num, name, unix.S_IFLNK|0o777, gid, 0, target)
}

func (r *request) mknod() error {
	num := r.d.U32()
	name, err := r.name()
	if err != nil {
		return err
	}
	mode, major, minor, gid := r.d.U32(), r.d.U32(), r.d.U32(), r.d.U32()
	if t := mode & unix.S_IFMT; t == unix.S_IFDIR || t == unix.S_IFLNK {
		return unix.EINVAL
	}
	if mode&unix.S_IFMT == 0 {
		mode |= unix.S_IFREG
	}
	return r.make(num, name, mode, gid, unix.Mkdev(major, minor), "")
}

func (r *request) link() error {
	dnum, num := r.d.U32(), r.d.U32()
	_, err := r.linkTo(dnum, num)
	return err
}

// linkTo is what both link messages do once the fids are read.
func (r *request) linkTo(dnum, num uint32) (*fid, error) {
	name, err := r.name()
	if err != nil {
		return nil, err
	}
	if err := r.done(); err != nil {
		return nil, err
	}
	dir, err := r.changeDir(dnum)
	if err != nil {
		return nil, err
	}
	f, err := r.fid(num)
	if err != nil {
		return nil, err
	}
	return f, r.s.linkNode(f.node, dir.node, name)
}

// rename moves a file by its fid.
func (r *request) rename() error {
	num, dnum := r.d.U32(), r.d.U32()
	name, err := r.name()
	if err != nil {
		return err
	}
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.changeFID(num)
	if err != nil {
		return err
	}
	dir, err := r.changeDir(dnum)
	if err != nil {
		return err
	}
	from, oldName, err := r.s.named(f.node)
	if err != nil {
		return err
	}
	return r.s.renameName(from, oldName, dir.node, name, 0)
}

// named returns the directory and name of a file, which must have one.
func (s *session) named(n *node) (*node, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.parent == nil {
		return nil, "", unix.EBUSY
	}
	if n.orphan {
		return nil, "", unix.ESTALE
	}
	return n.parent, n.name, nil
}

func (r *request) renameat() error { return r.renameWith(false) }

func (r *request) xrename() error { return r.renameWith(true) }

// renameWith reads the flags only if the message has them.
func (r *request) renameWith(hasFlags bool) error {
	num := r.d.U32()
	name, err := r.name()
	if err != nil {
		return err
	}
	newNum := r.d.U32()
	newName, err := r.name()
	if err != nil {
		return err
	}
	var flags uint32
	if hasFlags {
		flags = r.d.U32()
	}
	if err := r.done(); err != nil {
		return err
	}
	from, err := r.changeDir(num)
	if err != nil {
		return err
	}
	to, err := r.changeDir(newNum)
	if err != nil {
		return err
	}
	return r.s.renameName(from.node, name, to.node, newName, uint(flags))
}

func (r *request) unlinkat() error {
	num := r.d.U32()
	name, err := r.name()
	if err != nil {
		return err
	}
	flags := r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	dir, err := r.changeDir(num)
	if err != nil {
		return err
	}
	return r.s.removeName(dir.node, name, int(flags))
}

// remove removes the file by its fid and forgets the fid in any case.
func (r *request) remove() error {
	num := r.d.U32()
	if err := r.done(); err != nil {
		return err
	}
	f, err := r.fid(num)
	if err != nil {
		return err
	}
	if err := r.s.clunk(num); err != nil {
		return err
	}
	if f.node.root.ReadOnly {
		return unix.EROFS
	}
	dir, name, err := r.s.named(f.node)
	if err != nil {
		return err
	}
	flags := 0
	if f.node.id.typ == unix.S_IFDIR {
		flags = unix.AT_REMOVEDIR
	}
	return r.s.removeName(dir, name, flags)
}
