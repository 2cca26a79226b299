package vfs

import (
	"lazaret/sentry/auth"
	"lazaret/syscalls/abi"
)

// Permission checks access (MayRead and so on) to p by the file system ids, with the
// read-only state of the mount for writing.
func Permission(ctx *Context, p Path, mask uint32) error {
	if mask&MayWrite != 0 {
		if t := p.Dentry.typ; t == abi.S_IFREG || t == abi.S_IFDIR || t == abi.S_IFLNK {
			if p.Dentry.super.ReadOnly() || p.Mount != nil && p.Mount.ReadOnly() {
				return abi.EROFS
			}
		}
	}
	if mask&MayExec != 0 && p.Mount != nil && p.Dentry.typ == abi.S_IFREG && p.Mount.flags.Load()&abi.MS_NOEXEC != 0 {
		return abi.EACCES
	}
	return inodePermission(ctx, p.Dentry, mask)
}

// inodePermission checks access to d's inode without regard to mounts.
func inodePermission(ctx *Context, d *Dentry, mask uint32) error {
	if d.flags.Load()&dPermitter != 0 {
		return d.inode.(Permitter).Permission(ctx, mask)
	}
	c := ctx.Creds
	if d.typ == abi.S_IFDIR && c.UserNS.Parent == nil && c.Effective.Has(abi.CAP_DAC_OVERRIDE) {
		return nil // all ids are mapped in the initial namespace
	}
	mode, uid, gid, err := perms(ctx, d.inode)
	if err != nil {
		return err
	}
	return CheckMode(c, mode, uid, gid, mask)
}

// CheckMode is generic_permission: it decides by mode and owner, then capabilities.
func CheckMode(c *auth.Creds, mode uint32, uid auth.KUID, gid auth.KGID, mask uint32) error {
	mask &= MayRead | MayWrite | MayExec
	bits := mode
	switch {
	case c.FSUID == uid:
		bits >>= 6
	case (bits>>3^bits)&7 != 0 && c.InGroup(gid): // group and others may differ
		bits >>= 3
	}
	if mask&^bits == 0 {
		return nil
	}
	if mode&abi.S_IFMT == abi.S_IFDIR {
		if mask&MayWrite == 0 && capOver(c, abi.CAP_DAC_READ_SEARCH, uid, gid) {
			return nil
		}
		if capOver(c, abi.CAP_DAC_OVERRIDE, uid, gid) {
			return nil
		}
		return abi.EACCES
	}
	if mask == MayRead && capOver(c, abi.CAP_DAC_READ_SEARCH, uid, gid) {
		return nil
	}
	if (mask&MayExec == 0 || mode&0o111 != 0) && capOver(c, abi.CAP_DAC_OVERRIDE, uid, gid) {
		return nil
	}
	return abi.EACCES
}

// capOver reports whether c has capability cp over an inode owned by uid and gid: in its
// own user namespace, in which both ids must be mapped.
func capOver(c *auth.Creds, cp int, uid auth.KUID, gid auth.KGID) bool {
	if !c.Effective.Has(cp) {
		return false
	}
	return idsMapped(c.UserNS, uid, gid)
}

func idsMapped(ns *auth.UserNamespace, uid auth.KUID, gid auth.KGID) bool {
	if ns.Parent == nil {
		return true
	}
	return uidMapped(ns, uid) && gidMapped(ns, gid)
}

// uidMapped reports whether ns has a name for u. UID gives the overflow id for those
// without, which may itself be mapped: then it must lead back to u.
func uidMapped(ns *auth.UserNamespace, u auth.KUID) bool {
	k, ok := ns.KUID(ns.UID(u))
	return ok && k == u
}

func gidMapped(ns *auth.UserNamespace, g auth.KGID) bool {
	k, ok := ns.KGID(ns.GID(g))
	return ok && k == g
}

// ownerOrCapable reports whether the caller owns the inode or has CAP_FOWNER over it.
func ownerOrCapable(c *auth.Creds, uid auth.KUID) bool {
	if c.FSUID == uid {
		return true
	}
	return c.Effective.Has(abi.CAP_FOWNER) && (c.UserNS.Parent == nil || uidMapped(c.UserNS, uid))
}

// mayWriteMount fails with EROFS when nothing may be changed through m.
func mayWriteMount(p Path) error {
	if p.Dentry.super.ReadOnly() || p.Mount != nil && p.Mount.ReadOnly() {
		return abi.EROFS
	}
	return nil
}

// mayCreate checks that names may be made in dir.
func mayCreate(ctx *Context, dir *Dentry) error {
	if dir.Deleted() {
		return abi.ENOENT
	}
	if ns := ctx.Creds.UserNS; ns.Parent != nil {
		if !uidMapped(ns, ctx.Creds.FSUID) || !gidMapped(ns, ctx.Creds.FSGID) {
			return abi.EOVERFLOW
		}
	}
	return inodePermission(ctx, dir, MayWrite|MayExec)
}

// mayDelete checks that victim may be removed from dir (sticky directories too).
func mayDelete(ctx *Context, dir, victim *Dentry) error {
	if err := inodePermission(ctx, dir, MayWrite|MayExec); err != nil {
		return err
	}
	mode, uid, _, err := perms(ctx, dir.inode)
	if err != nil {
		return err
	}
	if mode&abi.S_ISVTX == 0 || ctx.Creds.FSUID == uid {
		return nil
	}
	_, vuid, vgid, err := perms(ctx, victim.inode)
	if err != nil {
		return err
	}
	if ctx.Creds.FSUID == vuid || capOver(ctx.Creds, abi.CAP_FOWNER, vuid, vgid) {
		return nil
	}
	return abi.EPERM
}

// Access is access(2) and faccessat2(2) at p with the creds of ctx; the caller has put
// the real ids in place of the file system ids unless AT_EACCESS was given.
func Access(ctx *Context, p Path, mask uint32) error {
	if mask == 0 {
		return nil
	}
	return Permission(ctx, p, mask)
}
