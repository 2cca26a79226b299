package vfs

import (
	"lazaret/syscalls/abi"
)

// OpenHow is how a file is opened (openat2(2)). Flags are open(2)'s.
type OpenHow struct {
	Flags   uint32
	Mode    uint32 // of a file that is made; the umask is applied here
	Resolve uint64 // RESOLVE_*
}

const oTmpFile = abi.O_TMPFILE &^ abi.O_DIRECTORY

// OpenAt opens name from start (openat(2)). Close-on-exec is the caller's.
func OpenAt(ctx *Context, start Path, name string, how OpenHow) (*File, error) {
	if err := checkOpen(&how); err != nil {
		return nil, err
	}
	for i := 0; ; i++ {
		f, err := openAt(ctx, start, name, &how)
		if err != errRetry {
			return f, err
		}
		if i == maxRetries {
			return nil, abi.ESTALE
		}
	}
}

// checkOpen refuses nonsensical flags and drops those that mean nothing.
func checkOpen(how *OpenHow) error {
	fl := how.Flags
	if fl&abi.O_PATH != 0 {
		how.Flags = fl & (abi.O_PATH | abi.O_DIRECTORY | abi.O_NOFOLLOW | abi.O_CLOEXEC)
		return nil
	}
	if fl&oTmpFile != 0 {
		if fl&abi.O_TMPFILE != abi.O_TMPFILE || fl&abi.O_ACCMODE == abi.O_RDONLY || fl&abi.O_CREAT != 0 {
			return abi.EINVAL
		}
	}
	if fl&(abi.O_CREAT|abi.O_DIRECTORY) == abi.O_CREAT|abi.O_DIRECTORY {
		return abi.EINVAL
	}
	if fl&abi.O_CREAT != 0 && how.Resolve&abi.RESOLVE_CACHED != 0 {
		return abi.EAGAIN
	}
	return nil
}

func openAt(ctx *Context, start Path, name string, how *OpenHow) (*File, error) {
	var w walker
	var lf LookupFlags
	if how.Flags&abi.O_NOFOLLOW == 0 {
		lf |= LookupFollow
	}
	if how.Flags&abi.O_DIRECTORY != 0 {
		lf |= LookupDirectory
	}
	if how.Flags&abi.O_CREAT != 0 && how.Flags&abi.O_EXCL != 0 {
		lf &^= LookupFollow
	}
	if err := w.init(ctx, start, name, lf, how.Resolve); err != nil {
		return nil, err
	}
	switch {
	case how.Flags&oTmpFile != 0:
		if err := w.walk(false); err != nil {
			return nil, err
		}
		return openTmpFile(ctx, w.cur, how)
	case how.Flags&abi.O_CREAT != 0:
		return openCreate(&w, how)
	}
	if err := w.walk(false); err != nil {
		return nil, err
	}
	return openPath(ctx, w.cur, how.Flags)
}

// openCreate is OpenAt with O_CREAT: every turn walks to a parent directory, the later
// ones to that of a symlink's target.
func openCreate(w *walker, how *OpenHow) (*File, error) {
	for {
		if err := w.walk(true); err != nil {
			return nil, err
		}
		if w.lastKind != lastName {
			if how.Flags&abi.O_EXCL != 0 {
				return nil, abi.EEXIST
			}
			return nil, abi.EISDIR
		}
		if w.slash {
			return nil, abi.EISDIR
		}
		f, err := openLast(w, how)
		if f != nil || err != nil {
			return f, err
		}
		if w.rest == "" && len(w.stack) == 0 { // a magic link led to an object
			return openExisting(w.ctx, w.cur, w.cur.Dentry, how)
		}
	}
}

// openLast opens or makes the last component. Both results are nil when it was a
// symlink that the walker now follows.
func openLast(w *walker, how *OpenHow) (*File, error) {
	ctx, dir := w.ctx, w.cur.Dentry
	if len(w.last) > abi.NAME_MAX {
		return nil, abi.ENAMETOOLONG
	}
	d := dir.super.cache.lookup(dir, w.last)
	if d == nil || d.inode == nil || dir.flags.Load()&dRevalidate != 0 {
		var f *File
		var err error
		if d, f, err = lookupOrMake(w, how); f != nil || err != nil {
			return f, err
		}
	}
	if how.Flags&abi.O_EXCL != 0 {
		return nil, abi.EEXIST
	}
	if d.typ == abi.S_IFLNK {
		if how.Flags&abi.O_NOFOLLOW != 0 {
			return openExisting(ctx, Path{w.cur.Mount, d}, dir, how)
		}
		return nil, w.follow(d, true)
	}
	if err := w.into(d, true); err != nil {
		return nil, err
	}
	return openExisting(ctx, w.cur, dir, how)
}

