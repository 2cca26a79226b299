package proc

import (
	"encoding/binary"

	"lazaret/sentry/auth"
	"lazaret/sentry/kernel"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Ioctl implements vfs.Ioctler (ioctl_ns(2)).
func (f *NSFile) Ioctl(ctx *vfs.Context, file *vfs.File, cmd uint32, arg uint64, mem uio.Memory) (uint64, error) {
	i, ok := file.Inode.(*nsInode)
	if !ok {
		return 0, abi.ENOTTY
	}
	switch cmd {
	case abi.NS_GET_NSTYPE:
		return uint64(f.Kind()), nil
	case abi.NS_GET_OWNER_UID:
		if f.ns.user == nil {
			return 0, abi.EINVAL
		}
		var b [4]byte
		binary.LittleEndian.PutUint32(b[:], ctx.Creds.UserNS.UID(f.ns.user.Owner))
		return 0, mem.CopyOut(abi.Addr(arg), b[:])
	case abi.NS_GET_USERNS, abi.NS_GET_PARENT:
		ns, typ, err := f.related(ctx, cmd)
		if err != nil {
			return 0, err
		}
		return i.sys.openNS(ctx, ns, typ)
	}
	return 0, abi.ENOTTY
}

// related returns the owning or the parent namespace; EPERM if the caller is below it.
func (f *NSFile) related(ctx *vfs.Context, cmd uint32) (namespace, string, error) {
	if cmd == abi.NS_GET_PARENT && f.ns.user == nil {
		p, ok := f.ns.any.(*kernel.PIDNamespace)
		me := taskOf(ctx)
		switch {
		case !ok:
			return namespace{}, "", abi.EINVAL
		case p.Parent == nil || me == nil || !me.PIDNS().IsAncestor(p.Parent):
			return namespace{}, "", abi.EPERM
		}
		return namespace{any: p.Parent}, "pid", nil
	}
	var u *auth.UserNamespace
	if f.ns.user != nil {
		u = f.ns.user.Parent
	} else {
		u = f.ns.any.Info().UserNS
	}
	if u == nil || !ctx.Creds.UserNS.IsAncestorOf(u) {
		return namespace{}, "", abi.EPERM
	}
	return namespace{user: u}, "user", nil
}

// openNS gives the caller a descriptor of a namespace.
func (s *System) openNS(ctx *vfs.Context, ns namespace, typ string) (uint64, error) {
	t := taskOf(ctx)
	if t == nil {
		return 0, abi.EPERM
	}
	p, err := s.nsPath(ctx, ns, typ)
	if err != nil {
		return 0, err
	}
	file, err := vfs.OpenPath(ctx, p, abi.O_RDONLY)
	if err != nil {
		return 0, err
	}
	fd, err := t.Files().Alloc(0, file, true, t.ThreadGroup().Limit(abi.RLIMIT_NOFILE).Cur)
	if err != nil {
		file.DecRef()
		return 0, err
	}
	return uint64(fd), nil
}
