package vfs

import (
	"strings"

	"lazaret/syscalls/abi"
)

const (
	xattrNameMax = 255
	xattrSizeMax = 65536
	xattrCaps    = "security.capability"
)

// xattrPermission checks access to an attribute by its name space (xattr(7)).
func xattrPermission(ctx *Context, p Path, name string, mask uint32) error {
	if mask&MayWrite != 0 {
		if err := mayWriteMount(p); err != nil {
			return err
		}
	}
	d := p.Dentry
	switch {
	case strings.HasPrefix(name, "security."), strings.HasPrefix(name, "system."):
		return nil
	case strings.HasPrefix(name, "trusted."):
		if ctx.Creds.Effective.Has(abi.CAP_SYS_ADMIN) && ctx.Creds.UserNS.Parent == nil {
			return nil
		}
		if mask&MayWrite != 0 {
			return abi.EPERM
		}
		return abi.ENODATA
	case strings.HasPrefix(name, "user."):
		if d.typ != abi.S_IFREG && d.typ != abi.S_IFDIR {
			if mask&MayWrite != 0 {
				return abi.EPERM
			}
			return abi.ENODATA
		}
		mode, uid, _, err := perms(ctx, d.inode)
		if err != nil {
			return err
		}
		if d.IsDir() && mode&abi.S_ISVTX != 0 && mask&MayWrite != 0 && !ownerOrCapable(ctx.Creds, uid) {
			return abi.EPERM
		}
	}
	return inodePermission(ctx, d, mask)
}

// checkXattrName checks what the name itself allows to check.
func checkXattrName(name string) error {
	if name == "" || len(name) > xattrNameMax {
		return abi.ERANGE
	}
	return nil
}

// xattrOf finds the inode's attributes if it has those of name's name space.
func xattrOf(p Path, name string) (Xattrs, error) {
	x, ok := p.Inode().(Xattrs)
	if !ok {
		return nil, abi.EOPNOTSUPP
	}
	if isACL(name) {
		if p.Dentry.typ == abi.S_IFLNK {
			return nil, abi.EOPNOTSUPP
		}
		return x, nil
	}
	i := strings.IndexByte(name, '.')
	if i < 0 {
		return nil, abi.EOPNOTSUPP
	}
	switch name[:i] {
	case "user", "trusted", "security":
		if i+1 == len(name) {
			return nil, abi.EINVAL
		}
		return x, nil
	}
	return nil, abi.EOPNOTSUPP
}

// GetXattr is getxattr(2) without the size rules.
func GetXattr(ctx *Context, p Path, name string) ([]byte, error) {
	if err := checkXattrName(name); err != nil {
		return nil, err
	}
	if err := xattrPermission(ctx, p, name, MayRead); err != nil {
		return nil, err
	}
	x, err := xattrOf(p, name)
	if err != nil {
		return nil, err
	}
	if isACL(name) {
		return nil, abi.ENODATA
	}
	return x.GetXattr(ctx, name)
}

// SetXattr is setxattr(2).
func SetXattr(ctx *Context, p Path, name string, value []byte, flags int) error {
	if flags&^(abi.XATTR_CREATE|abi.XATTR_REPLACE) != 0 {
		return abi.EINVAL
	}
	if len(value) > xattrSizeMax {
		return abi.E2BIG
	}
	if err := mayWriteMount(p); err != nil {
		return err
	}
	if err := checkXattrName(name); err != nil {
		return err
	}
	if err := xattrMayWrite(ctx, p, name, value); err != nil {
		return err
	}
	x, err := xattrOf(p, name)
	if err != nil {
		return err
	}
	if isACL(name) {
		return setACL(ctx, p, name, value)
	}
	st := p.Dentry.state
	st.mu.Lock()
	err = x.SetXattr(ctx, name, value, flags)
	if name == xattrCaps {
		st.noCaps.Store(false)
	}
	st.mu.Unlock()
	if err == nil {
		notifyInode(p.Dentry, inAttrib)
	}
	return err
}

// RemoveXattr is removexattr(2).
func RemoveXattr(ctx *Context, p Path, name string) error {
	if err := mayWriteMount(p); err != nil {
		return err
	}
	if err := checkXattrName(name); err != nil {
		return err
	}
	if err := xattrMayWrite(ctx, p, name, nil); err != nil {
		return err
	}
	x, err := xattrOf(p, name)
	if err != nil {
		return err
	}
	if isACL(name) {
		return setACL(ctx, p, name, nil)
	}
	st := p.Dentry.state
	st.mu.Lock()
	err = x.RemoveXattr(ctx, name)
	st.mu.Unlock()
	if err == nil {
		notifyInode(p.Dentry, inAttrib)
	}
	return err
}

// xattrMayWrite adds the security module's rules to xattrPermission: file capabilities
// need CAP_SETFCAP, other security attributes CAP_SYS_ADMIN.
func xattrMayWrite(ctx *Context, p Path, name string, value []byte) error {
	if err := xattrPermission(ctx, p, name, MayWrite); err != nil {
		return err
	}
	if !strings.HasPrefix(name, "security.") {
		return nil
	}
	if name == xattrCaps {
		_, uid, gid, err := perms(ctx, p.Inode())
		if err != nil {
			return err
		}
		if value != nil && len(value) != 20 && len(value) != 24 {
			return abi.EINVAL
		}
		if !capOver(ctx.Creds, abi.CAP_SETFCAP, uid, gid) {
			return abi.EPERM
		}
		return nil
	}
	if !ctx.Creds.Effective.Has(abi.CAP_SYS_ADMIN) || ctx.Creds.UserNS.Parent != nil {
		return abi.EPERM
	}
	return nil
}

// ListXattr is listxattr(2): names that the caller may not see are left out.
func ListXattr(ctx *Context, p Path) ([]string, error) {
	x, ok := p.Inode().(Xattrs)
	if !ok {
		return nil, nil
	}
	names, err := x.ListXattr(ctx)
	if err != nil {
		return nil, err
	}
	if ctx.Creds.Effective.Has(abi.CAP_SYS_ADMIN) && ctx.Creds.UserNS.Parent == nil {
		return names, nil
	}
	var seen []string
	for _, n := range names {
		if !strings.HasPrefix(n, "trusted.") {
			seen = append(seen, n)
		}
	}
	return seen, nil
}

// dropFileCaps removes file capabilities from a file that changed owner.
// Preconditions: the inode is locked.
func dropFileCaps(ctx *Context, d *Dentry) error {
	if d.typ != abi.S_IFREG {
		return nil
	}
	x, ok := d.inode.(Xattrs)
	if !ok {
		return nil
	}
	if _, err := x.GetXattr(ctx, xattrCaps); err != nil { // none, usually
		return nil
	}
	switch err := x.RemoveXattr(ctx, xattrCaps); err {
	case nil, abi.ENODATA, abi.EOPNOTSUPP:
		return nil
	default:
		return err
	}
}
