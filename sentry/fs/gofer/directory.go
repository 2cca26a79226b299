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
	listing map[string]*proto.Attr // all names, when not nil and the directory is trusted
	misses  int                    // lookups that had to ask, since the last listing
	gen     uint64                 // counts changes, so that a listing that raced is not kept
	stale   map[string]struct{}    // names that changed on the host since they were looked up
}

// fetchAfter is how many lookups in a directory have to ask before it is fetched whole,
// and maxFetch the size in bytes above which it is not.
const (
	fetchAfter = 2
	maxFetch   = 1 << 20
)

// Lookup implements vfs.Directory.
func (d *directory) Lookup(_ *vfs.Context, name string) (vfs.Inode, error) {
	if i, err, ok := d.fromListing(name); ok {
		return i, err
	}
	f, err := d.getFile()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.misses++
	fetch := d.misses == fetchAfter && d.trusted
	d.mu.Unlock()
	if fetch {
		if _, err := d.fetch(maxFetch); err == nil {
			if i, err, ok := d.fromListing(name); ok {
				return i, err
			}
		}
	}
	steps, err := f.Walk([]string{name})
	if err != nil {
		return nil, err
	}
	return d.fs.inode(d, name, &steps[0].Attr, steps[0].File), nil
}

// fromListing looks name up in what is remembered of the directory.
func (d *directory) fromListing(name string) (vfs.Inode, error, bool) {
	d.mu.Lock()
	if d.listing == nil || !d.trusted {
		d.mu.Unlock()
		return nil, nil, false
	}
	a, ok := d.listing[name]
	d.mu.Unlock()
	switch {
	case !ok:
		return nil, abi.ENOENT, true
	case a == nil:
		return nil, nil, false
	}
	return d.fs.inode(d, name, a, nil), nil, true
}

// fetch reads the whole directory, or as much as limit bytes of replies hold, and
// remembers it if it is complete. It returns the entries.
func (d *directory) fetch(limit int) ([]proto.DirEntry, error) {
	f, err := d.getFile()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	gen := d.gen
	d.mu.Unlock()
	var all []proto.DirEntry
	for off := uint64(0); ; {
		entries, next, eof, err := f.ReadDirPlus(off, 0)
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
		if eof {
			break
		}
		if limit -= proto.MaxMessage; limit <= 0 {
			return nil, abi.E2BIG
		}
		off = next
	}
	d.remember(all, gen)
	return all, nil
}

// remember keeps a complete listing, unless the directory changed since generation gen.
func (d *directory) remember(all []proto.DirEntry, gen uint64) {
	m := make(map[string]*proto.Attr, len(all))
	for i := range all {
		m[all[i].Name] = all[i].Attr
	}
	d.mu.Lock()
	if d.gen != gen || !d.trusted || d.listing != nil {
		d.mu.Unlock()
		return
	}
	d.listing, d.misses = m, 0
	d.mu.Unlock()
	d.fs.listingAdded(d, len(m))
}

// listingAdded bounds what all listings of the tree hold.
func (fs *fileSystem) listingAdded(d *directory, n int) {
	fs.mu.Lock()
	fs.listed = append(fs.listed, d)
	fs.nEntries += n
	for fs.nEntries > maxListed && len(fs.listed) > 1 {
		v := fs.listed[0]
		fs.listed = fs.listed[1:]
		v.mu.Lock()
		fs.nEntries -= len(v.listing)
		v.listing = nil
		v.mu.Unlock()
	}
	fs.mu.Unlock()
}

// changed forgets the listing: a name in the directory is about to change, or has.
func (d *directory) changed() {
	d.mu.Lock()
	n := len(d.listing)
	d.listing = nil
	d.gen++
	d.misses = 0
	d.trusted = false // times and link count
	d.mu.Unlock()
	if n == 0 {
		return
	}
	d.fs.mu.Lock()
	defer d.fs.mu.Unlock()
	d.fs.nEntries -= n
	for i, o := range d.fs.listed {
		if o == d {
			d.fs.listed = append(d.fs.listed[:i], d.fs.listed[i+1:]...)
			return
		}
	}
}

// Make implements vfs.Directory.
func (d *directory) Make(_ *vfs.Context, name string, args *vfs.MakeArgs) (vfs.Inode, error) {
	f, err := d.getFile()
	if err != nil {
		return nil, err
	}
	defer d.changed()
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
	default:
		child, a, err = f.Mknod(name, args.Mode, args.Major, args.Minor, uid, gid)
	}
	if err != nil {
		return nil, err
	}
	return d.fs.inode(d, name, &a, child), nil
}

// create makes a regular file; the descriptor that comes with it is kept for the open
// that normally follows.
func (d *directory) create(f *proto.File, name string, flags int, args *vfs.MakeArgs) (vfs.Inode, error) {
	child, fd, a, err := f.Create(name, flags, args.Mode&0o7777, uint32(args.UID), uint32(args.GID))
	if err != nil {
		return nil, err
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
	defer d.changed()
	a, err := f.Link(tf, name)
	if err != nil {
		return err
	}
	t.update(d.fs, &a)
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
	defer d.changed()
	if err := f.Remove(name, flags); err != nil {
		return err
	}
	c.removed()
	return nil
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
	defer d.changed()
	defer nd.changed()
	if err := f.Rename(oldName, nf, newName, flags); err != nil {
		return err
	}
	base(child).offer(nd, newName, nil)
	if flags&abi.RENAME_WHITEOUT != 0 {
		own(ctx, f, oldName)
	}
	if victim != nil {
		if flags&abi.RENAME_EXCHANGE != 0 {
			base(victim).offer(d, oldName, nil)
		} else {
			base(victim).removed()
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

// Revalidate implements vfs.Revalidator: in a tree that others change, a cached name
// holds while the directory is watched and no event has named it.
func (d *directory) Revalidate(_ *vfs.Context, name string, child vfs.Inode) bool {
	d.mu.Lock()
	_, stale := d.stale[name]
	delete(d.stale, name)
	watched := d.watched()
	d.mu.Unlock()
	if stale {
		return false
	}
	if watched {
		return true
	}
	f, err := d.getFile()
	if err != nil {
		return false
	}
	steps, err := f.Walk([]string{name})
	if err != nil {
		return child == nil && err == abi.ENOENT
	}
	st := steps[0]
	if child == nil || base(child).key != (key{st.Attr.DevMajor, st.Attr.DevMinor, st.Attr.Ino}) {
		st.File.Close()
		return false
	}
	base(child).update(d.fs, &st.Attr)
	base(child).offer(d, name, st.File)
	return true
}
