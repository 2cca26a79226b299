package vfs

import (
	"lazaret/syscalls/abi"
)

const propagationFlags = abi.MS_SHARED | abi.MS_PRIVATE | abi.MS_SLAVE | abi.MS_UNBINDABLE

// MountAt is mount(2): flags decide whether it mounts, binds, moves, remounts or changes
// propagation. source and data may be empty.
func MountAt(ctx *Context, fstype, source, target string, flags uint64, data string) error {
	if flags&abi.MS_MGC_MSK == abi.MS_MGC_VAL {
		flags &^= abi.MS_MGC_MSK
	}
	p, err := Lookup(ctx, ctx.FS.Cwd(), target, LookupFollow)
	if err != nil {
		return err
	}
	if err := mayMount(ctx); err != nil {
		return err
	}
	fl := uint32(flags)
	switch {
	case fl&(abi.MS_REMOUNT|abi.MS_BIND) == abi.MS_REMOUNT|abi.MS_BIND:
		return Remount(ctx, p, fl)
	case fl&abi.MS_REMOUNT != 0:
		return RemountSuper(ctx, p, fl, data)
	case source == "" && (fl&abi.MS_BIND != 0 || fl&(abi.MS_MOVE|propagationFlags) == abi.MS_MOVE):
		return abi.EINVAL
	case fl&abi.MS_BIND != 0:
		from, err := Lookup(ctx, ctx.FS.Cwd(), source, LookupFollow)
		if err != nil {
			return err
		}
		return Bind(ctx, from, p, fl&abi.MS_REC != 0)
	case fl&propagationFlags != 0:
		return SetPropagation(ctx, p, fl)
	case fl&abi.MS_MOVE != 0:
		from, err := Lookup(ctx, ctx.FS.Cwd(), source, LookupFollow)
		if err != nil {
			return err
		}
		return MoveMount(ctx, from, p)
	}
	s, err := NewMountSuper(ctx, fstype, &MountSpec{Source: source, Data: data, Flags: fl})
	if err != nil {
		return err
	}
	return MountSuper(ctx, s, p, source, fl)
}

// mayMount checks for CAP_SYS_ADMIN over the mount namespace.
func mayMount(ctx *Context) error {
	ns := ctx.mountNS()
	if ns == nil || !ctx.Creds.HasCapIn(abi.CAP_SYS_ADMIN, ns.UserNS) {
		return abi.EPERM
	}
	return nil
}

// NewMountSuper makes or finds an instance of a file system by its type's name.
func NewMountSuper(ctx *Context, fstype string, spec *MountSpec) (*Super, error) {
	if fstype == "" {
		return nil, abi.EINVAL
	}
	t := LookupFileSystem(fstype)
	if t == nil {
		return nil, abi.ENODEV
	}
	if ctx.Creds.UserNS.Parent != nil {
		if u, ok := t.(UserNSMountable); !ok || !u.UserNSMount() {
			return nil, abi.EPERM
		}
	}
	s, err := t.NewSuper(ctx, spec)
	if err != nil {
		return nil, err
	}
	if spec.Flags&abi.MS_RDONLY != 0 && s.mounts.Load() == 0 {
		s.SetFlags(s.Flags() | abi.MS_RDONLY)
	}
	return s, nil
}

// discard ends a new super block that was not mounted after all.
func (s *Super) discard() {
	s.get()
	s.put()
}

// MountSuper mounts s on p, for file systems that the kernel set up itself too. flags
// are MS_* of the mount. A super block that cannot be mounted is ended.
func MountSuper(ctx *Context, s *Super, p Path, source string, flags uint32) error {
	userns := ctx.Creds.UserNS
	fl := atimeDefault(flags) & perMount
	if s.UserNS != nil && s.UserNS.Parent != nil {
		fl |= abi.MS_NODEV
	}
	m, err := newMount(ctx.Account, s.root, source, fl, userns)
	if err != nil {
		s.discard()
		return err
	}
	err = graft(ctx, m, p)
	if err != nil {
		m.decRef()
	}
	return err
}

