package pipe

import (
	"strconv"
	"sync"
	"sync/atomic"

	"lazaret/sentry/auth"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

func newEnds(p *Pipe) (r, w *end) {
	p.mu.Lock()
	p.addEndsLocked(vfs.ModeRead | vfs.ModeWrite)
	p.mu.Unlock()
	// A pipe had its writer from the start: seen differs from writerOpens.
	return &end{pipe: p, mode: vfs.ModeRead}, &end{pipe: p, mode: vfs.ModeWrite}
}

// inode is the inode of a pipe without a name (pipefs). Opening /proc/PID/fd/N of a pipe
// opens it again.
type inode struct {
	vfs.InodeState
	ino   uint64
	super *vfs.Super
	pipe  *Pipe
	uid   auth.KUID
	gid   auth.KGID
	mode  atomic.Uint32
	ctime abi.Timespec
}

var pipefs struct {
	once    sync.Once
	super   *vfs.Super
	mount   *vfs.Mount
	lastIno atomic.Uint64
}

func newInode(super *vfs.Super, p *Pipe) *inode {
	i := &inode{ino: pipefs.lastIno.Add(1), super: super, pipe: p}
	i.mode.Store(abi.S_IFIFO | 0o600)
	return i
}

func mount() *vfs.Mount {
	pipefs.once.Do(func() {
		s := vfs.NewSuper("pipefs", abi.PIPEFS_MAGIC, nil)
		s.Kernel = true
		pipefs.super = s
		if s.SetRoot(&vfs.Context{}, newInode(s, nil)) == nil {
			pipefs.mount = vfs.KernelMount(s)
		}
	})
	return pipefs.mount
}

// New makes a pipe (pipe2(2)). flags are O_NONBLOCK and O_DIRECT; O_CLOEXEC is the
// descriptor's. Others: EINVAL.
func New(ctx *vfs.Context, flags uint32) (r, w *vfs.File, err error) {
	if flags&^(abi.O_NONBLOCK|abi.O_DIRECT|abi.O_CLOEXEC) != 0 {
		return nil, nil, abi.EINVAL
	}
	flags &^= abi.O_CLOEXEC
	p := NewPipe()
	m := mount()
	i := newInode(m.Super(), p)
	if ctx.Creds != nil {
		i.uid, i.gid = ctx.Creds.FSUID, ctx.Creds.FSGID
	}
	i.ctime = ctx.Now()
	re, we := newEnds(p)
	r, err = vfs.NewInodeFile(ctx, m, i, i.PathName(), re, flags|abi.O_RDONLY, vfs.ModeRead|vfs.ModeStream|vfs.ModeAsync)
	if err != nil {
		return nil, nil, err
	}
	w, err = vfs.NewInodeFile(ctx, m, i, i.PathName(), we, flags|abi.O_WRONLY, vfs.ModeWrite|vfs.ModeStream|vfs.ModeAsync)
	if err != nil {
		r.DecRef()
		return nil, nil, err
	}
	return r, w, nil
}

// PathName implements vfs.PathNamer.
func (i *inode) PathName() string { return "pipe:[" + strconv.FormatUint(i.ino, 10) + "]" }

// Attr implements vfs.Inode.
func (i *inode) Attr(*vfs.Context, int) (vfs.Attr, error) {
	return vfs.Attr{
		Ino: i.ino, Mode: i.mode.Load(), Nlink: 1, UID: i.uid, GID: i.gid, BlkSize: abi.PageSize,
		Atime: i.ctime, Mtime: i.ctime, Ctime: i.ctime,
	}, nil
}

// SetAttr implements vfs.Inode.
func (i *inode) SetAttr(_ *vfs.Context, set *vfs.SetAttr) error {
	if set.Valid&vfs.SetMode != 0 {
		i.mode.Store(abi.S_IFIFO | set.Mode&0o7777)
	}
	return nil
}

// OpensSpecial implements vfs.SpecialOpener: Open is called although this is a FIFO.
func (i *inode) OpensSpecial() bool { return true }

// Open implements vfs.Inode.
func (i *inode) Open(_ *vfs.Context, f *vfs.File) (vfs.FileOps, error) {
	if i.pipe == nil {
		return nil, abi.ENXIO
	}
	return i.pipe.reopen(f.Mode), nil
}

// Super implements vfs.Inode.
func (i *inode) Super() *vfs.Super { return i.super }

// Opener opens the FIFOs of all file systems; vfs.RegisterFIFO takes it.
type Opener struct{}

// OpenFIFO implements vfs.FIFOOpener.
func (Opener) OpenFIFO(ctx *vfs.Context, f *vfs.File, slot *vfs.FIFOSlot) (vfs.FileOps, error) {
	slot.Mu.Lock()
	p, ok := slot.State.(*Pipe)
	if !ok {
		p = NewPipe()
		slot.State = p
	}
	slot.Mu.Unlock()
	return p.Open(ctx, f.Mode, f.Flags())
}
