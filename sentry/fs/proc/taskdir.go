package proc

import (
	"slices"
	"strconv"

	"lazaret/sentry/auth"
	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// taskRef is a process or a thread by number and start time. It does not keep it.
type taskRef struct {
	ns     *kernel.PIDNamespace
	nr     int32
	start  int64 // CLOCK_MONOTONIC, tells a number's users apart
	thread bool  // a thread: /proc/PID/task/TID
	tgid   int32 // of which process
}

// get returns the task (the leader for a process), or nil when it has gone.
func (r *taskRef) get(k *kernel.Kernel) *kernel.Task {
	t := k.TaskByID(r.ns, r.nr)
	if t == nil {
		return nil
	}
	if !r.thread && t.ThreadGroup().Leader() != t || r.thread && t.ThreadGroup().PIDIn(r.ns) != r.tgid {
		return nil
	}
	if start, _ := t.StartNS(); start != r.start {
		return nil
	}
	return t
}

// Inode numbers: the number of the process or thread above, what it is below.
const (
	inoThread = 1 << 31
	inoFD     = 1 << 24 // + 2*fd, + 1 for fdinfo
	inoMisc   = 1 << 16
)

func ino(nr int32, what uint64) uint64 { return uint64(nr)<<32 | what + 4 }

func (r *taskRef) ino(what uint64) uint64 {
	if r.thread {
		what |= inoThread
	}
	return ino(r.nr, what)
}

// taskNode is what inodes of processes have in common.
type taskNode struct {
	pseudo.Inode
	fs  *FS
	ref taskRef
}

func (n *taskNode) init(fs *FS, ref taskRef, mode uint32, what uint64) {
	n.fs, n.ref = fs, ref
	n.Sup, n.Mode, n.Ino = fs.super, mode, ref.ino(what)
}

func (n *taskNode) task() *kernel.Task { return n.ref.get(n.fs.sys.K) }

// owner returns who owns the inode: the process's user, or root if it cannot be dumped
// (proc(5)). The directories that all may list always belong to the user.
func (n *taskNode) owner() (auth.KUID, auth.KGID) {
	t := n.task()
	if t == nil {
		return 0, 0
	}
	c := t.Creds()
	if n.Mode != abi.S_IFDIR|0o555 && (t.MM() == nil || t.ThreadGroup().Dumpable() != kernel.DumpUser) {
		u, _ := c.UserNS.KUID(0)
		g, _ := c.UserNS.KGID(0)
		return u, g
	}
	return c.EUID, c.EGID
}

// Perms implements vfs.Perms.
func (n *taskNode) Perms() (uint32, auth.KUID, auth.KGID) {
	u, g := n.owner()
	return n.Mode, u, g
}

// Attr implements vfs.Inode.
func (n *taskNode) Attr(ctx *vfs.Context, _ int) (vfs.Attr, error) {
	u, g := n.owner()
	return n.AttrOf(ctx, u, g), nil
}

// taskDir is /proc/PID or /proc/PID/task/TID.
type taskDir struct {
	taskNode
	pseudo.ReadOnlyDir
}

// lookupProcess returns the directory of process nr.
func (fs *FS) lookupProcess(ctx *vfs.Context, nr int32) (vfs.Inode, error) {
	t := fs.sys.K.TaskByID(fs.ns, nr)
	if t == nil {
		return nil, abi.ENOENT
	}
	// A thread's number is found as well, though it is not listed: as the process that
	// the thread is of, seen through that number (proc(5)).
	tg := t.ThreadGroup()
	if fs.options().hide == hidePtraceable && !fs.visible(ctx, t, hidePtraceable) {
		return nil, abi.ENOENT
	}
	start, _ := t.StartNS()
	ref := taskRef{ns: fs.ns, nr: nr, start: start, tgid: tg.PIDIn(fs.ns)}
	ref.thread = nr != ref.tgid
	d := &taskDir{}
	d.init(fs, ref, abi.S_IFDIR|0o555, 0)
	return d, nil
}

// alive is whether a cached dentry still holds.
func (d *taskDir) alive(ctx *vfs.Context) bool {
	t := d.task()
	return t != nil && (d.fs.options().hide != hidePtraceable || d.fs.visible(ctx, t, hidePtraceable))
}

// Permission implements vfs.Permitter: hidepid, then the mode.
func (d *taskDir) Permission(ctx *vfs.Context, mask uint32) error {
	t := d.task()
	if t == nil {
		return abi.ESRCH
	}
	if hide := d.fs.options().hide; hide != hideOff && !d.fs.visible(ctx, t, hideNoAccess) {
		if hide == hideNoAccess {
			return abi.EPERM
		}
		return abi.ENOENT
	}
	m, u, g := d.Perms()
	return vfs.CheckMode(ctx.Creds, m, u, g, mask)
}

// Attr implements vfs.Inode.
func (d *taskDir) Attr(ctx *vfs.Context, _ int) (vfs.Attr, error) {
	t := d.task()
	if t == nil {
		return vfs.Attr{}, abi.ENOENT
	}
	if d.fs.options().hide != hideOff && !d.fs.visible(ctx, t, hideInvisible) {
		return vfs.Attr{}, abi.ENOENT
	}
	u, g := d.owner()
	a := d.AttrOf(ctx, u, g)
	for i := range taskTable {
		if e := &taskTable[i]; d.has(e) && e.mode&abi.S_IFMT == abi.S_IFDIR {
			a.Nlink++
		}
	}
	return a, nil
}

// has reports whether the directory has an entry.
func (d *taskDir) has(e *taskEntry) bool {
	if d.ref.thread {
		return e.in&inThread != 0
	}
	return e.in&inProcess != 0
}

// Lookup implements vfs.Directory.
func (d *taskDir) Lookup(_ *vfs.Context, name string) (vfs.Inode, error) {
	if d.task() == nil {
		return nil, abi.ENOENT
	}
	i := taskIndex(name)
	if i < 0 || !d.has(&taskTable[i]) {
		return nil, abi.ENOENT
	}
	return d.fs.newTaskInode(d.ref, i), nil
}

// Revalidate implements vfs.Revalidator.
func (d *taskDir) Revalidate(_ *vfs.Context, _ string, child vfs.Inode) bool {
	return child == nil || d.task() != nil
}

// Open implements vfs.Inode.
func (d *taskDir) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) { return taskDirOps{}, nil }

