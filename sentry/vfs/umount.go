package vfs

import (
	"lazaret/syscalls/abi"
)

// UmountAt is umount2(2).
func UmountAt(ctx *Context, target string, flags uint32) error {
	if flags&^(abi.MNT_FORCE|abi.MNT_DETACH|abi.MNT_EXPIRE|abi.UMOUNT_NOFOLLOW) != 0 {
		return abi.EINVAL
	}
	if flags&abi.MNT_EXPIRE != 0 && flags&(abi.MNT_FORCE|abi.MNT_DETACH) != 0 {
		return abi.EINVAL
	}
	lf := LookupFollow
	if flags&abi.UMOUNT_NOFOLLOW != 0 {
		lf = 0
	}
	p, err := Lookup(ctx, ctx.FS.Cwd(), target, lf)
	if err != nil {
		return err
	}
	if err := mayMount(ctx); err != nil {
		return err
	}
	if p.Mount != nil { // "." and ".." too name what is mounted on them
		mounts.mu.RLock()
		p = topLocked(p)
		mounts.mu.RUnlock()
	}
	return Umount(ctx, p, flags)
}

// umountRoot is what umount2(2) of the caller's root does: its file system becomes
// read-only.
func umountRoot(ctx *Context, s *Super) error {
	switch {
	case !s.mayReconfigure(ctx):
		return abi.EPERM
	case s.ReadOnly():
		return nil
	}
	return s.reconfigure(ctx, s.Flags()|abi.MS_RDONLY, "")
}

// Umount unmounts the mount whose root is p.
func Umount(ctx *Context, p Path, flags uint32) error {
	if err := mountRoot(ctx, p); err != nil {
		return err
	}
	m := p.Mount
	if m == ctx.FS.Root().Mount && flags&abi.MNT_DETACH == 0 && flags&abi.MNT_EXPIRE == 0 {
		return umountRoot(ctx, m.super)
	}
	mounts.mu.Lock()
	list, err := umountLocked(m, flags)
	mounts.mu.Unlock()
	dropMounts(list)
	return err
}

func umountLocked(m *Mount, flags uint32) ([]*Mount, error) {
	ns := m.ns.Load()
	if m.locked || ns == nil {
		return nil, abi.EINVAL
	}
	if m == ns.root && flags&abi.MNT_DETACH == 0 {
		return nil, abi.EBUSY
	}
	if m == ns.root {
		return nil, abi.EINVAL
	}
	if flags&abi.MNT_DETACH == 0 {
		if len(m.children) > 0 || m.refs.Load() > 1 {
			return nil, abi.EBUSY
		}
		if flags&abi.MNT_EXPIRE != 0 && !m.expire {
			m.expire = true
			return nil, abi.EAGAIN
		}
	}
	list := propagateUmountLocked(m, nil)
	list = umountTreeLocked(m, list)
	ns.changed()
	return list, nil
}

// PivotRoot is pivot_root(2). fss are the FSInfos of the tasks in the mount namespace:
// roots and working directories at the old root move to the new one.
func PivotRoot(ctx *Context, newRoot, putOld Path, fss []*FSInfo) error {
	if err := mayMount(ctx); err != nil {
		return err
	}
	if !newRoot.Dentry.IsDir() || !putOld.Dentry.IsDir() {
		return abi.ENOTDIR
	}
	old := ctx.FS.Root()
	if !putOld.TryIncRef() {
		return abi.ENOENT
	}
	defer putOld.DecRef()
	if err := pivot(ctx, old, newRoot, putOld); err != nil {
		return err
	}
	for _, fs := range fss {
		fs.replace(old, newRoot)
	}
	return nil
}

func pivot(ctx *Context, old, newRoot, putOld Path) error {
	mounts.mu.Lock()
	defer mounts.mu.Unlock()
	ns := ctx.mountNS()
	nm, om := newRoot.Mount, old.Mount
	switch {
	case nm.ns.Load() != ns || om.ns.Load() != ns || putOld.Mount.ns.Load() != ns:
		return abi.EINVAL
	case newRoot.Dentry.Deleted():
		return abi.ENOENT
	case nm == om || putOld.Mount == om && !reachableLocked(putOld, newRoot):
		return abi.EBUSY
	case newRoot.Dentry != nm.root || old.Dentry != om.root:
		return abi.EINVAL
	case nm.place().Mount == nil || nm.locked:
		return abi.EINVAL
	case om.place().Mount != nil && om.place().Mount.group != nil,
		nm.place().Mount.group != nil, putOld.Mount.group != nil:
		return abi.EINVAL
	case !reachableLocked(putOld, newRoot) || !reachableLocked(newRoot, old):
		return abi.EINVAL
	}
	place := om.place()
	detachLocked(nm)
	if place.Mount != nil {
		detachLocked(om)
		attachLocked(om, putOld)
		attachLocked(nm, place)
	} else {
		ns.root = nm
		attachLocked(om, putOld)
	}
	ns.changed()
	return nil
}

// reachableLocked reports whether p is at or below root.
func reachableLocked(p, root Path) bool {
	for p.Mount != root.Mount {
		if p = p.Mount.place(); p.Mount == nil {
			return false
		}
	}
	return isAncestor(root.Dentry, p.Dentry)
}
