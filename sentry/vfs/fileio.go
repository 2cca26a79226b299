package vfs

import (
	"math"

	"lazaret/sentry/auth"
	"lazaret/sentry/uio"
	"lazaret/syscalls/abi"
)

// Read reads at the file's offset and advances it.
func (f *File) Read(ctx *Context, dst uio.Bufs) (int, error) {
	if err := f.mayRead(); err != nil {
		return 0, err
	}
	if f.Mode&ModeStream != 0 {
		n, err := f.Ops.Read(ctx, f, dst, &f.pos)
		if n > 0 {
			f.afterRead(ctx, n)
		}
		return n, err
	}
	f.posMu.Lock()
	n, err := f.Ops.Read(ctx, f, dst, &f.pos)
	f.unlockPos()
	if err == nil {
		f.afterRead(ctx, n)
	}
	return n, err
}

// ReadAt reads at off (pread(2)).
func (f *File) ReadAt(ctx *Context, dst uio.Bufs, off int64) (int, error) {
	if off < 0 {
		return 0, abi.EINVAL
	}
	if f.Mode&ModePath != 0 {
		return 0, abi.EBADF
	}
	if f.Mode&ModeStream != 0 {
		return 0, abi.ESPIPE
	}
	if err := f.mayRead(); err != nil {
		return 0, err
	}
	n, err := f.Ops.Read(ctx, f, dst, &off)
	if err == nil {
		f.afterRead(ctx, n)
	}
	return n, err
}

func (f *File) mayRead() error {
	if f.Mode&ModeRead == 0 || f.Mode&ModePath != 0 {
		return abi.EBADF
	}
	if f.Mode&ModeDir != 0 {
		return abi.EISDIR
	}
	return nil
}

func (f *File) afterRead(ctx *Context, n int) {
	f.accessed(ctx)
	if n > 0 {
		notifyFile(f, inAccess)
	}
}

// accessed updates the access time as the mount and the file want it.
func (f *File) accessed(ctx *Context) { accessed(ctx, f.Path, f.flags.Load()) }

// Write writes at the file's offset, or at the end if it is O_APPEND.
func (f *File) Write(ctx *Context, src uio.Bufs) (int, error) {
	if err := f.mayWrite(); err != nil {
		return 0, err
	}
	if f.Mode&ModeStream != 0 {
		n, err := f.Ops.Write(ctx, f, src, &f.pos)
		if n > 0 {
			notifyFile(f, inModify)
		}
		return n, err
	}
	f.posMu.Lock()
	defer f.unlockPos()
	return f.write(ctx, src, &f.pos, f.flags.Load()&abi.O_APPEND != 0)
}

// WriteAt writes at off (pwrite(2)); an O_APPEND file is written at its end.
func (f *File) WriteAt(ctx *Context, src uio.Bufs, off int64) (int, error) {
	if off < 0 {
		return 0, abi.EINVAL
	}
	if f.Mode&ModePath != 0 {
		return 0, abi.EBADF
	}
	if f.Mode&ModeStream != 0 {
		return 0, abi.ESPIPE
	}
	if err := f.mayWrite(); err != nil {
		return 0, err
	}
	return f.write(ctx, src, &off, f.flags.Load()&abi.O_APPEND != 0)
}

// Append writes at the end and leaves the offset alone (pwritev2(2), RWF_APPEND).
func (f *File) Append(ctx *Context, src uio.Bufs) (int, error) {
	if f.Mode&ModeStream != 0 {
		return f.Write(ctx, src)
	}
	if err := f.mayWrite(); err != nil {
		return 0, err
	}
	var off int64
	return f.write(ctx, src, &off, true)
}

// WriteInPlace writes at off, or at the file's offset if off is negative, also if the file
// is O_APPEND (pwritev2(2), RWF_NOAPPEND).
func (f *File) WriteInPlace(ctx *Context, src uio.Bufs, off int64) (int, error) {
	if f.Mode&ModeStream != 0 {
		return f.Write(ctx, src)
	}
	if err := f.mayWrite(); err != nil {
		return 0, err
	}
	if off >= 0 {
		return f.write(ctx, src, &off, false)
	}
	f.posMu.Lock()
	defer f.unlockPos()
	return f.write(ctx, src, &f.pos, false)
}

func (f *File) mayWrite() error {
	if f.Mode&ModeWrite == 0 || f.Mode&ModePath != 0 {
		return abi.EBADF
	}
	return nil
}

func (f *File) write(ctx *Context, src uio.Bufs, pos *int64, atEnd bool) (int, error) {
	if f.Path.Dentry.typ != abi.S_IFREG {
		n, err := f.Ops.Write(ctx, f, src, pos)
		if n > 0 {
			notifyFile(f, inModify)
		}
		return n, err
	}
	want := src.Len()
	if want == 0 {
		return 0, nil
	}
	st := f.Path.Dentry.state
	st.mu.Lock()
	n, err := f.writeLocked(ctx, src, want, pos, atEnd)
	st.mu.Unlock()
	if n > 0 {
		notifyFile(f, inModify)
		return n, nil
	}
	return n, err
}

// writeLocked writes to a regular file with the inode locked.
func (f *File) writeLocked(ctx *Context, src uio.Bufs, want int, pos *int64, atEnd bool) (int, error) {
	if atEnd {
		a, err := f.Inode.Attr(ctx, 0)
		if err != nil {
			return 0, err
		}
		*pos = int64(a.Size)
	}
	limit := f.Path.Dentry.super.MaxSize
	if uint64(*pos) >= ctx.MaxFileSize {
		ctx.XFSZ = true
		return 0, abi.EFBIG
	}
	limit = min(limit, ctx.MaxFileSize, math.MaxInt64)
	if uint64(*pos) >= limit {
		return 0, abi.EFBIG
	}
	if room := limit - uint64(*pos); uint64(want) > room {
		src = src.Take(int(room))
	}
	if err := dropPrivs(ctx, f.Path.Dentry); err != nil {
		return 0, err
	}
	return f.Ops.Write(ctx, f, src, pos)
}

