package ipc

import (
	"sync"

	"lazaret/sentry/auth"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

const (
	mqueueMagic  = 0x19800202
	maxMqueues   = 256 // fs.mqueue.queues_max
	mqRootIno    = 1
	mqDirentSize = 20 // st_size of the directory per name, as tmpfs counts
)

// mqfs is the file system of a namespace's POSIX message queues; every mount of type mqueue
// in the namespace shows it.
type mqfs struct {
	super *vfs.Super
	mount *vfs.Mount
	root  *mqRoot

	// openMu serializes mq_open, so that newAttr reaches the queue that it makes.
	openMu  sync.Mutex
	newAttr *MqAttr // nil: the default
}

// mqRoot is its directory.
type mqRoot struct {
	vfs.InodeState
	fs *mqfs

	mu    sync.Mutex
	mode  uint32
	uid   auth.KUID
	gid   auth.KGID
	mtime abi.Timespec
	names map[string]*Mqueue
	order []string // in which they were made, for ReadDir
	ino   uint64
}

func newMqfs(user *auth.UserNamespace) *mqfs {
	fs := &mqfs{}
	fs.super = vfs.NewSuper("mqueue", mqueueMagic, fs)
	fs.super.UserNS = user
	fs.root = &mqRoot{fs: fs, mode: abi.S_IFDIR | abi.S_ISVTX | 0o777, names: make(map[string]*Mqueue), ino: mqRootIno, mtime: new(vfs.Context).Now()}
	if k, ok := user.KUID(0); ok {
		fs.root.uid = k
	}
	if k, ok := user.KGID(0); ok {
		fs.root.gid = k
	}
	if fs.super.SetRoot(&vfs.Context{}, fs.root) == nil {
		fs.mount = vfs.KernelMount(fs.super)
	}
	return fs
}

func (fs *mqfs) path() vfs.Path { return vfs.Path{Mount: fs.mount, Dentry: fs.super.Root()} }

func (fs *mqfs) release() {
	fs.root.mu.Lock()
	qs := fs.root.names
	fs.root.names = make(map[string]*Mqueue)
	fs.root.mu.Unlock()
	for _, q := range qs {
		q.clear()
	}
}

// MqueueSuper returns the file system for a mount of type mqueue.
func (ns *Namespace) MqueueSuper() *vfs.Super { return ns.mq.super }

// Attr implements vfs.Inode.
func (r *mqRoot) Attr(*vfs.Context, int) (vfs.Attr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return vfs.Attr{
		Ino: mqRootIno, Mode: r.mode, Nlink: 2, UID: r.uid, GID: r.gid, Size: uint64((len(r.names) + 2) * mqDirentSize),
		BlkSize: abi.PageSize, Atime: r.mtime, Mtime: r.mtime, Ctime: r.mtime,
	}, nil
}

// SetAttr implements vfs.Inode.
func (r *mqRoot) SetAttr(_ *vfs.Context, set *vfs.SetAttr) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	setOwner(set, &r.mode, &r.uid, &r.gid)
	return nil
}

func setOwner(set *vfs.SetAttr, mode *uint32, uid *auth.KUID, gid *auth.KGID) {
	if set.Valid&vfs.SetMode != 0 {
		*mode = *mode&abi.S_IFMT | set.Mode&0o7777
	}
	if set.Valid&vfs.SetUID != 0 {
		*uid = set.UID
	}
	if set.Valid&vfs.SetGID != 0 {
		*gid = set.GID
	}
}

// Super implements vfs.Inode.
func (r *mqRoot) Super() *vfs.Super { return r.fs.super }

// Open implements vfs.Inode.
func (r *mqRoot) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) { return (*mqDir)(r), nil }

// Lookup implements vfs.Directory.
func (r *mqRoot) Lookup(_ *vfs.Context, name string) (vfs.Inode, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := r.names[name]; q != nil {
		return q, nil
	}
	return nil, abi.ENOENT
}

// Make implements vfs.Directory.
func (r *mqRoot) Make(ctx *vfs.Context, name string, args *vfs.MakeArgs) (vfs.Inode, error) {
	if args.Mode&abi.S_IFMT != abi.S_IFREG {
		return nil, abi.EPERM
	}
	attr := defaultAttr
	if a := r.fs.newAttr; a != nil {
		attr = *a
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.names) >= maxMqueues && !ctx.Creds.HasCap(abi.CAP_SYS_RESOURCE) {
		return nil, abi.ENOSPC
	}
	r.ino++
	q := &Mqueue{root: r, ino: r.ino, mode: args.Mode, uid: args.UID, gid: args.GID, max: attr.MaxMsg, size: attr.MsgSize, ctime: ctx.Now()}
	r.names[name] = q
	r.order = append(r.order, name)
	r.mtime = q.ctime
	return q, nil
}

// Link implements vfs.Directory.
func (r *mqRoot) Link(*vfs.Context, string, vfs.Inode) error { return abi.EPERM }

// Remove implements vfs.Directory.
func (r *mqRoot) Remove(ctx *vfs.Context, name string, _ vfs.Inode) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.names[name]
	if q == nil {
		return abi.ENOENT
	}
	delete(r.names, name)
	for i, n := range r.order {
		if n == name {
			r.order = append(r.order[:i:i], r.order[i+1:]...)
			break
		}
	}
	q.unlink()
	r.mtime = ctx.Now()
	return nil
}

// Rename implements vfs.Directory.
func (r *mqRoot) Rename(*vfs.Context, string, vfs.Inode, vfs.Directory, string, vfs.Inode, uint32) error {
	return abi.EPERM
}

// mqDir is the open directory.
type mqDir mqRoot

// Read implements vfs.FileOps.
func (d *mqDir) Read(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) {
	return 0, abi.EISDIR
}

// Write implements vfs.FileOps.
func (d *mqDir) Write(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) {
	return 0, abi.EISDIR
}

// Release implements vfs.FileOps.
func (d *mqDir) Release(*vfs.File) {}

// ReadDir implements vfs.DirReader. The position behind a queue follows from its inode
// number, which grows.
func (d *mqDir) ReadDir(ctx *vfs.Context, f *vfs.File, pos *int64, emit func(*vfs.Dirent) bool) error {
	all := []vfs.Dirent{
		{Name: ".", Ino: mqRootIno, Type: abi.DT_DIR, Next: 1},
		{Name: "..", Ino: vfs.ParentIno(ctx, f, mqRootIno), Type: abi.DT_DIR, Next: 2},
	}
	d.mu.Lock()
	for _, n := range d.order {
		ino := d.names[n].ino
		all = append(all, vfs.Dirent{Name: n, Ino: ino, Type: abi.DT_REG, Next: int64(ino) + 2})
	}
	d.mu.Unlock()
	for i := range all {
		if all[i].Next <= *pos {
			continue
		}
		if !emit(&all[i]) {
			return nil
		}
		*pos = all[i].Next
	}
	return nil
}
