package vfs

import (
	"lazaret/syscalls/abi"
)

// parentWalk walks to the directory of name's last component.
func parentWalk(ctx *Context, w *walker, start Path, name string) error {
	if err := w.init(ctx, start, name, 0, 0); err != nil {
		return err
	}
	return w.walk(true)
}

// retry runs op again while the cache changed beneath it.
func retry(op func() error) error {
	for range maxRetries {
		if err := op(); err != errRetry {
			return err
		}
	}
	return abi.ESTALE
}

// LookupParent returns the directory of name's last component and that component.
// EEXIST: the name is "/", or ends in . or ..
func LookupParent(ctx *Context, start Path, name string) (dir Path, last string, err error) {
	err = retry(func() error {
		var w walker
		if err := parentWalk(ctx, &w, start, name); err != nil {
			return err
		}
		if w.lastKind != lastName {
			return abi.EEXIST
		}
		dir, last = w.cur, w.last
		return nil
	})
	return dir, last, err
}

// lock locks a directory for a change of its names and pins it, so that it stays in the
// cache meanwhile; false if it has been dropped from the cache or removed.
func (d *Dentry) lock() bool {
	if !d.TryIncRef() {
		return false
	}
	d.state.mu.Lock()
	return true
}

func (d *Dentry) unlock() {
	d.state.mu.Unlock()
	d.DecRef()
}

// ownNew fills in the owner and mode of a new file in dir: the umask, and the group and
// set-group-id bit of a set-group-id directory (inode(7)).
func ownNew(ctx *Context, dir *Dentry, args *MakeArgs) error {
	if args.Mode&abi.S_IFMT != abi.S_IFLNK {
		args.Mode &^= ctx.FS.Umask()
	}
	args.UID, args.GID = ctx.Creds.FSUID, ctx.Creds.FSGID
	mode, _, gid, err := perms(ctx, dir.inode)
	if err != nil {
		return err
	}
	if mode&abi.S_ISGID == 0 {
		return nil
	}
	args.GID = gid
	if args.Mode&abi.S_IFMT == abi.S_IFDIR {
		args.Mode |= abi.S_ISGID
	} else if args.Mode&(abi.S_ISGID|abi.S_IXGRP) == abi.S_ISGID|abi.S_IXGRP &&
		!ctx.Creds.InGroup(gid) && !capOver(ctx.Creds, abi.CAP_FSETID, args.UID, gid) {
		args.Mode &^= abi.S_ISGID
	}
	return nil
}

// makeLocked makes what the negative dentry neg names in dir.
// Preconditions: dir is locked.
func makeLocked(ctx *Context, dir Path, neg *Dentry, args *MakeArgs) (*Dentry, error) {
	if err := mayWriteMount(dir); err != nil {
		return nil, err
	}
	if err := mayCreate(ctx, dir.Dentry); err != nil {
		return nil, err
	}
	if !mayMakeDevice(ctx, args) {
		return nil, abi.EPERM
	}
	fsDir, err := dir.Dentry.dir()
	if err != nil {
		return nil, err
	}
	if err := ownNew(ctx, dir.Dentry, args); err != nil {
		return nil, err
	}
	name := neg.Name()
	inode, err := fsDir.Make(ctx, name, args)
	if err != nil {
		return nil, err
	}
	c := &dir.Dentry.super.cache
	c.drop(neg)
	d, err := hash(ctx, newDentry(dir.Dentry, name), inode)
	if err == nil {
		d.state.noCaps.Store(true)
	}
	return d, err
}

// mayMakeDevice: devices need CAP_MKNOD in the initial namespace, but for the whiteouts
// of overlay.
func mayMakeDevice(ctx *Context, args *MakeArgs) bool {
	switch t := args.Mode & abi.S_IFMT; {
	case t != abi.S_IFCHR && t != abi.S_IFBLK:
	case t == abi.S_IFCHR && args.Major == 0 && args.Minor == 0:
	default:
		return ctx.Creds.Effective.Has(abi.CAP_MKNOD) && ctx.Creds.UserNS.Parent == nil
	}
	return true
}

// makeAt makes a file at name. Only with LookupDirectory may a slash follow the name.
func makeAt(ctx *Context, start Path, name string, args MakeArgs, flags LookupFlags) error {
	return retry(func() error {
		var w walker
		if err := parentWalk(ctx, &w, start, name); err != nil {
			return err
		}
		if w.lastKind != lastName {
			return abi.EEXIST
		}
		dir := w.cur.Dentry
		if !dir.lock() {
			return errRetry
		}
		d, err := lookupLocked(ctx, dir, w.last)
		switch {
		case err != nil:
		case d.inode != nil:
			err = abi.EEXIST
		case w.slash && flags&LookupDirectory == 0:
			err = abi.ENOENT
		default:
			a := args
			d, err = makeLocked(ctx, w.cur, d, &a)
		}
		dir.unlock()
		if err == nil {
			notifyName(dir, d, inCreate, w.last, 0)
		}
		return err
	})
}

