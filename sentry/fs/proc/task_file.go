package proc

import (
	"strings"

	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/kernel"
	"lazaret/sentry/mm"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// taskInode is a file, link or directory of taskTable. entry is its index, not a pointer,
// so that inodes are data.
type taskInode struct {
	taskNode
	entry int
}

func (i *taskInode) line() *taskEntry { return entryAt(i.entry) }

// newTaskInode returns the inode of entry i for ref.
func (fs *FS) newTaskInode(ref taskRef, i int) vfs.Inode {
	e := entryAt(i)
	what := uint64(i) + 1
	if e.name == "net" {
		d := &netDir{}
		d.init(fs, ref, e.mode, what)
		return d
	}
	switch e.kind {
	case kindThreads:
		d := &threadsDir{}
		d.init(fs, ref, e.mode, what)
		return d
	case kindFD, kindFDInfo:
		d := &fdDir{info: e.kind == kindFDInfo}
		d.init(fs, ref, e.mode, what)
		return d
	case kindSub:
		d := &subDir{prefix: e.arg}
		d.init(fs, ref, e.mode, what)
		return d
	case kindLink:
		l := &taskLink{taskInode{entry: i}}
		l.init(fs, ref, e.mode, what)
		return l
	case kindNS:
		l := &nsLink{taskInode{entry: i}}
		l.init(fs, ref, e.mode, what)
		return l
	}
	f := &taskFile{taskInode{entry: i}}
	f.init(fs, ref, e.mode, what)
	return f
}

// call is one reading or writing of a file of a process.
type call struct {
	ctx  *vfs.Context
	file *vfs.File
	fs   *FS
	ref  *taskRef
	task *kernel.Task
	mm   *mm.MM // held during the call; nil when the process has none
	pos  int64  // of a write
}

// group returns the process; thread reports whether the call is about one thread only.
func (c *call) group() *kernel.ThreadGroup { return c.task.ThreadGroup() }
func (c *call) thread() bool               { return c.ref.thread }

// may reports whether the reader may look into the process.
func (c *call) may() bool { return mayLook(c.ctx, c.task) }

// taskFile is a regular file of a process.
type taskFile struct{ taskInode }

// mmSeq is an open file that shows the address space that the process had when it was
// opened. It does not keep the memory: that goes with the last task.
type mmSeq struct {
	pseudo.Seq
	mm *mm.MM
}

// Open implements vfs.Inode.
func (i *taskFile) Open(ctx *vfs.Context, _ *vfs.File) (vfs.FileOps, error) {
	e := i.line()
	if e.access != atOpen {
		if e.kind == kindMounts {
			return i.openMounts()
		}
		return &pseudo.Seq{}, nil
	}
	t := i.task()
	if t == nil {
		return nil, abi.ESRCH
	}
	if !mayLook(ctx, t) {
		return nil, abi.EACCES
	}
	if e.kind == kindMem {
		return &memOps{mm: t.MM()}, nil
	}
	return &mmSeq{mm: t.MM()}, nil
}

// call makes the call for a read or write of f; end ends it.
func (i *taskFile) call(ctx *vfs.Context, f *vfs.File) (*call, error) {
	t := i.task()
	if t == nil {
		return nil, abi.ESRCH
	}
	c := &call{ctx: ctx, file: f, fs: i.fs, ref: &i.ref, task: t}
	switch e := i.line(); e.access {
	case atRead:
		if !c.may() {
			return nil, abi.EACCES
		}
	case traceRead:
		if !c.may() {
			return nil, abi.EPERM
		}
	}
	m := t.MM()
	if s, ok := f.Ops.(*mmSeq); ok {
		m = s.mm
	}
	if m != nil && m.TryIncUsers() {
		c.mm = m
	}
	return c, nil
}

func (c *call) end() {
	if c.mm != nil {
		c.mm.DecUsers()
	}
}

// Show implements pseudo.Shower.
func (i *taskFile) Show(ctx *vfs.Context, f *vfs.File, b *pseudo.Buf) error {
	e := i.line()
	if e.show == nil {
		return abi.EINVAL
	}
	c, err := i.call(ctx, f)
	if err != nil {
		return err
	}
	defer c.end()
	return e.show(c, b)
}

// Store implements pseudo.Storer.
func (i *taskFile) Store(ctx *vfs.Context, f *vfs.File, data []byte, pos int64) error {
	e := i.line()
	if e.store == nil {
		return abi.EIO
	}
	c, err := i.call(ctx, f)
	if err != nil {
		return err
	}
	defer c.end()
	c.pos = pos
	return e.store(c, data)
}

// ignoreStore takes what is written without effect.
func ignoreStore(*call, []byte) error { return nil }

// subDir is a directory with the entries of subTable that begin with prefix.
type subDir struct {
	taskNode
	pseudo.ReadOnlyDir
	prefix string
}

// Lookup implements vfs.Directory.
func (d *subDir) Lookup(_ *vfs.Context, name string) (vfs.Inode, error) {
	if d.task() == nil {
		return nil, abi.ENOENT
	}
	for i := range subTable {
		if rest, ok := strings.CutPrefix(subTable[i].name, d.prefix); ok && rest == name {
			return d.fs.newTaskInode(d.ref, len(taskTable)+i), nil
		}
	}
	return nil, abi.ENOENT
}

// Revalidate implements vfs.Revalidator.
func (d *subDir) Revalidate(*vfs.Context, string, vfs.Inode) bool { return d.task() != nil }

// Open implements vfs.Inode.
func (d *subDir) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) { return subDirOps{}, nil }

type subDirOps struct{ pseudo.DirOps }

// ReadDir implements vfs.DirReader.
func (subDirOps) ReadDir(ctx *vfs.Context, f *vfs.File, pos *int64, emit func(*vfs.Dirent) bool) error {
	d, ok := f.Inode.(*subDir)
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
	for i := range subTable {
		name, ok := strings.CutPrefix(subTable[i].name, d.prefix)
		if ok && !e.Entry(2+int64(i), name, d.ref.ino(uint64(len(taskTable)+i)+1), subTable[i].mode) {
			break
		}
	}
	return nil
}
