package overlay

import (
	"sync/atomic"

	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// copyBlock is how much of a file is copied up at a time, in bytes.
const copyBlock = 256 << 10

// copyUp makes n exist in the upper tree; of a regular file at most the first limit
// bytes are copied.
func (n *node) copyUp(ctx *vfs.Context, limit uint64) error {
	if n.upper.Load() != nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.upper.Load() != nil {
		return nil
	}
	if n.fs.upper == nil {
		return abi.EROFS
	}
	if l := n.fs.indexed(ctx, n.lower); l != nil { // another name of it was copied up
		vfs.HoldInode(l.upper)
		n.adoptLocked(l.upper, l)
		return nil
	}
	var parent vfs.Directory
	if n.parent != nil {
		if err := n.parent.copyUp(ctx, 0); err != nil {
			return err
		}
		parent, _ = n.parent.upperInode().(vfs.Directory)
	}
	if parent == nil {
		return abi.EROFS
	}
	a, err := n.lower.Attr(ctx, 0)
	if err != nil {
		return err
	}
	u, err := n.makeUpperLocked(ctx, parent, &a, limit)
	if err != nil {
		return err
	}
	n.recordLocked(u, &a)
	return nil
}

// adoptLocked makes u the upper inode of n.
func (n *node) adoptLocked(u vfs.Inode, l *link) {
	n.links = l
	n.setUpper(u)
	if l != nil {
		n.fs.share(u, n.self)
	}
}

// share makes i the overlay inode of everyone who finds below by another name.
func (fs *FS) share(below, i vfs.Inode) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.nodes[below] == nil {
		fs.nodes[below] = i
	}
}

// recordLocked remembers what u is a copy of.
func (n *node) recordLocked(u vfs.Inode, a *vfs.Attr) {
	var l *link
	if a.Nlink > 1 && n.typ != abi.S_IFDIR && !n.gone.Load() {
		l = &link{upper: u, id: lowerID{n.lower.Super(), n.dev, a.Ino}, nlink: int32(a.Nlink)}
		vfs.HoldInode(u)
	}
	n.fs.mu.Lock()
	n.fs.origins[u] = origin{n.ino, n.dev, l}
	if l != nil {
		n.fs.index[l.id] = l
	}
	n.fs.mu.Unlock()
	n.adoptLocked(u, l)
}

// indexed returns the copy of a lower file with several names, if one was made.
func (fs *FS) indexed(ctx *vfs.Context, lower vfs.Inode) *link {
	fs.mu.Lock()
	none := len(fs.index) == 0
	fs.mu.Unlock()
	if none {
		return nil
	}
	a, err := lower.Attr(ctx, abi.AT_STATX_DONT_SYNC)
	if err != nil || a.Nlink < 2 || a.Type() == abi.S_IFDIR {
		return nil
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.index[lowerID{lower.Super(), lowerDev(lower), a.Ino}]
}

// makeUpperLocked makes the copy of n in the upper directory and returns it held.
func (n *node) makeUpperLocked(ctx *vfs.Context, parent vfs.Directory, a *vfs.Attr, limit uint64) (vfs.Inode, error) {
	args := vfs.MakeArgs{Mode: a.Mode, UID: a.UID, GID: a.GID, Major: a.RdevMajor, Minor: a.RdevMinor}
	if l, ok := n.lower.(vfs.Symlink); ok && n.typ == abi.S_IFLNK {
		var err error
		if args.Target, err = l.Readlink(ctx); err != nil {
			return nil, err
		}
	}
	tmp, ok := parent.(vfs.TmpFiler)
	if n.typ == abi.S_IFREG && ok {
		return n.copyFileLocked(ctx, parent, tmp, &args, a, limit)
	}
	if n.gone.Load() {
		return nil, abi.ENOENT
	}
	u, err := parent.Make(ctx, n.name, &args)
	if err != nil {
		return nil, err
	}
	if n.typ == abi.S_IFREG {
		err = copyData(ctx, n.lower, u, min(a.Size, limit))
	}
	if err == nil {
		err = copyAttrs(ctx, n.lower, u, a)
	}
	if err != nil {
		_ = parent.Remove(ctx, n.name, u) // what could not be finished must not be seen
		return nil, err
	}
	vfs.HoldInode(u)
	return u, nil
}

// copyFileLocked copies a regular file under no name, so that nobody sees a part of it,
// and names it when it is whole.
func (n *node) copyFileLocked(ctx *vfs.Context, parent vfs.Directory, tmp vfs.TmpFiler, args *vfs.MakeArgs, a *vfs.Attr, limit uint64) (vfs.Inode, error) {
	u, err := tmp.TmpFile(ctx, args)
	if err != nil {
		return nil, err
	}
	vfs.HoldInode(u)
	err = copyData(ctx, n.lower, u, min(a.Size, limit))
	if err == nil {
		err = copyAttrs(ctx, n.lower, u, a)
	}
	if err == nil && !n.gone.Load() {
		err = parent.Link(ctx, n.name, u)
	}
	if err != nil {
		vfs.PutInode(u)
		return nil, err
	}
	return u, nil // held
}

// copyData copies the first size bytes; blocks of zeros become holes.
func copyData(ctx *vfs.Context, from, to vfs.Inode, size uint64) error {
	if size == 0 {
		return nil
	}
	src, err := vfs.OpenInode(ctx, from, abi.O_RDONLY)
	if err != nil {
		return err
	}
	defer src.DecRef()
	dst, err := vfs.OpenInode(ctx, to, abi.O_RDWR)
	if err != nil {
		return err
	}
	defer dst.DecRef()
	buf := make([]byte, min(copyBlock, size))
	for pos := int64(0); uint64(pos) < size; {
		n, err := src.Ops.Read(ctx, src, uio.One(buf[:min(uint64(len(buf)), size-uint64(pos))]), &pos)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if allZero(buf[:n]) {
			continue
		}
		for at, done := pos-int64(n), 0; done < n; {
			c, err := dst.Ops.Write(ctx, dst, uio.One(buf[done:n]), &at)
			if err != nil {
				return err
			}
			done += c
		}
	}
	return to.SetAttr(ctx, &vfs.SetAttr{Valid: vfs.SetSize, Size: size})
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// copyAttrs copies extended attributes, mode, owner and times.
func copyAttrs(ctx *vfs.Context, from, to vfs.Inode, a *vfs.Attr) error {
	src, ok := from.(vfs.Xattrs)
	dst, ok2 := to.(vfs.Xattrs)
	if ok && ok2 {
		names, err := src.ListXattr(ctx)
		if err != nil && err != abi.EOPNOTSUPP {
			return err
		}
		for _, name := range names {
			v, err := src.GetXattr(ctx, name)
			if err != nil {
				continue // gone meanwhile, or not ours to read
			}
			if err := dst.SetXattr(ctx, name, v, 0); err != nil && err != abi.EOPNOTSUPP {
				return err
			}
		}
	}
	return to.SetAttr(ctx, &vfs.SetAttr{
		Valid: vfs.SetMode | vfs.SetUID | vfs.SetGID | vfs.SetAtime | vfs.SetMtime,
		Mode:  a.Mode & 0o7777, UID: a.UID, GID: a.GID, Atime: a.Atime, Mtime: a.Mtime,
	})
}

// dropName notes that n lost a name, and that it was the last if it was.
func (n *node) dropName() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.links != nil {
		if atomic.AddInt32(&n.links.nlink, -1) > 0 {
			return
		}
	}
	n.gone.Store(true)
}