// graft attaches a new mount or tree at p, with propagation.
func graft(ctx *Context, m *Mount, p Path) error {
	if p.Dentry.IsDir() != m.root.IsDir() {
		return abi.ENOTDIR
	}
	if !p.TryIncRef() {
		return abi.ENOENT
	}
	defer p.DecRef()
	mounts.mu.Lock()
	defer mounts.mu.Unlock()
	p = topLocked(p)
	if p.Mount.ns.Load() != ctx.mountNS() {
		return abi.EINVAL
	}
	if p.Dentry.Deleted() {
		return abi.ENOENT
	}
	// The same file system on the same place twice is refused (mount(2), EBUSY).
	if p.Mount.super == m.super && p.Dentry == p.Mount.root && m.root == p.Dentry && m.place().Mount == nil {
		return abi.EBUSY
	}
	return propagateLocked(m, p)
}

// topLocked goes to the topmost mount on p.
func topLocked(p Path) Path {
	for {
		m := mounts.at[p]
		if m == nil {
			return p
		}
		p = Path{m, m.root}
	}
}

// Bind mounts what is at from on to as well; recursive takes mounts below along.
func Bind(ctx *Context, from, to Path, recursive bool) error {
	m, err := cloneFrom(ctx, from, recursive)
	if err != nil {
		return err
	}
	if err := graftBind(ctx, m, to); err != nil {
		dropTree(m)
		return err
	}
	return nil
}

func graftBind(ctx *Context, m *Mount, to Path) error {
	if to.Dentry.IsDir() != m.root.IsDir() {
		return abi.ENOTDIR
	}
	if !to.TryIncRef() {
		return abi.ENOENT
	}
	defer to.DecRef()
	mounts.mu.Lock()
	defer mounts.mu.Unlock()
	to = topLocked(to)
	if to.Mount.ns.Load() != ctx.mountNS() {
		return abi.EINVAL
	}
	if to.Dentry.Deleted() {
		return abi.ENOENT
	}
	return propagateLocked(m, to)
}

// dropTree takes down a tree that is not attached.
func dropTree(m *Mount) {
	mounts.mu.Lock()
	list := umountTreeLocked(m, nil)
	mounts.mu.Unlock()
	dropMounts(list)
}

// cloneFrom copies the mount at from, with root from, for a bind.
func cloneFrom(ctx *Context, from Path, recursive bool) (*Mount, error) {
	mounts.mu.Lock()
	defer mounts.mu.Unlock()
	if ns := from.Mount.ns.Load(); ns != ctx.mountNS() && ns != nil {
		return nil, abi.EINVAL
	}
	if from.Mount.unbindable {
		return nil, abi.EINVAL
	}
	if !recursive {
		for _, c := range from.Mount.children {
			if c.locked && isAncestor(from.Dentry, c.place().Dentry) {
				return nil, abi.EINVAL
			}
		}
		m, err := cloneLocked(ctx.Account, from.Mount, from.Dentry, cloneBind)
		return m, err
	}
	return cloneTreeLocked(ctx.Account, from.Mount, from.Dentry, cloneBind, func(m *Mount) bool { return m.unbindable }, nil)
}

// mountRoot checks that p is the root of a mount in the caller's namespace.
func mountRoot(ctx *Context, p Path) error {
	if p.Dentry != p.Mount.root || p.Mount.ns.Load() != ctx.mountNS() {
		return abi.EINVAL
	}
	return nil
}

// lockable are the flags that a less privileged namespace must not clear.
const lockable = abi.MS_RDONLY | abi.MS_NOSUID | abi.MS_NODEV | abi.MS_NOEXEC

// Remount changes the flags of the mount at p (MS_REMOUNT | MS_BIND).
func Remount(ctx *Context, p Path, flags uint32) error {
	if err := mountRoot(ctx, p); err != nil {
		return err
	}
	mounts.mu.Lock()
	defer mounts.mu.Unlock()
	return setMountFlagsLocked(p.Mount, flags)
}

func setMountFlagsLocked(m *Mount, flags uint32) error {
	atime := uint32(abi.MS_NOATIME | abi.MS_NODIRATIME | abi.MS_RELATIME | abi.MS_STRICTATIME)
	old := m.flags.Load()
	if flags&atime == 0 {
		flags |= old & atime // mount(2): without any, they stay
	} else {
		flags = atimeDefault(flags)
	}
	if m.lockFlags&^flags != 0 {
		return abi.EPERM
	}
	if flags&^old&abi.MS_RDONLY != 0 && m.writes.Load() > 0 {
		return abi.EBUSY
	}
	m.flags.Store(flags & perMount)
	if ns := m.ns.Load(); ns != nil {
		ns.changed()
	}
	return nil
}

