package tmpfs

import (
	"sort"
	"strings"

	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// dir is a directory.
type dir struct {
	node

	// Guarded by node.mu.
	entries map[string]*entry
	order   []*entry // by pos; removed ones stay until there are many
	lastPos int64
}

// entry is a name in a directory. pos is its place in readdir: it never changes, so that
// a reader neither misses nor repeats a name while others come and go.
type entry struct {
	name  string
	inode inode // nil: removed
	pos   int64
}

const firstPos = 2 // positions 0 and 1 are . and ..

func (d *dir) addLocked(name string, i inode) {
	name = strings.Clone(name)
	d.lastPos++
	e := &entry{name: name, inode: i, pos: d.lastPos + firstPos}
	d.entries[name] = e
	d.order = append(d.order, e)
}

func (d *dir) removeLocked(name string) {
	e := d.entries[name]
	if e == nil {
		return
	}
	delete(d.entries, name)
	e.inode = nil
	if len(d.order) > 16 && len(d.order) > 2*len(d.entries) {
		d.shrinkLocked()
	}
}

// shrinkLocked gives back the memory of names that were removed.
func (d *dir) shrinkLocked() {
	order, entries := make([]*entry, 0, len(d.entries)), make(map[string]*entry, len(d.entries))
	for _, e := range d.order {
		if e.inode != nil {
			order = append(order, e)
			entries[e.name] = e
		}
	}
	d.order, d.entries = order, entries
}

func (d *dir) add(ctx *vfs.Context, name string, i inode) {
	now := ctx.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.addLocked(name, i)
	d.mtime, d.ctime = now, now
}

// Attr implements vfs.Inode. The size is that of Linux's tmpfs: 20 bytes a name.
func (d *dir) Attr(*vfs.Context, int) (vfs.Attr, error) {
	a := d.attr()
	d.mu.RLock()
	a.Size = uint64(2+len(d.entries)) * 20
	d.mu.RUnlock()
	return a, nil
}

// CheapMisses implements vfs.CheapMisser.
func (d *dir) CheapMisses() bool { return true }

// Lookup implements vfs.Directory.
func (d *dir) Lookup(_ *vfs.Context, name string) (vfs.Inode, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if e := d.entries[name]; e != nil {
		return e.inode, nil
	}
	return nil, abi.ENOENT
}

// newInode makes an inode as args say.
func (fs *FS) newInode(ctx *vfs.Context, args *vfs.MakeArgs) (inode, error) {
	if err := fs.takeInode(); err != nil {
		return nil, err
	}
	switch args.Mode & abi.S_IFMT {
	case abi.S_IFDIR:
		i := &dir{entries: map[string]*entry{}}
		i.init(ctx, fs, args)
		i.nlink = 2
		return i, nil
	case abi.S_IFLNK:
		i := &link{target: strings.Clone(args.Target)}
		i.init(ctx, fs, args)
		return i, nil
	case abi.S_IFREG:
		i := &file{}
		i.init(ctx, fs, args)
		return i, nil
	}
	i := &special{}
	i.init(ctx, fs, args)
	return i, nil
}

// Make implements vfs.Directory.
func (d *dir) Make(ctx *vfs.Context, name string, args *vfs.MakeArgs) (vfs.Inode, error) {
	i, err := d.fs.newInode(ctx, args)
	if err != nil {
		return nil, err
	}
	d.add(ctx, name, i)
	if _, ok := i.(*dir); ok {
		d.addLinks(ctx, 1)
	}
	return i, nil
}

// TmpFile implements vfs.TmpFiler.
func (d *dir) TmpFile(ctx *vfs.Context, args *vfs.MakeArgs) (vfs.Inode, error) {
	i, err := d.fs.newInode(ctx, args)
	if err != nil {
		return nil, err
	}
	i.base().nlink = 0
	return i, nil
}

// Link implements vfs.Directory.
func (d *dir) Link(ctx *vfs.Context, name string, target vfs.Inode) error {
	i, ok := target.(inode)
	if !ok {
		return abi.EXDEV
	}
	n := i.base()
	n.mu.RLock()
	gone := n.released
	n.mu.RUnlock()
	if gone {
		return abi.ENOENT
	}
	n.addLinks(ctx, 1)
	d.add(ctx, name, i)
	return nil
}

func (d *dir) empty() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.entries) == 0
}

// Remove implements vfs.Directory.
func (d *dir) Remove(ctx *vfs.Context, name string, child vfs.Inode) error {
	sub, isDir := child.(*dir)
	if isDir && !sub.empty() {
		return abi.ENOTEMPTY
	}
	d.mu.Lock()
	d.removeLocked(name)
	d.mu.Unlock()
	d.unlinked(ctx, child)
	d.touch(ctx)
	return nil
}

// unlinked takes links from an inode that lost its name in d.
func (d *dir) unlinked(ctx *vfs.Context, child vfs.Inode) {
	if sub, ok := child.(*dir); ok {
		sub.addLinks(ctx, -2)
		d.addLinks(ctx, -1)
		return
	}
	if i, ok := child.(inode); ok {
		i.base().addLinks(ctx, -1)
	}
}

