package overlay

import (
	"sync/atomic"

	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// dir is a directory: an upper one, lower ones, or a merge.
type dir struct {
	node
	lowers []vfs.Directory // topmost first; does not change
}

// CheapMisses implements vfs.CheapMisser.
func (d *dir) CheapMisses() bool {
	c, ok := d.upperInode().(vfs.CheapMisser)
	return ok && len(d.lowers) == 0 && c.CheapMisses()
}

// Lookup implements vfs.Directory.
func (d *dir) Lookup(ctx *vfs.Context, name string) (vfs.Inode, error) {
	var upper vfs.Inode
	if u, ok := d.upperInode().(vfs.Directory); ok {
		i, err := u.Lookup(ctx, name)
		switch {
		case err == abi.ENOENT:
		case err != nil:
			return nil, err
		case isWhiteout(ctx, i):
			return nil, abi.ENOENT
		default:
			upper = i
		}
	}
	if upper != nil {
		t, err := typeOf(ctx, upper)
		if err != nil {
			return nil, err
		}
		if t != abi.S_IFDIR || len(d.lowers) == 0 || isOpaque(ctx, upper) {
			return d.fs.node(ctx, d, name, t, upper, nil)
		}
	}
	lowers, t, err := d.lookupLower(ctx, name)
	if err != nil {
		return nil, err
	}
	switch {
	case upper != nil && (len(lowers) == 0 || t != abi.S_IFDIR):
		return d.fs.node(ctx, d, name, abi.S_IFDIR, upper, nil)
	case len(lowers) == 0:
		return nil, abi.ENOENT
	}
	return d.fs.node(ctx, d, name, t, upper, lowers)
}

// lookupLower returns what the lower trees have for name: one inode, or the directories
// to merge.
func (d *dir) lookupLower(ctx *vfs.Context, name string) ([]vfs.Inode, uint32, error) {
	var out []vfs.Inode
	for _, l := range d.lowers {
		i, err := l.Lookup(ctx, name)
		if err == abi.ENOENT {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		t, err := typeOf(ctx, i)
		if err != nil {
			return nil, 0, err
		}
		if t == abi.S_IFCHR && isWhiteout(ctx, i) {
			break
		}
		if t != abi.S_IFDIR {
			if len(out) == 0 {
				return []vfs.Inode{i}, t, nil
			}
			break
		}
		out = append(out, i)
		if len(d.lowers) == 1 || isOpaque(ctx, i) {
			break
		}
	}
	return out, abi.S_IFDIR, nil
}

// lowerHas reports whether a lower tree has name, so that it needs a whiteout.
func (d *dir) lowerHas(ctx *vfs.Context, name string) bool {
	l, _, err := d.lookupLower(ctx, name)
	return err == nil && len(l) > 0
}

// node returns the overlay inode of what was found as name in parent: the one that is
// in use already, or a new one.
func (fs *FS) node(ctx *vfs.Context, parent *dir, name string, typ uint32, upper vfs.Inode, lowers []vfs.Inode) (vfs.Inode, error) {
	var l *link
	if upper == nil && typ != abi.S_IFDIR {
		if l = fs.indexed(ctx, lowers[0]); l != nil {
			upper = l.upper
		}
	}
	key := upper
	if key == nil {
		key = lowers[0]
	}
	if typ != abi.S_IFDIR {
		fs.mu.Lock()
		old := fs.nodes[key]
		fs.mu.Unlock()
		if old != nil {
			return old, nil
		}
	}
	ino, dev, nlink, err := fs.inoOf(ctx, parent, upper, lowers)
	if err != nil {
		return nil, err
	}
	i := newNode(fs, typ, parent, name)
	n := i.base()
	n.ino, n.dev, n.links = ino, dev, l
	if upper != nil {
		vfs.HoldInode(upper)
		n.setUpper(upper)
		fs.mu.Lock()
		if o, ok := fs.origins[upper]; ok {
			n.links = o.links
		}
		fs.mu.Unlock()
	}
	if len(lowers) > 0 {
		n.lower = lowers[0]
		for _, l := range lowers {
			vfs.HoldInode(l)
		}
	}
	if d, ok := i.(*dir); ok {
		for _, l := range lowers {
			if ld, ok := l.(vfs.Directory); ok {
				d.lowers = append(d.lowers, ld)
			}
		}
	}
	if typ != abi.S_IFDIR && (nlink > 1 || n.links != nil) {
		fs.share(key, i)
	}
	return i, nil
}

func newNode(fs *FS, typ uint32, parent *dir, name string) overlayNode {
	var i overlayNode
	switch typ {
	case abi.S_IFDIR:
		i = &dir{}
	case abi.S_IFLNK:
		i = &symlink{}
	default:
		i = &file{}
	}
	n := i.base()
	n.init(fs, typ, parent, name)
	n.self = i
	return i
}

// inoOf returns the inode and device number (the lower ones, also after a copy-up; a new
// file is on its directory's device) and the links.
func (fs *FS) inoOf(ctx *vfs.Context, parent *dir, upper vfs.Inode, lowers []vfs.Inode) (uint64, uint64, uint32, error) {
	if upper != nil {
		fs.mu.Lock()
		o, ok := fs.origins[upper]
		fs.mu.Unlock()
		if ok {
			a, err := upper.Attr(ctx, abi.AT_STATX_DONT_SYNC)
			return o.ino, o.dev, a.Nlink, err
		}
	}
	if len(lowers) > 0 {
		a, err := lowers[0].Attr(ctx, abi.AT_STATX_DONT_SYNC)
		return a.Ino, lowerDev(lowers[0]), a.Nlink, err
	}
	a, err := upper.Attr(ctx, abi.AT_STATX_DONT_SYNC)
	return a.Ino | upperIno, parent.dev, a.Nlink, err
}

// upperDir copies d up and returns its upper directory.
func (d *dir) upperDir(ctx *vfs.Context) (vfs.Directory, error) {
	if err := d.copyUp(ctx, 0); err != nil {
		return nil, err
	}
	u, ok := d.upperInode().(vfs.Directory)
	if !ok {
		return nil, abi.EROFS
	}
	return u, nil
}

// clearWhiteout removes a whiteout of name in the upper directory.
func clearWhiteout(ctx *vfs.Context, u vfs.Directory, name string) error {
	i, err := u.Lookup(ctx, name)
	if err == abi.ENOENT {
		return nil
	}
	if err != nil {
		return err
	}
	if !isWhiteout(ctx, i) {
		return abi.EEXIST
	}
	return removeUpper(ctx, u, name, i)
}

// removeUpper removes a name of the upper tree that no overlay inode stands for.
func removeUpper(ctx *vfs.Context, u vfs.Directory, name string, i vfs.Inode) error {
	vfs.HoldInode(i)
	defer vfs.PutInode(i)
	return u.Remove(ctx, name, i)
}

func makeWhiteout(ctx *vfs.Context, u vfs.Directory, name string) error {
	_, err := u.Make(ctx, name, &vfs.MakeArgs{Mode: abi.S_IFCHR})
	return err
}

func setOpaque(ctx *vfs.Context, i vfs.Inode) error {
	x, ok := i.(vfs.Xattrs)
	if !ok {
		return abi.EXDEV
	}
	return x.SetXattr(ctx, opaqueXattr, []byte("y"), 0)
}

// Make implements vfs.Directory.
func (d *dir) Make(ctx *vfs.Context, name string, args *vfs.MakeArgs) (vfs.Inode, error) {
	if args.Mode&abi.S_IFMT == abi.S_IFCHR && args.Major == 0 && args.Minor == 0 {
		return nil, abi.EPERM // a whiteout
	}
	u, err := d.upperDir(ctx)
	if err != nil {
		return nil, err
	}
	if len(d.lowers) > 0 {
		if err := clearWhiteout(ctx, u, name); err != nil {
			return nil, err
		}
	}
	i, err := u.Make(ctx, name, args)
	if err == nil && args.Mode&abi.S_IFMT == abi.S_IFDIR && d.lowerHas(ctx, name) {
		err = setOpaque(ctx, i)
	}
	if err != nil {
		if d.lowerHas(ctx, name) {
			_ = makeWhiteout(ctx, u, name) // the one that was there: its inode has just become free
		}
		return nil, err
	}
	return d.fs.node(ctx, d, name, args.Mode&abi.S_IFMT, i, nil)
}

// TmpFile implements vfs.TmpFiler.
func (d *dir) TmpFile(ctx *vfs.Context, args *vfs.MakeArgs) (vfs.Inode, error) {
	u, err := d.upperDir(ctx)
	if err != nil {
		return nil, err
	}
	t, ok := u.(vfs.TmpFiler)
	if !ok {
		return nil, abi.EOPNOTSUPP
	}
	i, err := t.TmpFile(ctx, args)
	if err != nil {
		return nil, err
	}
	return d.fs.node(ctx, d, "", abi.S_IFREG, i, nil)
}

// Link implements vfs.Directory.
func (d *dir) Link(ctx *vfs.Context, name string, target vfs.Inode) error {
	t, ok := target.(overlayNode)
	if !ok {
		return abi.EXDEV
	}
	n := t.base()
	if err := n.copyUp(ctx, ^uint64(0)); err != nil {
		return err
	}
	u, err := d.upperDir(ctx)
	if err != nil {
		return err
	}
	if err := clearWhiteout(ctx, u, name); err != nil {
		return err
	}
	if err := u.Link(ctx, name, n.upperInode()); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	d.fs.share(n.upperInode(), n.self)
	if n.gone.Swap(false) {
		n.parent, n.name = d, name
	}
	if n.links != nil {
		atomic.AddInt32(&n.links.nlink, 1)
	}
	return nil
}

// Remove implements vfs.Directory.
func (d *dir) Remove(ctx *vfs.Context, name string, child vfs.Inode) error {
	c, ok := child.(overlayNode)
	if !ok {
		return abi.ESTALE
	}
	if sub, ok := child.(*dir); ok {
		if err := sub.checkEmpty(ctx); err != nil {
			return err
		}
	}
	if err := c.base().countNames(ctx); err != nil {
		return err
	}
	u, err := d.upperDir(ctx)
	if err != nil {
		return err
	}
	if err := d.removeFromUpper(ctx, u, name); err != nil {
		return err
	}
	if d.lowerHas(ctx, name) {
		if err := makeWhiteout(ctx, u, name); err != nil {
			return err
		}
	}
	c.base().lostName(ctx)
	return nil
}

// removeFromUpper removes name from the upper directory, if it is there, with the
// whiteouts in it.
func (d *dir) removeFromUpper(ctx *vfs.Context, u vfs.Directory, name string) error {
	i, err := u.Lookup(ctx, name)
	if err == abi.ENOENT {
		return nil
	}
	if err != nil {
		return err
	}
	if sub, ok := i.(vfs.Directory); ok {
		if t, _ := typeOf(ctx, i); t == abi.S_IFDIR {
			if err := removeWhiteouts(ctx, sub); err != nil {
				return err
			}
		}
	}
	return removeUpper(ctx, u, name, i)
}

// countNames copies a lower file with several names up before it loses one: the lower
// link count no longer tells how many are left.
func (n *node) countNames(ctx *vfs.Context) error {
	if n.typ == abi.S_IFDIR || n.upper.Load() != nil {
		return nil
	}
	if a, err := n.lower.Attr(ctx, abi.AT_STATX_DONT_SYNC); err != nil || a.Nlink < 2 {
		return err
	}
	return n.copyUp(ctx, ^uint64(0))
}

// lostName notes that n lost a name.
func (n *node) lostName(ctx *vfs.Context) {
	if n.typ == abi.S_IFDIR {
		n.dropName()
		return
	}
	if u := n.upperInode(); u != nil && n.links == nil {
		if a, err := u.Attr(ctx, abi.AT_STATX_DONT_SYNC); err == nil && a.Nlink > 0 {
			return // further names in the upper tree
		}
	}
	n.dropName()
}

// removeWhiteouts empties an upper directory in which only whiteouts are left.
func removeWhiteouts(ctx *vfs.Context, u vfs.Directory) error {
	names, err := list(ctx, u)
	if err != nil {
		return err
	}
	for _, e := range names {
		i, err := u.Lookup(ctx, e.Name)
		if err != nil {
			return err
		}
		if !isWhiteout(ctx, i) {
			return abi.ENOTEMPTY
		}
		if err := removeUpper(ctx, u, e.Name, i); err != nil {
			return err
		}
	}
	return nil
}

// checkEmpty gives ENOTEMPTY when a name is visible in d.
func (d *dir) checkEmpty(ctx *vfs.Context) error {
	entries, err := d.merge(ctx)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return abi.ENOTEMPTY
	}
	return nil
}