// dropPrivs takes from a regular file that is written or truncated its file capabilities
// and, if the writer has no CAP_FSETID, its set-id bits (file_remove_privs).
// Preconditions: the inode is locked.
func dropPrivs(ctx *Context, d *Dentry) error {
	if !d.state.noCaps.Load() {
		if err := dropFileCaps(ctx, d); err != nil {
			return err
		}
		d.state.noCaps.Store(true)
	}
	if ctx.Creds == nil || ctx.Creds.Effective.Has(abi.CAP_FSETID) && ctx.Creds.UserNS.Parent == nil {
		return nil
	}
	mode, uid, gid, err := perms(ctx, d.inode)
	if err != nil {
		return err
	}
	kill := setidToKill(ctx.Creds, mode, uid, gid)
	if kill == 0 || capOver(ctx.Creds, abi.CAP_FSETID, uid, gid) {
		return nil
	}
	return d.inode.SetAttr(ctx, &SetAttr{Valid: SetMode, Mode: mode &^ kill & 0o7777})
}

// setidToKill returns the bits that a change of content or owner clears: set-user-id,
// and set-group-id of a program or of a group that the caller is not in.
func setidToKill(c *auth.Creds, mode uint32, uid auth.KUID, gid auth.KGID) uint32 {
	kill := mode & abi.S_ISUID
	if mode&abi.S_ISGID != 0 && (mode&abi.S_IXGRP != 0 || !c.InGroup(gid) && !capOver(c, abi.CAP_FSETID, uid, gid)) {
		kill |= abi.S_ISGID
	}
	return kill
}

// unlockPos unlocks posMu and shows the offset to those who must not wait for it.
func (f *File) unlockPos() {
	f.shownPos.Store(f.pos)
	f.posMu.Unlock()
}

// ShownPos returns the offset after the last call that has ended, for fdinfo: two files
// of fdinfo may be reading about each other with their offsets locked.
func (f *File) ShownPos() int64 { return f.shownPos.Load() }

// Pos returns the offset.
func (f *File) Pos() int64 {
	f.posMu.Lock()
	defer f.unlockPos()
	return f.pos
}

// SetPos sets the offset without checks, for those who restore it after a failed copy
// out to the application.
func (f *File) SetPos(p int64) {
	f.posMu.Lock()
	f.pos = p
	f.unlockPos()
}

// Seek is lseek(2).
func (f *File) Seek(ctx *Context, off int64, whence int) (int64, error) {
	if f.Mode&ModePath != 0 {
		return 0, abi.EBADF
	}
	if whence < 0 || whence > abi.SEEK_MAX {
		return 0, abi.EINVAL
	}
	if f.Mode&ModeNoSeek != 0 {
		return 0, nil
	}
	if f.Mode&ModeStream != 0 {
		return 0, abi.ESPIPE
	}
	f.posMu.Lock()
	defer f.unlockPos()
	if s, ok := f.Ops.(Seeker); ok {
		p, err := s.Seek(ctx, f, off, whence)
		if err != nil {
			return 0, err
		}
		f.pos = p
		return p, nil
	}
	p, err := f.seekTo(ctx, off, whence)
	if err != nil {
		return 0, err
	}
	if p < 0 || uint64(p) > f.Path.Dentry.super.MaxSize {
		return 0, abi.EINVAL
	}
	f.pos = p
	return p, nil
}

// PosLocked returns the offset to a Seeker, which runs with it locked.
func (f *File) PosLocked() int64 { return f.pos }

func (f *File) seekTo(ctx *Context, off int64, whence int) (int64, error) {
	switch whence {
	case abi.SEEK_SET:
		return off, nil
	case abi.SEEK_CUR:
		return addOffset(f.pos, off)
	}
	if f.Mode&ModeDir != 0 {
		return 0, abi.EINVAL // an entry's position says nothing about sizes
	}
	a, err := f.Inode.Attr(ctx, 0)
	if err != nil {
		return 0, err
	}
	if whence == abi.SEEK_END {
		return addOffset(int64(a.Size), off)
	}
	if off < 0 || uint64(off) >= a.Size {
		return 0, abi.ENXIO
	}
	if h, ok := f.Ops.(HoleSeeker); ok {
		return h.SeekHole(off, whence)
	}
	if whence == abi.SEEK_HOLE {
		return int64(a.Size), nil
	}
	return off, nil
}

func addOffset(a, b int64) (int64, error) {
	s := a + b
	if b > 0 && s < a {
		return 0, abi.EOVERFLOW
	}
	if s < 0 {
		return 0, abi.EINVAL
	}
	return s, nil
}

// ReadDir calls emit for the entries from the file's offset on until it returns false.
func (f *File) ReadDir(ctx *Context, emit func(*Dirent) bool) error {
	if f.Mode&ModePath != 0 {
		return abi.EBADF
	}
	r, ok := f.Ops.(DirReader)
	if f.Mode&ModeDir == 0 || !ok {
		return abi.ENOTDIR
	}
	if f.Path.Dentry.Deleted() {
		return abi.ENOENT
	}
	f.posMu.Lock()
	err := r.ReadDir(ctx, f, &f.pos, emit)
	f.unlockPos()
	f.accessed(ctx)
	notifyFile(f, inAccess)
	return err
}