// MkdirAt is mkdirat(2).
func MkdirAt(ctx *Context, start Path, name string, mode uint32) error {
	return makeAt(ctx, start, name, MakeArgs{Mode: abi.S_IFDIR | mode&0o1777}, LookupDirectory)
}

// MknodAt is mknodat(2); mode with type 0 makes a regular file.
func MknodAt(ctx *Context, start Path, name string, mode, major, minor uint32) error {
	args := MakeArgs{Mode: mode & (abi.S_IFMT | 0o7777)}
	switch mode & abi.S_IFMT {
	case 0:
		args.Mode |= abi.S_IFREG
	case abi.S_IFREG, abi.S_IFIFO, abi.S_IFSOCK:
	case abi.S_IFCHR, abi.S_IFBLK:
		args.Major, args.Minor = major, minor
	case abi.S_IFDIR:
		return abi.EPERM
	default:
		return abi.EINVAL
	}
	return makeAt(ctx, start, name, args, 0)
}

// SymlinkAt is symlinkat(2).
func SymlinkAt(ctx *Context, target string, start Path, name string) error {
	if target == "" {
		return abi.ENOENT
	}
	if len(target) >= abi.PATH_MAX {
		return abi.ENAMETOOLONG
	}
	return makeAt(ctx, start, name, MakeArgs{Mode: abi.S_IFLNK | 0o777, Target: target}, 0)
}

// MakeSocket makes a socket file for bind(2) and returns its path. EEXIST becomes
// EADDRINUSE.
func MakeSocket(ctx *Context, name string, mode uint32, socktype int) (Path, error) {
	err := makeAt(ctx, ctx.FS.Cwd(), name, MakeArgs{Mode: abi.S_IFSOCK | mode&0o777, SockType: socktype}, 0)
	if err == abi.EEXIST {
		err = abi.EADDRINUSE
	}
	if err != nil {
		return Path{}, err
	}
	return Lookup(ctx, ctx.FS.Cwd(), name, 0)
}

// LinkAt makes name a further link of what is at old (linkat(2)). The caller has
// resolved old with AT_SYMLINK_FOLLOW and AT_EMPTY_PATH.
func LinkAt(ctx *Context, old Path, start Path, name string) error {
	return retry(func() error {
		var w walker
		if err := parentWalk(ctx, &w, start, name); err != nil {
			return err
		}
		if w.lastKind != lastName {
			return abi.EEXIST
		}
		dir := w.cur.Dentry
		if !dir.lock() {
			return errRetry
		}
		d, err := linkLocked(ctx, old, &w)
		dir.unlock()
		if err != nil {
			return err
		}
		notifySelf(old.Dentry, inAttrib) // the link count
		notifyName(dir, d, inCreate, w.last, 0)
		return nil
	})
}

func linkLocked(ctx *Context, old Path, w *walker) (*Dentry, error) {
	dir := w.cur.Dentry
	d, err := lookupLocked(ctx, dir, w.last)
	if err != nil {
		return nil, err
	}
	if d.inode != nil {
		return nil, abi.EEXIST
	}
	if w.slash {
		return nil, abi.ENOENT
	}
	if err := mayWriteMount(w.cur); err != nil {
		return nil, err
	}
	if old.Mount != w.cur.Mount {
		return nil, abi.EXDEV
	}
	if err := mayLink(ctx, old.Dentry); err != nil {
		return nil, err
	}
	if err := mayCreate(ctx, dir); err != nil {
		return nil, err
	}
	if old.Dentry.super != dir.super {
		return nil, abi.EXDEV
	}
	if old.Dentry.IsDir() {
		return nil, abi.EPERM
	}
	a, err := old.Inode().Attr(ctx, 0)
	if err != nil {
		return nil, err
	}
	if a.Nlink == 0 && old.Dentry.flags.Load()&dLinkable == 0 {
		return nil, abi.ENOENT
	}
	fsDir, err := dir.dir()
	if err != nil {
		return nil, err
	}
	if err := fsDir.Link(ctx, w.last, old.Inode()); err != nil {
		return nil, err
	}
	old.Dentry.flags.And(^uint32(dLinkable)) // it has had its name
	dir.super.cache.drop(d)
	return hash(ctx, newDentry(dir, w.last), old.Inode())
}

