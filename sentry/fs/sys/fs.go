package sys

import (
	"sync"

	"lazaret/sentry/fs/proc"
	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Type is the file system type "sysfs".
type Type struct {
	info   proc.HostInfo
	memory Memory

	once  sync.Once
	super *vfs.Super
	keep  *vfs.Mount // so that the instance outlives its mounts
	err   error
}

// Memory tells total and free memory in bytes as ctx's container sees them.
// *proc.System implements it.
type Memory interface {
	Memory(ctx *vfs.Context) (total, free uint64)
}

// Register makes the file system type known.
func Register(p *proc.System) *Type {
	t := &Type{info: p.Info, memory: p}
	vfs.RegisterFileSystem(t)
	return t
}

// Name implements vfs.FileSystemType.
func (t *Type) Name() string { return "sysfs" }

// UserNSMount implements vfs.UserNSMountable.
func (t *Type) UserNSMount() bool { return true }

// firstIno is the inode number of the root.
const firstIno = 1

// NewSuper implements vfs.FileSystemType: all mounts share one instance.
func (t *Type) NewSuper(*vfs.Context, *vfs.MountSpec) (*vfs.Super, error) {
	t.once.Do(func() {
		ctx := &vfs.Context{}
		tree := pseudo.NewTree(0o755, staticTable, cpuEntries(t.info.CPUs))
		tree.Root.Mode = abi.S_IFDIR | 0o555
		t.super = vfs.NewSuper("sysfs", abi.SYSFS_MAGIC, t)
		root := pseudo.NewInode(t.super, tree.Root, firstIno)
		if t.err = t.super.SetRoot(ctx, root); t.err == nil {
			t.keep = vfs.KernelMount(t.super)
		}
	})
	return t.super, t.err
}

// typeOf returns the Type of a call.
func typeOf(c *pseudo.Call) *Type { return c.FS.(*Type) }
