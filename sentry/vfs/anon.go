package vfs

import (
	"sync"

	"lazaret/sentry/auth"
	"lazaret/syscalls/abi"
)

// anonInode is the one inode of all files made by NewAnonFile (anon_inodefs).
type anonInode struct {
	InodeState
	super *Super
}

var anon struct {
	once  sync.Once
	inode *anonInode
	mount *Mount
}

func anonMount() (*Mount, *anonInode) {
	anon.once.Do(func() {
		s := NewSuper("anon_inodefs", abi.ANON_INODE_FS_MAGIC, nil)
		s.Kernel = true
		anon.inode = &anonInode{super: s}
		if s.SetRoot(&Context{}, anon.inode) == nil {
			anon.mount = KernelMount(s)
		}
	})
	return anon.mount, anon.inode
}

func (i *anonInode) Attr(*Context, int) (Attr, error) {
	return Attr{Ino: 1, Mode: 0o600, Nlink: 1, BlkSize: abi.PageSize}, nil
}

func (i *anonInode) Perms() (uint32, auth.KUID, auth.KGID) { return 0o600, 0, 0 }
func (i *anonInode) Open(*Context, *File) (FileOps, error) { return nil, abi.ENXIO }
func (i *anonInode) Super() *Super                         { return i.super }

// SetAttr refuses: all anonymous files share the inode (Linux 6.16 and later say so too).
func (i *anonInode) SetAttr(*Context, *SetAttr) error { return abi.EOPNOTSUPP }

// NewAnonFile returns an open file without a place in any tree, such as an eventfd. name
// is like "[eventfd]" and shows as "anon_inode:[eventfd]". flags are O_* (access mode and
// status), mode the Mode* bits.
func NewAnonFile(ctx *Context, name string, ops FileOps, flags, mode uint32) (*File, error) {
	m, inode := anonMount()
	return NewInodeFile(ctx, m, inode, "anon_inode:"+name, ops, flags, mode)
}

// NewInodeFile returns an open file of inode, which has no place in a tree (pipes,
// sockets, memfds). m is a KernelMount of the inode's file system; name is what
// /proc/PID/fd shows unless the inode is a PathNamer.
func NewInodeFile(ctx *Context, m *Mount, inode Inode, name string, ops FileOps, flags, mode uint32) (*File, error) {
	f := &File{Inode: inode, Ops: ops, Mode: mode, Creds: ctx.Creds}
	if err := f.charge(ctx, inodeFileCost); err != nil {
		return nil, err
	}
	d := &Dentry{super: m.super, id: lastDentry.Add(1)}
	d.self = dnode{d: d, name: name}
	d.node.Store(&d.self)
	if err := d.instantiate(ctx, inode); err != nil {
		f.uncharge()
		return nil, err
	}
	f.Path = Path{m, d}
	if !f.Path.TryIncRef() {
		f.uncharge()
		return nil, abi.ENOENT
	}
	f.refs.Store(1)
	f.flags.Store(flags &^ abi.O_CLOEXEC)
	return f, nil
}
