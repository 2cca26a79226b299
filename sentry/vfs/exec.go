package vfs

import (
	"lazaret/sentry/auth"
	"lazaret/syscalls/abi"
)

// OpenExec opens what is at p as a program (execve(2)): a regular file that may be
// executed, on a mount that allows it, which need not be readable. EACCES otherwise. While
// the file is open nobody can write to it (ETXTBSY).
func OpenExec(ctx *Context, p Path) (*File, error) {
	d := p.Dentry
	if d.inode == nil {
		return nil, abi.ENOENT
	}
	if d.typ == abi.S_IFLNK {
		return nil, abi.ELOOP
	}
	if d.typ != abi.S_IFREG {
		return nil, abi.EACCES
	}
	if err := Permission(ctx, p, MayExec); err != nil {
		return nil, err
	}
	if !p.TryIncRef() {
		return nil, abi.ENOENT
	}
	if err := d.state.denyWrite(); err != nil {
		p.DecRef()
		return nil, err
	}
	f, err := openPinned(ctx, p, abi.O_RDONLY)
	if err != nil {
		d.state.allowWrite()
		p.DecRef()
		return nil, err
	}
	f.Mode |= modeExec
	return f, nil
}

// ExecFile returns what the rights of the program in f depend on, and whether the caller
// may read it (a program that it may not read is not dumpable).
func ExecFile(ctx *Context, f *File) (info auth.ExecFile, readable bool, err error) {
	mode, uid, gid, err := perms(ctx, f.Inode)
	if err != nil {
		return info, false, err
	}
	info = auth.ExecFile{Mode: mode &^ abi.S_IFMT, UID: uid, GID: gid}
	if m := f.Path.Mount; m != nil && m.Flags()&abi.MS_NOSUID != 0 {
		info.NoSUID = true
	}
	if x, ok := f.Inode.(Xattrs); ok && !info.NoSUID {
		if v, err := x.GetXattr(ctx, "security.capability"); err == nil {
			if caps, ok := auth.ParseFileCaps(v); ok {
				info.Caps = caps
			}
		}
	}
	return info, inodePermission(ctx, f.Path.Dentry, MayRead) == nil, nil
}