// Rename implements vfs.Directory.
func (d *dir) Rename(ctx *vfs.Context, oldName string, child vfs.Inode, newDir vfs.Directory, newName string, victim vfs.Inode, flags uint32) error {
	to, ok := newDir.(*dir)
	if !ok {
		return abi.EXDEV
	}
	src, ok := child.(inode)
	if !ok {
		return abi.EXDEV
	}
	if flags&abi.RENAME_EXCHANGE != 0 {
		return d.exchange(ctx, oldName, src, to, newName, victim)
	}
	if v, ok := victim.(*dir); ok && !v.empty() {
		return abi.ENOTEMPTY
	}
	var white inode
	if flags&abi.RENAME_WHITEOUT != 0 {
		var err error
		args := vfs.MakeArgs{Mode: abi.S_IFCHR, UID: ctx.Creds.FSUID, GID: ctx.Creds.FSGID}
		if mode, _, gid := d.Perms(); mode&abi.S_ISGID != 0 {
			args.GID = gid
		}
		white, err = d.fs.newInode(ctx, &args)
		if err != nil {
			return err
		}
	}
	d.mu.Lock()
	d.removeLocked(oldName)
	if white != nil {
		d.addLocked(oldName, white)
	}
	d.mu.Unlock()
	to.mu.Lock()
	to.removeLocked(newName)
	to.addLocked(newName, src)
	to.mu.Unlock()
	if victim != nil {
		to.unlinked(ctx, victim)
	}
	src.base().addLinks(ctx, 0)
	if _, ok := src.(*dir); ok && d != to {
		d.addLinks(ctx, -1)
		to.addLinks(ctx, 1)
	}
	d.touch(ctx)
	to.touch(ctx)
	return nil
}

func (d *dir) exchange(ctx *vfs.Context, oldName string, src inode, to *dir, newName string, other vfs.Inode) error {
	dst, ok := other.(inode)
	if !ok {
		return abi.EXDEV
	}
	d.mu.Lock()
	d.removeLocked(oldName)
	d.addLocked(oldName, dst)
	d.mu.Unlock()
	to.mu.Lock()
	to.removeLocked(newName)
	to.addLocked(newName, src)
	to.mu.Unlock()
	_, srcDir := src.(*dir)
	_, dstDir := dst.(*dir)
	if d != to && srcDir != dstDir {
		delta := int32(1)
		if dstDir {
			delta = -1
		}
		d.addLinks(ctx, -delta)
		to.addLinks(ctx, delta)
	}
	src.base().addLinks(ctx, 0)
	dst.base().addLinks(ctx, 0)
	d.touch(ctx)
	to.touch(ctx)
	return nil
}

// freeAll frees the contents of all files below d; nobody uses them any more.
func (d *dir) freeAll() {
	for stack := []*dir{d}; len(stack) > 0; {
		d := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		d.mu.Lock()
		for _, e := range d.entries {
			switch i := e.inode.(type) {
			case *dir:
				stack = append(stack, i)
			case *file:
				i.data.free(d.fs)
			}
		}
		d.entries = map[string]*entry{}
		d.order = nil
		d.mu.Unlock()
	}
}

// dirFile is an open directory.
type dirFile struct {
	noIO
	dir *dir
}

// Open implements vfs.Inode.
func (d *dir) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) { return &dirFile{dir: d}, nil }

// ReadDir implements vfs.DirReader.
func (o *dirFile) ReadDir(ctx *vfs.Context, f *vfs.File, pos *int64, emit func(*vfs.Dirent) bool) error {
	d := o.dir
	if *pos == 0 {
		if !emit(&vfs.Dirent{Name: ".", Ino: d.ino, Type: abi.DT_DIR, Next: 1}) {
			return nil
		}
		*pos = 1
	}
	if *pos == 1 {
		if !emit(&vfs.Dirent{Name: "..", Ino: vfs.ParentIno(ctx, f, d.ino), Type: abi.DT_DIR, Next: firstPos}) {
			return nil
		}
		*pos = firstPos
	}
	for {
		batch := d.after(*pos)
		if len(batch) == 0 {
			return nil
		}
		for _, e := range batch {
			de := vfs.Dirent{Name: e.name, Ino: e.inode.base().ino, Type: uint8(e.inode.base().mode >> 12 & 15), Next: e.pos}
			if !emit(&de) {
				return nil
			}
			*pos = e.pos
		}
	}
}

// after returns some entries whose position is greater than pos.
func (d *dir) after(pos int64) []entry {
	d.mu.RLock()
	defer d.mu.RUnlock()
	i := sort.Search(len(d.order), func(i int) bool { return d.order[i].pos > pos })
	var out []entry
	for ; i < len(d.order) && len(out) < 128; i++ {
		if d.order[i].inode != nil {
			out = append(out, *d.order[i])
		}
	}
	return out
}