// openExisting opens a file that O_CREAT found.
func openExisting(ctx *Context, p Path, dir *Dentry, how *OpenHow) (*File, error) {
	if p.Dentry.IsDir() {
		return nil, abi.EISDIR
	}
	if err := mayCreateInSticky(ctx, dir, p.Dentry); err != nil {
		return nil, err
	}
	return openPath(ctx, p, how.Flags)
}

// mayCreateInSticky is fs.protected_regular and fs.protected_fifos: 1 protects files in
// sticky directories that others may write, 2 also in those that the group may.
func mayCreateInSticky(ctx *Context, dir, d *Dentry) error {
	level := int32(1) // devices and sockets have no switch
	switch d.typ {
	case abi.S_IFREG:
		level = Protected.Regular.Load()
	case abi.S_IFIFO:
		level = Protected.FIFOs.Load()
	}
	if level == 0 || !dir.IsDir() {
		return nil
	}
	mode, duid, _, err := perms(ctx, dir.inode)
	if err != nil || mode&abi.S_ISVTX == 0 {
		return err
	}
	_, uid, _, err := perms(ctx, d.inode)
	if err != nil || uid == duid || uid == ctx.Creds.FSUID {
		return err
	}
	if mode&abi.S_IWOTH != 0 || mode&abi.S_IWGRP != 0 && level >= 2 {
		return abi.EACCES
	}
	return nil
}

// lookupOrMake looks the last component up with the directory locked, and makes and
// opens a file when there is none.
func lookupOrMake(w *walker, how *OpenHow) (*Dentry, *File, error) {
	ctx, dir := w.ctx, w.cur.Dentry
	if !dir.lock() {
		return nil, nil, errRetry
	}
	d, err := lookupLocked(ctx, dir, w.last)
	if err != nil || d.inode != nil {
		dir.unlock()
		return d, nil, err
	}
	d, err = makeLocked(ctx, w.cur, d, &MakeArgs{Mode: abi.S_IFREG | how.Mode&0o7777})
	if err != nil {
		dir.unlock()
		return nil, nil, err
	}
	p := Path{w.cur.Mount, d}
	if !p.TryIncRef() {
		dir.unlock()
		return nil, nil, errRetry
	}
	dir.unlock()
	notifyName(dir, d, inCreate, w.last, 0)
	f, err := openPinned(ctx, p, how.Flags&^abi.O_TRUNC)
	if err != nil {
		p.DecRef()
	}
	return nil, f, err
}

// openTmpFile makes and opens a file without a name in dir.
func openTmpFile(ctx *Context, dir Path, how *OpenHow) (*File, error) {
	if err := mayWriteMount(dir); err != nil {
		return nil, err
	}
	if err := mayCreate(ctx, dir.Dentry); err != nil {
		return nil, err
	}
	tf, ok := dir.Inode().(TmpFiler)
	if !ok {
		return nil, abi.EOPNOTSUPP
	}
	args := MakeArgs{Mode: abi.S_IFREG | how.Mode&0o7777}
	if err := ownNew(ctx, dir.Dentry, &args); err != nil {
		return nil, err
	}
	inode, err := tf.TmpFile(ctx, &args)
	if err != nil {
		return nil, err
	}
	d := newDentry(dir.Dentry, "#tmpfile")
	if err := d.instantiate(ctx, inode); err != nil {
		return nil, err
	}
	if a, err := inode.Attr(ctx, 0); err == nil {
		d.self.name = "#" + itoa(a.Ino)
	}
	fl := uint32(dDeleted)
	if how.Flags&abi.O_EXCL == 0 {
		fl |= dLinkable
	}
	d.setFlag(fl)
	d.state.noCaps.Store(true)
	p := Path{dir.Mount, d}
	if !p.TryIncRef() {
		return nil, abi.ENOENT
	}
	f, err := openPinned(ctx, p, how.Flags)
	if err != nil {
		p.DecRef()
	}
	return f, err
}

// OpenPath opens what is at p, with all checks of permissions; flags are open(2)'s
// without O_CREAT.
func OpenPath(ctx *Context, p Path, flags uint32) (*File, error) {
	f, err := openPath(ctx, p, flags)
	if err == errRetry {
		err = abi.ENOENT
	}
	return f, err
}

func openPath(ctx *Context, p Path, flags uint32) (*File, error) {
	if err := mayOpen(ctx, p, flags); err != nil {
		return nil, err
	}
	if !p.TryIncRef() {
		return nil, errRetry
	}
	f, err := openPinned(ctx, p, flags)
	if err != nil {
		p.DecRef()
	}
	return f, err
}

