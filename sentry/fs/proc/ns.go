package proc

import (
	"strconv"
	"sync"

	"lazaret/sentry/auth"
	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/kernel"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// nsFS is the file system of namespace files (nsfs): the root's Lookup finds a
// namespace's inode by its number among those that links led to.
type nsFS struct {
	once  sync.Once
	mount *vfs.Mount
	root  *nsRoot

	mu   sync.Mutex
	live map[uint64]*nsInode
}

// firstUserNS is the inode number of the initial user namespace (PROC_USER_INIT_INO).
const firstUserNS = 0xeffffffd

// namespace is what a link in /proc/PID/ns leads to: one of the two is set.
type namespace struct {
	any  kernel.AnyNamespace
	user *auth.UserNamespace
}

func (n namespace) ino() uint64 {
	if n.user == nil {
		return n.any.Info().Inode
	}
	if n.user.Inode == 0 {
		return firstUserNS
	}
	return n.user.Inode
}

// nsInode is a namespace as a file.
type nsInode struct {
	pseudo.Inode
	sys *System
	ns  namespace
	typ string // "mnt"
}

// A file of a network namespace keeps it alive: ip-netns(8) mounts one and leaves.
// TODO: so do those of ipc namespaces; and those of mount namespaces, which need the check
// against loops that mnt_ns_loop makes.
type shared interface {
	TryShare() bool
	Drop()
}

// NSFile is the vfs.FileOps of an open namespace file: what setns(2) gets.
type NSFile struct{ ns namespace }

// Namespace returns the namespace, nil for a user namespace.
func (f *NSFile) Namespace() kernel.AnyNamespace { return f.ns.any }

// UserNamespace returns the namespace if it is a user namespace, else nil.
func (f *NSFile) UserNamespace() *auth.UserNamespace { return f.ns.user }

// Kind returns the CLONE_NEW* flag of the namespace.
func (f *NSFile) Kind() kernel.NSKind {
	if f.ns.user != nil {
		return kernel.NSUser
	}
	return f.ns.any.Info().Kind
}

// Read implements vfs.FileOps.
func (f *NSFile) Read(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) { return 0, abi.EINVAL }

// Write implements vfs.FileOps.
func (f *NSFile) Write(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) { return 0, abi.EINVAL }

// Release implements vfs.FileOps.
func (f *NSFile) Release(*vfs.File) {}

// Open implements vfs.Inode.
func (i *nsInode) Open(_ *vfs.Context, f *vfs.File) (vfs.FileOps, error) {
	if f.Mode&vfs.ModeWrite != 0 {
		return nil, abi.EPERM
	}
	return &NSFile{i.ns}, nil
}

// PathName implements vfs.PathNamer.
func (i *nsInode) PathName() string { return i.typ + ":[" + strconv.FormatUint(i.Ino, 10) + "]" }

// ReleaseInode implements vfs.Releaser.
func (i *nsInode) ReleaseInode() {
	n := &i.sys.nsfs
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.live[i.Ino] != i {
		return
	}
	delete(n.live, i.Ino)
	if x, ok := i.ns.any.(shared); ok {
		x.Drop()
	}
}

// nsRoot is the root of nsfs, in which only the kernel looks.
type nsRoot struct {
	pseudo.Inode
	pseudo.ReadOnlyDir
	n *nsFS
}

// Lookup implements vfs.Directory.
func (r *nsRoot) Lookup(_ *vfs.Context, name string) (vfs.Inode, error) {
	nr, err := strconv.ParseUint(name, 10, 64)
	if err != nil {
		return nil, abi.ENOENT
	}
	r.n.mu.Lock()
	defer r.n.mu.Unlock()
	if i := r.n.live[nr]; i != nil {
		return i, nil
	}
	return nil, abi.ENOENT
}

// Revalidate implements vfs.Revalidator: an inode that was let go is made anew.
func (r *nsRoot) Revalidate(_ *vfs.Context, _ string, child vfs.Inode) bool {
	i, ok := child.(*nsInode)
	if !ok {
		return false
	}
	r.n.mu.Lock()
	defer r.n.mu.Unlock()
	return r.n.live[i.Ino] == i
}

func (s *System) nsMount() *vfs.Mount {
	n := &s.nsfs
	n.once.Do(func() {
		sup := vfs.NewSuper("nsfs", abi.NSFS_MAGIC, nil)
		sup.Kernel, sup.Unkept = true, true
		n.root = &nsRoot{n: n}
		n.root.Sup, n.root.Ino, n.root.Mode = sup, 1, abi.S_IFDIR|0o555
		n.live = map[uint64]*nsInode{}
		if sup.SetRoot(&vfs.Context{}, n.root) == nil {
			n.mount = vfs.KernelMount(sup)
		}
	})
	return n.mount
}

// nsPath returns the place of a namespace in nsfs.
func (s *System) nsPath(ctx *vfs.Context, ns namespace, typ string) (vfs.Path, error) {
	m := s.nsMount()
	if m == nil {
		return vfs.Path{}, abi.ENOMEM
	}
	nr := ns.ino()
	s.nsfs.mu.Lock()
	if s.nsfs.live[nr] == nil {
		if x, ok := ns.any.(shared); ok && !x.TryShare() {
			s.nsfs.mu.Unlock()
			return vfs.Path{}, abi.ENOENT
		}
		i := &nsInode{sys: s, ns: ns, typ: typ}
		i.Sup, i.Ino, i.Mode = m.Super(), nr, abi.S_IFREG|0o444
		s.nsfs.live[nr] = i
	}
	s.nsfs.mu.Unlock()
	// A walk of its own: the caller is in the middle of one with ctx.
	own := vfs.Context{Creds: ctx.Creds, FS: ctx.FS, Clock: ctx.Clock}
	return vfs.Lookup(&own, vfs.Path{Mount: m, Dentry: m.Root()}, strconv.FormatUint(nr, 10), 0)
}

// nsLink is /proc/PID/ns/NAME.
type nsLink struct{ taskInode }

func (l *nsLink) target(ctx *vfs.Context) (namespace, string, error) {
	t := l.task()
	if t == nil {
		return namespace{}, "", abi.ENOENT
	}
	if !mayLook(ctx, t) {
		return namespace{}, "", abi.EACCES
	}
	return namespaceOf(t, l.line().arg)
}

// namespaceOf returns t's namespace of a link name, and its type.
func namespaceOf(t *kernel.Task, name string) (namespace, string, error) {
	if name == "user" {
		return namespace{user: t.UserNS()}, name, nil
	}
	if name == "pid" {
		return namespace{any: t.PIDNS()}, name, nil
	}
	n := t.Namespaces()
	if n == nil {
		return namespace{}, "", abi.ENOENT
	}
	switch {
	case name == "uts" && n.UTS != nil:
		return namespace{any: n.UTS}, name, nil
	case name == "ipc" && n.IPC != nil:
		return namespace{any: n.IPC}, name, nil
	case name == "net" && n.Net != nil:
		return namespace{any: n.Net}, name, nil
	case name == "mnt" && n.Mnt != nil:
		return namespace{any: n.Mnt}, name, nil
	case name == "cgroup" && n.Cgroup != nil:
		return namespace{any: n.Cgroup}, name, nil
	case name == "time" && n.Time != nil:
		return namespace{any: n.Time}, name, nil
	case name == "time_for_children" && n.TimeChild != nil:
		return namespace{any: n.TimeChild}, "time", nil
	case name == "time_for_children" && n.Time != nil:
		return namespace{any: n.Time}, "time", nil
	case name == "pid_for_children" && n.PIDChildren != nil:
		return namespace{any: n.PIDChildren}, "pid", nil
	}
	return namespace{}, "", abi.ENOENT
}

// Readlink implements vfs.Symlink.
func (l *nsLink) Readlink(ctx *vfs.Context) (string, error) {
	ns, typ, err := l.target(ctx)
	if err != nil {
		return "", err
	}
	return typ + ":[" + strconv.FormatUint(ns.ino(), 10) + "]", nil
}

// Follow implements vfs.MagicLink.
func (l *nsLink) Follow(ctx *vfs.Context) (vfs.Path, error) {
	ns, typ, err := l.target(ctx)
	if err != nil {
		return vfs.Path{}, err
	}
	return l.fs.sys.nsPath(ctx, ns, typ)
}