// mayReconfigure reports whether ctx may change flags and options of the file system.
func (s *Super) mayReconfigure(ctx *Context) bool {
	if s.UserNS == nil {
		return ctx.Creds.UserNS.Parent == nil
	}
	return ctx.Creds.HasCapIn(abi.CAP_SYS_ADMIN, s.UserNS)
}

// reconfigure gives the file system new options, of which flags are MS_RDONLY alone.
func (s *Super) reconfigure(ctx *Context, flags uint32, data string) error {
	if flags&abi.MS_RDONLY != 0 && !s.ReadOnly() && s.writes.Load() > 0 {
		return abi.EBUSY
	}
	if r, ok := s.FS.(Remounter); ok {
		if err := r.Remount(ctx, flags, data); err != nil {
			return err
		}
	}
	s.SetFlags(s.Flags()&^abi.MS_RDONLY | flags&abi.MS_RDONLY)
	return nil
}

// RemountSuper is MS_REMOUNT: flags and options of the file system and the mount.
func RemountSuper(ctx *Context, p Path, flags uint32, data string) error {
	if err := mountRoot(ctx, p); err != nil {
		return err
	}
	s := p.Mount.super
	if !s.mayReconfigure(ctx) {
		return abi.EPERM
	}
	if err := s.reconfigure(ctx, flags, data); err != nil {
		return err
	}
	mounts.mu.Lock()
	defer mounts.mu.Unlock()
	return setMountFlagsLocked(p.Mount, flags)
}

// SetPropagation changes how mount events spread from and to the mount at p: flags is
// one of MS_SHARED, MS_PRIVATE, MS_SLAVE and MS_UNBINDABLE, with MS_REC.
func SetPropagation(ctx *Context, p Path, flags uint32) error {
	typ := flags & propagationFlags
	if typ&(typ-1) != 0 || flags&^(propagationFlags|abi.MS_REC|abi.MS_SILENT) != 0 {
		return abi.EINVAL
	}
	if err := mountRoot(ctx, p); err != nil {
		return err
	}
	mounts.mu.Lock()
	defer mounts.mu.Unlock()
	if flags&abi.MS_REC != 0 {
		eachLocked(p.Mount, func(m *Mount) { setPropagationLocked(m, typ) })
	} else {
		setPropagationLocked(p.Mount, typ)
	}
	return nil
}

// MoveMount moves the mount at from, with all below, to to (MS_MOVE).
func MoveMount(ctx *Context, from, to Path) error {
	if from.Dentry != from.Mount.root {
		return abi.EINVAL
	}
	if from.Dentry.IsDir() != to.Dentry.IsDir() {
		return abi.EINVAL // not ENOTDIR, as for a new mount
	}
	if !to.TryIncRef() {
		return abi.ENOENT
	}
	defer to.DecRef()
	mounts.mu.Lock()
	defer mounts.mu.Unlock()
	to = topLocked(to)
	m := from.Mount
	ns := ctx.mountNS()
	parent := m.place().Mount
	if to.Mount.ns.Load() != ns || m.locked {
		return abi.EINVAL
	}
	if own := m.ns.Load(); own != ns && own != nil {
		return abi.EINVAL
	}
	if m.ns.Load() == ns {
		if parent == nil || parent.group != nil {
			return abi.EINVAL
		}
	}
	for p := to.Mount; p != nil; p = p.place().Mount {
		if p == m {
			return abi.ELOOP
		}
	}
	if to.Mount.group != nil && hasUnbindableLocked(m) {
		return abi.EINVAL
	}
	back := m.place()
	detachLocked(m)
	setNSLocked(m, nil)
	err := propagateLocked(m, to)
	if err != nil && back.Mount != nil {
		setNSLocked(m, ns)
		attachLocked(m, back)
	}
	return err
}

func hasUnbindableLocked(m *Mount) bool {
	found := false
	eachLocked(m, func(c *Mount) { found = found || c.unbindable })
	return found
}
