package proc

import (
	"strconv"

	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// fdDir is /proc/PID/fd or fdinfo.
type fdDir struct {
	taskNode
	pseudo.ReadOnlyDir
	info bool
}

// parseFD reads a descriptor number as directory names have it.
func parseFD(s string) (int32, bool) {
	if s == "0" {
		return 0, true
	}
	return parseID(s)
}

// table returns the descriptor table, or nil.
func (n *taskNode) table() *vfs.FDTable {
	if t := n.task(); t != nil {
		return t.Files()
	}
	return nil
}

// get returns the file of fd with a reference, or nil.
func (n *taskNode) file(fd int32) *vfs.File {
	if t := n.table(); t != nil {
		return t.Get(fd)
	}
	return nil
}

// Permission implements vfs.Permitter: a process may always look at its own, also when
// it is not dumpable and the directory so belongs to root.
func (d *fdDir) Permission(ctx *vfs.Context, mask uint32) error {
	t := d.task()
	if t == nil {
		return abi.ESRCH
	}
	if me := taskOf(ctx); me != nil && me.ThreadGroup() == t.ThreadGroup() {
		return nil
	}
	if d.info && !mayLook(ctx, t) {
		return abi.EACCES
	}
	m, u, g := d.Perms()
	return vfs.CheckMode(ctx.Creds, m, u, g, mask)
}

// Attr implements vfs.Inode: the size of fd is the number of descriptors (since 6.2).
func (d *fdDir) Attr(ctx *vfs.Context, flags int) (vfs.Attr, error) {
	a, err := d.taskNode.Attr(ctx, flags)
	if t := d.table(); t != nil && !d.info {
		a.Size = uint64(t.Count())
	}
	return a, err
}

// linkMode is the mode of a link in fd: what the file was opened for.
func linkMode(f *vfs.File) uint32 {
	m := uint32(abi.S_IFLNK)
	if f.Mode&vfs.ModeRead != 0 {
		m |= 0o500
	}
	if f.Mode&vfs.ModeWrite != 0 {
		m |= 0o300
	}
	return m
}

// Lookup implements vfs.Directory.
func (d *fdDir) Lookup(ctx *vfs.Context, name string) (vfs.Inode, error) {
	fd, ok := parseFD(name)
	if !ok {
		return nil, abi.ENOENT
	}
	f := d.file(fd)
	if f == nil {
		return nil, abi.ENOENT
	}
	defer f.DecRef()
	if d.info {
		i := &fdInfo{fd: fd}
		i.init(d.fs, d.ref, abi.S_IFREG|0o400, inoFD+2*uint64(fd)+1)
		return i, nil
	}
	l := &fdLink{fd: fd}
	l.init(d.fs, d.ref, linkMode(f), inoFD+2*uint64(fd))
	l.Len = 64
	return l, nil
}

// Revalidate implements vfs.Revalidator.
func (d *fdDir) Revalidate(_ *vfs.Context, _ string, child vfs.Inode) bool {
	switch c := child.(type) {
	case *fdLink:
		f := d.file(c.fd)
		if f == nil {
			return false
		}
		defer f.DecRef()
		return linkMode(f) == c.Mode
	case *fdInfo:
		f := d.file(c.fd)
		if f == nil {
			return false
		}
		f.DecRef()
		return true
	}
	return false
}

// Open implements vfs.Inode.
func (d *fdDir) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) { return fdDirOps{}, nil }

type fdDirOps struct{ pseudo.DirOps }

// ReadDir implements vfs.DirReader.
func (fdDirOps) ReadDir(ctx *vfs.Context, f *vfs.File, pos *int64, emit func(*vfs.Dirent) bool) error {
	d, ok := f.Inode.(*fdDir)
	if !ok {
		return abi.ENOTDIR
	}
	t := d.table()
	if t == nil {
		return abi.ENOENT
	}
	e := pseudo.Emitter{Pos: pos, Emit: emit}
	if !e.Dots(ctx, f, d.Ino) {
		return nil
	}
	t.ForEach(int32(*pos-2), func(fd int32, _ *vfs.File, _ bool) bool {
		what, typ := inoFD+2*uint64(fd), uint32(abi.S_IFLNK)
		if d.info {
			what, typ = what+1, abi.S_IFREG
		}
		return e.Entry(2+int64(fd), strconv.Itoa(int(fd)), d.ref.ino(what), typ)
	})
	return nil
}

// fdLink is /proc/PID/fd/N.
type fdLink struct {
	taskNode
	fd int32
}

// open returns the file, with a reference.
func (l *fdLink) open(ctx *vfs.Context) (*vfs.File, error) {
	t := l.task()
	if t == nil {
		return nil, abi.ENOENT
	}
	if !mayLook(ctx, t) {
		return nil, abi.EACCES
	}
	f := l.file(l.fd)
	if f == nil {
		return nil, abi.ENOENT
	}
	return f, nil
}

// Readlink implements vfs.Symlink.
func (l *fdLink) Readlink(ctx *vfs.Context) (string, error) {
	f, err := l.open(ctx)
	if err != nil {
		return "", err
	}
	defer f.DecRef()
	return pathName(ctx, f.Path), nil
}

// Follow implements vfs.MagicLink.
func (l *fdLink) Follow(ctx *vfs.Context) (vfs.Path, error) {
	f, err := l.open(ctx)
	if err != nil {
		return vfs.Path{}, err
	}
	defer f.DecRef()
	return f.Path, nil
}

// fdInfo is /proc/PID/fdinfo/N.
type fdInfo struct {
	taskNode
	fd int32
}

// FDInfoer is a vfs.FileOps with lines of its own in /proc/PID/fdinfo. It appends them
// to b, each with its newline; ns is the pid namespace that process ids are shown for.
type FDInfoer interface {
	FDInfo(f *vfs.File, ns *kernel.PIDNamespace, b []byte) []byte
}

// Open implements vfs.Inode.
func (i *fdInfo) Open(ctx *vfs.Context, _ *vfs.File) (vfs.FileOps, error) {
	if t := i.task(); t == nil || !mayLook(ctx, t) {
		return nil, abi.EACCES
	}
	return &pseudo.Seq{}, nil
}

// Show implements pseudo.Shower.
func (i *fdInfo) Show(ctx *vfs.Context, _ *vfs.File, b *pseudo.Buf) error {
	t := i.table()
	f := i.file(i.fd)
	if t == nil || f == nil {
		return abi.ENOENT
	}
	defer f.DecRef()
	flags := f.Flags()
	if on, err := t.Cloexec(i.fd); err == nil && on {
		flags |= abi.O_CLOEXEC
	}
	var mnt uint64
	if f.Path.Mount != nil {
		mnt = f.Path.Mount.ID()
	}
	a, _ := f.Inode.Attr(ctx, abi.AT_STATX_DONT_SYNC) // without it the number shows as 0
	b.Printf("pos:\t%d\nflags:\t0%o\nmnt_id:\t%d\nino:\t%d\n", posOf(f), flags, mnt, a.Ino)
	n := 0
	f.EachLock(func(kind string, k vfs.RecordLock) {
		if n++; n <= maxLockLines {
			b.Str("lock:\t")
			lockLine(b, f, a.Ino, n, kind, k)
		}
	})
	showFDExtra(f, i.fs.ns, b)
	return nil
}

// maxLockLines bounds what one file's locks can make of text.
const maxLockLines = 1000

// posOf returns a file's offset without its lock.
func posOf(f *vfs.File) int64 { return f.ShownPos() }
