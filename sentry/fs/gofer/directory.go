package gofer

import (
	"lazaret/gofer/proto"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// directory is a directory.
type directory struct {
	inode

	// Guarded by inode.mu.
	names
}

// Lookup implements vfs.Directory.
func (d *directory) Lookup(_ *vfs.Context, name string) (vfs.Inode, error) {
	if i, err, ok := d.fromListing(name); ok {
		return i, err
	}
	if p, ok := d.missed(); ok {
		if _, err := d.fetch(maxFetch, p); err == nil {
			if i, err, ok := d.fromListing(name); ok {
				return i, err
			}
		}
	}
	then := d.now()
	d.verified(name)
	step, more, err := d.walk(name)
	d.searched(more.Dir, then)
	if err != nil {
		return nil, err
	}
	i := d.fs.inode(d, name, &step.Attr, step.File)
	d.doubtSince(then, i)
	switch n := i.(type) {
	case *regular:
		n.donateRO(more.FD)
	case *symlink:
		n.leads(more.Target)
	default:
		closeFD(more.FD)
	}
	return i, nil
}

// walk asks for name and what is mostly wanted of it, and walks to the directory in the
// same exchange if it must.
func (d *directory) walk(name string) (step proto.WalkStep, more proto.Looked, err error) {
	more = proto.Looked{FD: -1, Dir: proto.FlagShared} // which is to say that d was not searched
	start, chain, names, err := d.route()
	if err != nil {
		return step, more, err
	}
	if len(chain) >= proto.MaxWalk {
		if start, err = d.getFile(); err != nil {
			return step, more, err
		}
		chain, names = nil, nil
	}
	steps, more, err := start.WalkLookup(append(names, name))
	n := min(len(steps), len(chain))
	if len(chain) > 0 {
		var arrival error
		if n < len(chain) {
			arrival = err
		}
		if _, e := d.arrive(chain, steps[:n], arrival); e != nil {
			for _, s := range steps[n:] {
				s.File.Close()
			}
			closeFD(more.FD)
			more.Dir = proto.FlagShared
			return step, more, e
		}
	}
	if err != nil {
		return step, more, err
	}
	if len(steps) != len(chain)+1 {
		closeFD(more.FD)
		return step, more, abi.ESTALE
	}
	return steps[n], more, nil
}

// Make implements vfs.Directory.
func (d *directory) Make(_ *vfs.Context, name string, args *vfs.MakeArgs) (vfs.Inode, error) {
	f, err := d.getFile()
	if err != nil {
		return nil, err
	}
	d.expect(abi.IN_CREATE, name)
	uid, gid := uint32(args.UID), uint32(args.GID)
	var child *proto.File
	var a proto.Attr
	switch args.Mode & abi.S_IFMT {
	case abi.S_IFREG, 0:
		return d.create(f, name, abi.O_CREAT|abi.O_EXCL|abi.O_RDWR, args)
	case abi.S_IFDIR:
		child, a, err = f.Mkdir(name, args.Mode&0o7777, uid, gid)
	case abi.S_IFLNK:
		child, a, err = f.Symlink(name, args.Target, uid, gid)
	case abi.S_IFSOCK:
		if args.SockType != 0 && d.fs.host != nil && len(name) <= maxSockName {
			return d.bind(f, name, args)
		}
		fallthrough
	default:
		child, a, err = f.Mknod(name, args.Mode, args.Major, args.Minor, uid, gid)
	}
	if err != nil {
		d.failed(abi.IN_CREATE, name)
		return nil, err
	}
	d.set(name, &a)
	return d.fs.inode(d, name, &a, child), nil
}

// create makes a regular file; the descriptor that comes with it is kept for the open
// that normally follows.
func (d *directory) create(f *proto.File, name string, flags int, args *vfs.MakeArgs) (vfs.Inode, error) {
	child, fd, a, err := f.Create(name, flags, args.Mode&0o7777, uint32(args.UID), uint32(args.GID))
	if err != nil {
		d.failed(abi.IN_CREATE, name)
		return nil, err
	}
	if name != "" {
		d.set(name, &a)
	}
	i := d.fs.inode(d, name, &a, child)
	if r, ok := i.(*regular); ok {
		r.donate(fd)
	} else {
		closeFD(fd)
	}
	return i, nil
}

// TmpFile implements vfs.TmpFiler.
func (d *directory) TmpFile(_ *vfs.Context, args *vfs.MakeArgs) (vfs.Inode, error) {
	f, err := d.getFile()
	if err != nil {
		return nil, err
	}
	return d.create(f, "", abi.O_TMPFILE|abi.O_RDWR, args)
}

// Link implements vfs.Directory.
func (d *directory) Link(_ *vfs.Context, name string, target vfs.Inode) error {
	f, err := d.getFile()
	if err != nil {
		return err
	}
	t := base(target)
	tf, err := t.getFile()
	if err != nil {
		return err
	}
	d.expect(abi.IN_CREATE, name)
	a, err := f.Link(tf, name)
	if err != nil {
		d.failed(abi.IN_CREATE, name)
		return err
	}
	d.set(name, nil)
	d.fs.changed(t.key)
	t.update(d.fs, &a)
	t.offer(d, name, nil)
	return nil
}

// Remove implements vfs.Directory.
func (d *directory) Remove(_ *vfs.Context, name string, child vfs.Inode) error {
	f, err := d.getFile()
	if err != nil {
		return err
	}
	c := base(child)
	flags := uint32(0)
	if c.typ == abi.S_IFDIR {
		flags = abi.AT_REMOVEDIR
	}
	keep(child)
	d.expect(abi.IN_DELETE, name)
	if err := f.Remove(name, flags); err != nil {
		d.failed(abi.IN_DELETE, name)
		return err
	}
	d.set(name, &nothing)
	c.removed(place{d, name})
	return nil
}

// keep makes the Gofer know a file that is open and about to lose its name: nothing else
// would lead to it.
func keep(i vfs.Inode) {
	r, ok := i.(*regular)
	if !ok {
		return
	}
	r.fdMu.Lock()
	open := r.users > 0
	r.fdMu.Unlock()
	if open {
		_, _ = r.getFile() // without it, what needs the Gofer fails
	}
}

// Rename implements vfs.Directory.
func (d *directory) Rename(ctx *vfs.Context, oldName string, child vfs.Inode, newDir vfs.Directory, newName string, victim vfs.Inode, flags uint32) error {
	nd, ok := newDir.(*directory)
	if !ok {
		return abi.EXDEV
	}
	f, err := d.getFile()
	if err != nil {
		return err
	}
	nf, err := nd.getFile()
	if err != nil {
		return err
	}
	if victim != nil {
		keep(victim)
	}
	d.expect(abi.IN_MOVED_FROM, oldName)
	nd.expect(abi.IN_MOVED_TO, newName)
	if flags&abi.RENAME_EXCHANGE != 0 {
		nd.expect(abi.IN_MOVED_FROM, newName)
		d.expect(abi.IN_MOVED_TO, oldName)
	}
	for _, i := range []vfs.Inode{child, victim} {
		if m, ok := i.(*directory); ok {
			m.expect(abi.IN_MOVE_SELF, "")
		}
	}
	if err := f.Rename(oldName, nf, newName, flags); err != nil {
		d.failed(abi.IN_MOVED_FROM|abi.IN_MOVED_TO, oldName)
		nd.failed(abi.IN_MOVED_FROM|abi.IN_MOVED_TO, newName)
		return err
	}
	nd.set(newName, nil)
	if flags&(abi.RENAME_WHITEOUT|abi.RENAME_EXCHANGE) != 0 {
		d.set(oldName, nil)
	} else {
		d.set(oldName, &nothing)
	}
	d.fs.changed(base(child).key) // ctime, and the link count of directories
	base(child).moved(place{d, oldName}, place{nd, newName})
	if flags&abi.RENAME_WHITEOUT != 0 {
		own(ctx, f, oldName)
	}
	if victim != nil {
		if flags&abi.RENAME_EXCHANGE != 0 {
			base(victim).moved(place{nd, newName}, place{d, oldName})
		} else {
			base(victim).removed(place{nd, newName})
		}
	}
	return nil
}

// own gives the whiteout that a rename left behind to the caller: the Gofer made it.
func own(ctx *vfs.Context, dir *proto.File, name string) {
	steps, err := dir.Walk([]string{name})
	if err != nil {
		return
	}
	_, _ = steps[0].File.SetAttr(proto.SetAttr{
		Valid: proto.SetUID | proto.SetGID, UID: uint32(ctx.Creds.FSUID), GID: uint32(ctx.Creds.FSGID),
	})
	steps[0].File.Close()
}
