package socket

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// openSocket is the open file over a Socket.
type openSocket struct{ s Socket }

// Of returns the socket behind f: ENOTSOCK if there is none.
func Of(f *vfs.File) (Socket, error) {
	if o, ok := f.Ops.(*openSocket); ok {
		return o.s, nil
	}
	return nil, abi.ENOTSOCK
}

// Read implements vfs.FileOps.
func (o *openSocket) Read(ctx *vfs.Context, f *vfs.File, dst uio.Bufs, _ *int64) (int, error) {
	m := Message{Bufs: dst}
	n, err := o.s.Recv(ctx, &m)
	m.Control.Release()
	if err == abi.EAGAIN && o.s.Poll()&wait.RdHup != 0 {
		if block, _ := blocking(ctx, f, 0, 0); block {
			return 0, nil // a shutdown ends a receive that waits, as in Recv
		}
	}
	return n, err
}

// Timeouts returns SO_RCVTIMEO and SO_SNDTIMEO, which bound read(2) and write(2) too.
func (o *openSocket) Timeouts() (read, write time.Duration) { return timeouts(o.s) }

// Write implements vfs.FileOps.
func (o *openSocket) Write(ctx *vfs.Context, _ *vfs.File, src uio.Bufs, _ *int64) (int, error) {
	return o.s.Send(ctx, &Message{Bufs: src})
}

// Poll implements vfs.Poller.
func (o *openSocket) Poll(*vfs.File) wait.Mask { return o.s.Poll() }

// WaitQueue implements vfs.Poller.
func (o *openSocket) WaitQueue(*vfs.File) *wait.Queue { return o.s.WaitQueue() }

// Release implements vfs.FileOps.
func (o *openSocket) Release(*vfs.File) { o.s.Close() }

// Mmap implements vfs.Mapper.
func (o *openSocket) Mmap(ctx *vfs.Context, f *vfs.File, prot, flags uint32) (memfile.Mappable, error) {
	if m, ok := o.s.(vfs.Mapper); ok {
		return m.Mmap(ctx, f, prot, flags)
	}
	return nil, abi.ENODEV
}

// Ioctl implements vfs.Ioctler.
func (o *openSocket) Ioctl(ctx *vfs.Context, f *vfs.File, cmd uint32, arg uint64, mem uio.Memory) (uint64, error) {
	if i, ok := o.s.(vfs.Ioctler); ok {
		return i.Ioctl(ctx, f, cmd, arg, mem)
	}
	return 0, abi.ENOTTY
}

// sockInode is the inode of a socket (sockfs).
type sockInode struct {
	vfs.InodeState
	ino   uint64
	super *vfs.Super
	uid   auth.KUID
	gid   auth.KGID
	mode  atomic.Uint32
}

var sockfs struct {
	once    sync.Once
	super   *vfs.Super
	mount   *vfs.Mount
	lastIno atomic.Uint64
}

func newInode(super *vfs.Super) *sockInode {
	i := &sockInode{ino: sockfs.lastIno.Add(1), super: super}
	i.mode.Store(abi.S_IFSOCK | 0o777)
	return i
}

// NewFile makes the open file of s; it owns s from then on. flags are O_NONBLOCK or 0.
func NewFile(ctx *vfs.Context, s Socket, flags uint32) (*vfs.File, error) {
	sockfs.once.Do(func() {
		super := vfs.NewSuper("sockfs", abi.SOCKFS_MAGIC, nil)
		super.Kernel = true
		sockfs.super = super
		if super.SetRoot(&vfs.Context{}, newInode(super)) == nil {
			sockfs.mount = vfs.KernelMount(super)
		}
	})
	i := newInode(sockfs.super)
	if ctx.Creds != nil {
		i.uid, i.gid = ctx.Creds.FSUID, ctx.Creds.FSGID
	}
	if n, ok := s.(Inoded); ok {
		n.SetInode(i.ino, i.uid)
	}
	return vfs.NewInodeFile(ctx, sockfs.mount, i, i.PathName(), &openSocket{s}, flags|abi.O_RDWR,
		vfs.ModeRead|vfs.ModeWrite|vfs.ModeStream|vfs.ModeAsync|vfs.ModeUrgent)
}

// PathName implements vfs.PathNamer.
func (i *sockInode) PathName() string { return "socket:[" + strconv.FormatUint(i.ino, 10) + "]" }

// Attr implements vfs.Inode.
func (i *sockInode) Attr(*vfs.Context, int) (vfs.Attr, error) {
	return vfs.Attr{Ino: i.ino, Mode: i.mode.Load(), Nlink: 1, UID: i.uid, GID: i.gid, BlkSize: abi.PageSize}, nil
}

// SetAttr implements vfs.Inode.
func (i *sockInode) SetAttr(_ *vfs.Context, set *vfs.SetAttr) error {
	if set.Valid&vfs.SetMode != 0 {
		i.mode.Store(abi.S_IFSOCK | set.Mode&0o7777)
	}
	return nil
}

// Open implements vfs.Inode: /proc/PID/fd/N of a socket cannot be opened.
func (i *sockInode) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) { return nil, abi.ENXIO }

// Super implements vfs.Inode.
func (i *sockInode) Super() *vfs.Super { return i.super }
