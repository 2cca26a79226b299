package proc

import (
	"slices"
	"strconv"
	"sync"

	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// staticIno is where inode numbers of static entries begin (PROC_DYNAMIC_FIRST).
const staticIno = 0xf0000000

// Positions in the root directory: static entries, then the two links, then processes.
const (
	posStatic = 2
	posSelf   = 1024
	posPIDs   = posSelf + 2
)

// staticTree is made when something first looks for one of its hundreds of names, after the
// processes' own: a sandbox that runs a single program may end before.
var staticTree = sync.OnceValue(func() *pseudo.Tree {
	return pseudo.NewTree(0o555, globalTable, sysctlEntries())
})

// rootDir is the root of an instance.
type rootDir struct {
	pseudo.Inode
	pseudo.ReadOnlyDir
	fs *FS
}

// Lookup implements vfs.Directory.
func (d *rootDir) Lookup(ctx *vfs.Context, name string) (vfs.Inode, error) {
	switch name {
	case "self", "thread-self":
		l := &selfLink{fs: d.fs, thread: name == "thread-self"}
		l.Sup, l.Mode, l.Ino = d.Sup, abi.S_IFLNK|0o777, 2
		if l.thread {
			l.Ino = 3
		}
		return l, nil
	}
	if nr, ok := parseID(name); ok {
		return d.fs.lookupProcess(ctx, nr)
	}
	if n := staticTree().Root.Child(name); n != nil && !(d.fs.options().pidOnly && !pidSubset(name)) {
		return pseudo.NewInode(d.Sup, n, staticIno), nil
	}
	return nil, abi.ENOENT
}

// pidSubset reports whether a static entry is there with subset=pid.
func pidSubset(string) bool { return false }

// parseID reads a process id as directory names have it: no sign, no leading zero.
func parseID(s string) (int32, bool) {
	if s == "" || s[0] == '0' || len(s) > 10 {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 31)
	return int32(n), err == nil
}

// Revalidate implements vfs.Revalidator.
func (d *rootDir) Revalidate(ctx *vfs.Context, name string, child vfs.Inode) bool {
	if _, ok := parseID(name); !ok {
		return true
	}
	p, ok := child.(*taskDir)
	return ok && p.alive(ctx)
}

// Attr implements vfs.Inode: the link count tells the number of processes.
func (d *rootDir) Attr(ctx *vfs.Context, flags int) (vfs.Attr, error) {
	a, err := d.Inode.Attr(ctx, flags)
	a.Nlink += uint32(len(d.fs.sys.K.Groups(d.fs.ns)))
	return a, err
}

// Open implements vfs.Inode.
func (d *rootDir) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) { return rootOps{}, nil }

type rootOps struct{ pseudo.DirOps }

// ReadDir implements vfs.DirReader.
func (rootOps) ReadDir(ctx *vfs.Context, f *vfs.File, pos *int64, emit func(*vfs.Dirent) bool) error {
	d, ok := f.Inode.(*rootDir)
	if !ok {
		return abi.ENOTDIR
	}
	e := pseudo.Emitter{Pos: pos, Emit: emit}
	if !e.Dots(ctx, f, d.Ino) {
		return nil
	}
	if !d.fs.options().pidOnly && !staticTree().Root.Emit(&e, posStatic, staticIno) {
		return nil
	}
	if !e.Entry(posSelf, "self", 2, abi.S_IFLNK) || !e.Entry(posSelf+1, "thread-self", 3, abi.S_IFLNK) {
		return nil
	}
	for _, nr := range d.fs.processes(ctx, int32(*pos-posPIDs)) {
		if !e.Entry(posPIDs+int64(nr), strconv.Itoa(int(nr)), ino(nr, 0), abi.S_IFDIR) {
			break
		}
	}
	return nil
}

// processes returns the visible process ids from first on, sorted.
func (fs *FS) processes(ctx *vfs.Context, first int32) []int32 {
	var out []int32
	for _, g := range fs.sys.K.Groups(fs.ns) {
		l := g.Leader()
		if nr := l.TIDIn(fs.ns); nr >= first && nr > 0 && fs.visible(ctx, l, hideInvisible) {
			out = append(out, nr)
		}
	}
	slices.Sort(out)
	return out
}

// selfLink is /proc/self or /proc/thread-self.
type selfLink struct {
	pseudo.Inode
	fs     *FS
	thread bool
}

// Readlink implements vfs.Symlink.
func (l *selfLink) Readlink(ctx *vfs.Context) (string, error) {
	t := taskOf(ctx)
	if t == nil {
		return "", abi.ENOENT
	}
	pid, tid := t.ThreadGroup().PIDIn(l.fs.ns), t.TIDIn(l.fs.ns)
	if pid == 0 || tid == 0 {
		return "", abi.ENOENT
	}
	s := strconv.Itoa(int(pid))
	if l.thread {
		s += "/task/" + strconv.Itoa(int(tid))
	}
	return s, nil
}
