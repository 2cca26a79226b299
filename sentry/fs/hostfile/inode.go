package hostfile

import (
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// inode is the inode of a donated descriptor: attributes are the host's.
type inode struct {
	vfs.InodeState
	super *vfs.Super
	fd    int
	name  string
	mode  uint32 // vfs.Mode* of the description
	ops   vfs.FileOps
}

var hostfs struct {
	once  sync.Once
	super *vfs.Super
	mount *vfs.Mount
}

func mount() *vfs.Mount {
	hostfs.once.Do(func() {
		s := vfs.NewSuper("hostfs", abi.ANON_INODE_FS_MAGIC, nil)
		s.Kernel = true
		hostfs.super = s
		if s.SetRoot(&vfs.Context{}, &inode{super: s, fd: -1}) == nil {
			hostfs.mount = vfs.KernelMount(s)
		}
	})
	return hostfs.mount
}

// NewFile makes an open file over the host descriptor fd, which it owns from then on and
// closes if it fails. The access mode and O_APPEND are the descriptor's.
func NewFile(ctx *vfs.Context, n *Notifier, fd int) (*vfs.File, error) {
	mode, flags, err := Access(fd)
	var ops vfs.FileOps
	if err == nil {
		ops, err = NewOps(n, fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	if r, ok := ops.(*regular); !ok || !r.seekable {
		mode |= vfs.ModeStream | vfs.ModeAsync
	}
	m := mount()
	i := &inode{super: m.Super(), fd: fd, name: "host:[" + strconv.Itoa(fd) + "]", mode: mode, ops: ops}
	f, err := vfs.NewInodeFile(ctx, m, i, i.name, ops, flags, mode)
	if err != nil {
		ops.Release(nil)
		return nil, err
	}
	return f, nil
}

// PathName implements vfs.PathNamer. The host's own name is no business of the sandbox.
func (i *inode) PathName() string { return i.name }

// Attr implements vfs.Inode.
func (i *inode) Attr(*vfs.Context, int) (vfs.Attr, error) {
	if i.fd < 0 {
		return vfs.Attr{Mode: abi.S_IFIFO, Nlink: 1}, nil
	}
	return hostAttr(i.fd)
}

// SetAttr implements vfs.Inode: only the size of a regular file can be changed (O_TRUNC,
// ftruncate); modes, owners and times of host files are left alone.
func (i *inode) SetAttr(_ *vfs.Context, set *vfs.SetAttr) error {
	if set.Valid&vfs.SetSize != 0 {
		return hostErr(unix.Ftruncate(i.fd, int64(set.Size)))
	}
	if set.Valid&(vfs.SetMode|vfs.SetUID|vfs.SetGID) != 0 {
		return abi.EPERM
	}
	return nil
}

// OpensSpecial implements vfs.SpecialOpener.
func (i *inode) OpensSpecial() bool { return true }

// Open implements vfs.Inode. Linux difference: opening /proc/self/fd/1 (/dev/stdout) makes
// a file over the same host description, which keeps its offset and flags.
func (i *inode) Open(_ *vfs.Context, f *vfs.File) (vfs.FileOps, error) {
	if i.ops == nil || f.Mode&(vfs.ModeRead|vfs.ModeWrite)&^i.mode != 0 {
		return nil, abi.EACCES
	}
	f.Mode |= i.mode & (vfs.ModeStream | vfs.ModeAsync)
	var refs *atomic.Int32
	switch o := i.ops.(type) {
	case *stream:
		refs = &o.refs
	case *regular:
		refs = &o.refs
	}
	for {
		n := refs.Load()
		if n == 0 {
			return nil, abi.ENXIO // closed meanwhile
		}
		if refs.CompareAndSwap(n, n+1) {
			break
		}
	}
	return i.ops, nil
}

// Super implements vfs.Inode.
func (i *inode) Super() *vfs.Super { return i.super }