// mayLink is fs.protected_hardlinks: one links to one's own files, and to regular files
// without set-id bits that one may read and write.
func mayLink(ctx *Context, d *Dentry) error {
	if Protected.Hardlinks.Load() == 0 {
		return nil
	}
	mode, uid, _, err := perms(ctx, d.inode)
	if err != nil {
		return err
	}
	if ownerOrCapable(ctx.Creds, uid) {
		return nil
	}
	if d.typ != abi.S_IFREG || mode&abi.S_ISUID != 0 || mode&(abi.S_ISGID|abi.S_IXGRP) == abi.S_ISGID|abi.S_IXGRP {
		return abi.EPERM
	}
	if inodePermission(ctx, d, MayRead|MayWrite) != nil {
		return abi.EPERM
	}
	return nil
}

// UnlinkAt is unlinkat(2) without AT_REMOVEDIR.
func UnlinkAt(ctx *Context, start Path, name string) error {
	return removeAt(ctx, start, name, 0)
}

// RmdirAt is rmdir(2).
func RmdirAt(ctx *Context, start Path, name string) error {
	return removeAt(ctx, start, name, LookupDirectory)
}

func removeAt(ctx *Context, start Path, name string, flags LookupFlags) error {
	return retry(func() error {
		var w walker
		if err := parentWalk(ctx, &w, start, name); err != nil {
			return err
		}
		rmdir := flags&LookupDirectory != 0
		if w.lastKind != lastName {
			if !rmdir {
				return abi.EISDIR
			}
			return [...]abi.Errno{lastDot: abi.EINVAL, lastDotDot: abi.ENOTEMPTY, lastRoot: abi.EBUSY}[w.lastKind]
		}
		dir := w.cur.Dentry
		if !dir.lock() {
			return errRetry
		}
		d, err := removeLocked(ctx, &w, rmdir)
		dir.unlock()
		if err != nil {
			return err
		}
		afterRemove(dir, d, w.last)
		return nil
	})
}

// removeLocked removes the last component; the dentry that comes back is pinned.
func removeLocked(ctx *Context, w *walker, rmdir bool) (*Dentry, error) {
	dir := w.cur.Dentry
	if err := mayWriteMount(w.cur); err != nil {
		return nil, err
	}
	d, err := lookupLocked(ctx, dir, w.last)
	if err != nil {
		return nil, err
	}
	if d.inode == nil {
		return nil, abi.ENOENT
	}
	if w.slash && !rmdir {
		if d.IsDir() {
			return nil, abi.EISDIR
		}
		return nil, abi.ENOTDIR
	}
	if err := mayDelete(ctx, dir, d); err != nil {
		return nil, err
	}
	switch {
	case rmdir && !d.IsDir():
		return nil, abi.ENOTDIR
	case !rmdir && d.IsDir():
		return nil, abi.EISDIR
	}
	fsDir, err := dir.dir()
	if err != nil {
		return nil, err
	}
	if err := mountedHere(d); err != nil {
		return nil, err
	}
	if !d.TryIncRef() {
		return nil, errRetry
	}
	if rmdir { // nobody may make names in it from here on
		d.state.mu.Lock()
		defer d.state.mu.Unlock()
	}
	if err := fsDir.Remove(ctx, w.last, d.inode); err != nil {
		d.DecRef()
		return nil, err
	}
	d.setFlag(dDeleted)
	dir.super.cache.drop(d)
	return d, nil
}

// afterRemove tells watchers and gives up the pin of removeLocked.
func afterRemove(dir, d *Dentry, name string) {
	notifyRemoved(d)
	notifyName(dir, d, inDelete, name, 0)
	d.DecRef()
}

// Readlink is readlinkat(2) of what is at p, which was looked up without following.
func Readlink(ctx *Context, p Path) (string, error) {
	if p.Dentry.typ != abi.S_IFLNK {
		return "", abi.EINVAL
	}
	l, ok := p.Inode().(Symlink)
	if !ok {
		return "", abi.EINVAL
	}
	s, err := l.Readlink(ctx)
	if err == nil {
		accessed(ctx, p, 0)
	}
	return s, err
}

// ReadlinkAt is readlinkat(2).
func ReadlinkAt(ctx *Context, start Path, name string) (string, error) {
	p, err := Lookup(ctx, start, name, 0)
	if err != nil {
		return "", err
	}
	return Readlink(ctx, p)
}