// Process returns the process of a directory /proc/PID, for pidfd_send_signal(2): nil when
// it is gone, or for the directory of a thread.
func (d *taskDir) Process() *kernel.Task {
	if d.ref.thread {
		return nil
	}
	return d.task()
}

type taskDirOps struct{ pseudo.DirOps }

// ReadDir implements vfs.DirReader.
func (taskDirOps) ReadDir(ctx *vfs.Context, f *vfs.File, pos *int64, emit func(*vfs.Dirent) bool) error {
	d, ok := f.Inode.(*taskDir)
	if !ok {
		return abi.ENOTDIR
	}
	if d.task() == nil {
		return abi.ENOENT
	}
	e := pseudo.Emitter{Pos: pos, Emit: emit}
	if !e.Dots(ctx, f, d.Ino) {
		return nil
	}
	for i := range taskTable {
		t := &taskTable[i]
		if d.has(t) && !e.Entry(int64(i)+2, t.name, d.ref.ino(uint64(i)+1), t.mode) {
			return nil
		}
	}
	return nil
}

// threadsDir is /proc/PID/task.
type threadsDir struct {
	taskNode
	pseudo.ReadOnlyDir
}

// Lookup implements vfs.Directory.
func (d *threadsDir) Lookup(_ *vfs.Context, name string) (vfs.Inode, error) {
	nr, ok := parseID(name)
	leader := d.task()
	if !ok || leader == nil {
		return nil, abi.ENOENT
	}
	t := d.fs.sys.K.TaskByID(d.fs.ns, nr)
	if t == nil || t.ThreadGroup() != leader.ThreadGroup() {
		return nil, abi.ENOENT
	}
	start, _ := t.StartNS()
	c := &taskDir{}
	c.init(d.fs, taskRef{d.ref.ns, nr, start, true, leader.ThreadGroup().PIDIn(d.ref.ns)}, abi.S_IFDIR|0o555, 0)
	return c, nil
}

// Revalidate implements vfs.Revalidator.
func (d *threadsDir) Revalidate(_ *vfs.Context, _ string, child vfs.Inode) bool {
	c, ok := child.(*taskDir)
	return ok && c.task() != nil
}

// Attr implements vfs.Inode.
func (d *threadsDir) Attr(ctx *vfs.Context, flags int) (vfs.Attr, error) {
	a, err := d.taskNode.Attr(ctx, flags)
	if t := d.task(); t != nil {
		a.Nlink += uint32(len(t.ThreadGroup().Tasks()))
	}
	return a, err
}

// Open implements vfs.Inode.
func (d *threadsDir) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) { return threadsOps{}, nil }

type threadsOps struct{ pseudo.DirOps }

// ReadDir implements vfs.DirReader.
func (threadsOps) ReadDir(ctx *vfs.Context, f *vfs.File, pos *int64, emit func(*vfs.Dirent) bool) error {
	d, ok := f.Inode.(*threadsDir)
	if !ok {
		return abi.ENOTDIR
	}
	t := d.task()
	if t == nil {
		return abi.ENOENT
	}
	e := pseudo.Emitter{Pos: pos, Emit: emit}
	if !e.Dots(ctx, f, d.Ino) {
		return nil
	}
	var ids []int32
	for _, o := range t.ThreadGroup().Tasks() {
		if nr := o.TIDIn(d.ref.ns); nr > 0 {
			ids = append(ids, nr)
		}
	}
	slices.Sort(ids)
	for _, nr := range ids {
		if !e.Entry(2+int64(nr), strconv.Itoa(int(nr)), ino(nr, inoThread), abi.S_IFDIR) {
			break
		}
	}
	return nil
}
