package vfs

import (
	"sync"

	"lazaret/syscalls/abi"
)

// FSInfo is struct fs_struct: root, working directory and umask, shared by tasks that
// were cloned with CLONE_FS. It pins its paths.
type FSInfo struct {
	mu    sync.RWMutex
	root  Path
	cwd   Path
	umask uint32
	users int
}

// NewFSInfo returns an FSInfo with one user, whose root and working directory are the
// pinned paths root and cwd; the pins stay the caller's.
func NewFSInfo(root, cwd Path, umask uint32) *FSInfo {
	root.IncRef()
	cwd.IncRef()
	return &FSInfo{root: root, cwd: cwd, umask: umask, users: 1}
}

// Root returns the root directory.
func (f *FSInfo) Root() Path {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.root
}

// Cwd returns the working directory.
func (f *FSInfo) Cwd() Path {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.cwd
}

// Umask returns the file mode creation mask.
func (f *FSInfo) Umask() uint32 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.umask
}

// SetUmask sets the mask and returns the old one.
func (f *FSInfo) SetUmask(m uint32) uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.umask
	f.umask = m & 0o777
	return old
}

// SetRoot changes the root directory. The caller has checked rights and type.
func (f *FSInfo) SetRoot(p Path) error {
	if !p.TryIncRef() {
		return abi.ENOENT
	}
	f.mu.Lock()
	old := f.root
	f.root = p
	f.mu.Unlock()
	old.DecRef()
	return nil
}

// SetCwd changes the working directory. The caller has checked rights and type.
func (f *FSInfo) SetCwd(p Path) error {
	if !p.TryIncRef() {
		return abi.ENOENT
	}
	f.mu.Lock()
	old := f.cwd
	f.cwd = p
	f.mu.Unlock()
	old.DecRef()
	return nil
}

// Fork returns a copy with one user.
func (f *FSInfo) Fork() *FSInfo {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return NewFSInfo(f.root, f.cwd, f.umask)
}

// IncUsers adds a task (CLONE_FS).
func (f *FSInfo) IncUsers() {
	f.mu.Lock()
	f.users++
	f.mu.Unlock()
}

// DecUsers removes a task; the last one drops the pins.
func (f *FSInfo) DecUsers() {
	f.mu.Lock()
	f.users--
	var root, cwd Path
	if f.users == 0 {
		root, cwd = f.root, f.cwd
		f.root, f.cwd = Path{}, Path{}
	}
	f.mu.Unlock()
	root.DecRef()
	cwd.DecRef()
}

// Users returns the number of tasks that share f.
func (f *FSInfo) Users() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.users
}

// replace moves root and working directory from one place to another (pivot_root(2)).
func (f *FSInfo) replace(from, to Path) {
	f.mu.Lock()
	var drop [2]Path
	for i, p := range []*Path{&f.root, &f.cwd} {
		if *p == from && to.TryIncRef() {
			drop[i], *p = *p, to
		}
	}
	f.mu.Unlock()
	drop[0].DecRef()
	drop[1].DecRef()
}

// Chdir is chdir(2).
func Chdir(ctx *Context, name string) error {
	p, err := Lookup(ctx, ctx.FS.Cwd(), name, LookupFollow|LookupDirectory)
	if err != nil {
		return err
	}
	return ChdirPath(ctx, p)
}

// ChdirPath is fchdir(2): p must be a directory that may be searched.
func ChdirPath(ctx *Context, p Path) error {
	if !p.Dentry.IsDir() {
		return abi.ENOTDIR
	}
	if err := Permission(ctx, p, MayExec); err != nil {
		return err
	}
	return ctx.FS.SetCwd(p)
}

// Chroot is chroot(2).
func Chroot(ctx *Context, name string) error {
	p, err := Lookup(ctx, ctx.FS.Cwd(), name, LookupFollow|LookupDirectory)
	if err != nil {
		return err
	}
	if err := Permission(ctx, p, MayExec); err != nil {
		return err
	}
	if !ctx.Creds.HasCap(abi.CAP_SYS_CHROOT) {
		return abi.EPERM
	}
	return ctx.FS.SetRoot(p)
}