// mayOpen is may_open: what may be opened by type, mount and permissions.
func mayOpen(ctx *Context, p Path, flags uint32) error {
	d := p.Dentry
	if d.inode == nil {
		return abi.ENOENT
	}
	if flags&abi.O_DIRECTORY != 0 && !d.IsDir() {
		return abi.ENOTDIR
	}
	if flags&abi.O_PATH != 0 {
		return nil
	}
	acc := flags & abi.O_ACCMODE
	mask := [4]uint32{MayRead, MayWrite, MayRead | MayWrite, MayRead | MayWrite}[acc]
	if flags&abi.O_TRUNC != 0 {
		mask |= MayWrite
	}
	switch d.typ {
	case abi.S_IFLNK:
		return abi.ELOOP
	case abi.S_IFDIR:
		if mask&MayWrite != 0 {
			return abi.EISDIR
		}
	case abi.S_IFCHR, abi.S_IFBLK:
		if !mayUseDevice(p) {
			return abi.EACCES
		}
	}
	if err := Permission(ctx, p, mask); err != nil {
		return err
	}
	if flags&abi.O_NOATIME != 0 {
		_, uid, _, err := perms(ctx, d.inode)
		if err != nil {
			return err
		}
		if !ownerOrCapable(ctx.Creds, uid) {
			return abi.EPERM
		}
	}
	return nil
}

// openPinned opens p, whose pin becomes the file's unless it fails. There are no checks
// of permissions: a file that was just made may be opened whatever its mode.
func openPinned(ctx *Context, p Path, flags uint32) (*File, error) {
	d := p.Dentry
	f := &File{Path: p, Inode: d.inode, Creds: ctx.Creds}
	if err := f.charge(ctx, fileCost); err != nil {
		return nil, err
	}
	f.refs.Store(1)
	f.flags.Store(flags &^ (abi.O_CREAT | abi.O_EXCL | abi.O_TRUNC | abi.O_CLOEXEC))
	if d.IsDir() {
		f.Mode |= ModeDir
	}
	if flags&abi.O_PATH != 0 {
		f.flags.And(^uint32(abi.O_NOCTTY))
		f.Mode |= ModePath
		return f, nil
	}
	switch flags & abi.O_ACCMODE {
	case abi.O_RDONLY:
		f.Mode |= ModeRead
	case abi.O_WRONLY:
		f.Mode |= ModeWrite
	case abi.O_RDWR:
		f.Mode |= ModeRead | ModeWrite
	}
	if flags&abi.O_TRUNC != 0 {
		f.Mode |= ModeTruncate
	}
	if f.Mode&ModeWrite != 0 && d.typ == abi.S_IFREG {
		if err := d.state.getWrite(); err != nil {
			f.uncharge()
			return nil, err
		}
		f.Mode |= modeWriter
		p.Mount.beginWrite()
	}
	ops, err := openInode(ctx, f)
	f.flags.And(^uint32(abi.O_NOCTTY)) // the terminal has seen it
	if err == nil {
		notifyFile(f, inOpen) // before the truncation
	}
	if err == nil && flags&abi.O_TRUNC != 0 && d.typ == abi.S_IFREG {
		if err = truncateOpen(ctx, d); err != nil {
			ops.Release(f)
		}
	}
	if err != nil {
		if f.Mode&modeWriter != 0 {
			d.state.putWrite()
			p.Mount.endWrite()
		}
		f.uncharge()
		return nil, err
	}
	f.Ops = ops
	return f, nil
}

// openInode gets the operations of an open file by its type.
func openInode(ctx *Context, f *File) (FileOps, error) {
	d := f.Path.Dentry
	if s, ok := d.inode.(SpecialOpener); ok && s.OpensSpecial() {
		return d.inode.Open(ctx, f)
	}
	switch d.typ {
	case abi.S_IFREG, abi.S_IFDIR:
		return d.inode.Open(ctx, f)
	case abi.S_IFIFO:
		return openFIFO(ctx, f)
	case abi.S_IFCHR, abi.S_IFBLK:
		return openDevice(ctx, f)
	case abi.S_IFSOCK:
		return nil, abi.ENXIO
	}
	return d.inode.Open(ctx, f)
}

// truncateOpen is the O_TRUNC of an open.
func truncateOpen(ctx *Context, d *Dentry) error {
	if w := d.state.writers.Load(); w < 0 {
		return abi.ETXTBSY
	}
	return setSize(ctx, d, 0)
}

func itoa(n uint64) string {
	var b [20]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return string(b[i:])
		}
	}
}
