package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

var xattrRows = []Row{
	full(abi.SYS_GETXATTR, "getxattr", onPath(abi.AT_SYMLINK_FOLLOW, getXattr), Path, Path, Buf, Hex),
	full(abi.SYS_LGETXATTR, "lgetxattr", onPath(0, getXattr), Path, Path, Buf, Hex),
	full(abi.SYS_FGETXATTR, "fgetxattr", onFD(getXattr), FD, Path, Buf, Hex),
	partial(abi.SYS_SETXATTR, "setxattr", onPath(abi.AT_SYMLINK_FOLLOW, setXattr), aclGap, Path, Path, Buf, Hex, Hex),
	partial(abi.SYS_LSETXATTR, "lsetxattr", onPath(0, setXattr), aclGap, Path, Path, Buf, Hex, Hex),
	partial(abi.SYS_FSETXATTR, "fsetxattr", onFD(setXattr), aclGap, FD, Path, Buf, Hex, Hex),
	full(abi.SYS_LISTXATTR, "listxattr", onPath(abi.AT_SYMLINK_FOLLOW, listXattr), Path, Buf, Hex),
	full(abi.SYS_LLISTXATTR, "llistxattr", onPath(0, listXattr), Path, Buf, Hex),
	full(abi.SYS_FLISTXATTR, "flistxattr", onFD(listXattr), FD, Buf, Hex),
	full(abi.SYS_REMOVEXATTR, "removexattr", onPath(abi.AT_SYMLINK_FOLLOW, removeXattr), Path, Path),
	full(abi.SYS_LREMOVEXATTR, "lremovexattr", onPath(0, removeXattr), Path, Path),
	full(abi.SYS_FREMOVEXATTR, "fremovexattr", onFD(removeXattr), FD, Path),
}

// aclGap is what setting of attributes lacks.
const aclGap = "access lists that say more than a mode are refused"

// onPath and onFD make handlers of an operation on a file that is named by path, whose
// last symlink is followed or not, or by descriptor.
func onPath(follow int32, op func(*kernel.Task, vfs.Path, *abi.Args) (uint64, error)) Handler {
	return func(t *kernel.Task, a *abi.Args) (uint64, error) {
		flags := int32(abi.AT_SYMLINK_NOFOLLOW)
		if follow != 0 {
			flags = 0
		}
		p, s, err := lookupAt(t, abi.AT_FDCWD, a.Addr(0), flags, abi.AT_SYMLINK_NOFOLLOW)
		if err != nil {
			return 0, err
		}
		defer s.done()
		return op(t, p, a)
	}
}

func onFD(op func(*kernel.Task, vfs.Path, *abi.Args) (uint64, error)) Handler {
	return func(t *kernel.Task, a *abi.Args) (uint64, error) {
		f, err := getIOFile(t, a.Int(0))
		if err != nil {
			return 0, err
		}
		defer f.DecRef()
		return op(t, f.Path, a)
	}
}

// xattrName copies in the name of an attribute: 1 to 255 bytes.
func xattrName(t *kernel.Task, addr abi.Addr) (string, error) {
	s, err := t.MM().CopyInString(addr, abi.XATTR_NAME_MAX+1)
	if err == abi.ENAMETOOLONG || err == nil && s == "" {
		return "", abi.ERANGE
	}
	return s, err
}

func getXattr(t *kernel.Task, p vfs.Path, a *abi.Args) (uint64, error) {
	name, err := xattrName(t, a.Addr(1))
	if err != nil {
		return 0, err
	}
	v, err := vfs.GetXattr(t.Ctx(), p, name)
	if err != nil {
		return 0, err
	}
	return sizedOut(t, a.Addr(2), a.Size(3), v)
}

// sizedOut copies out data that must fit into size bytes; size 0 asks for the length.
func sizedOut(t *kernel.Task, addr abi.Addr, size uint64, data []byte) (uint64, error) {
	if size == 0 {
		return uint64(len(data)), nil
	}
	if uint64(len(data)) > size {
		return 0, abi.ERANGE
	}
	return uint64(len(data)), t.MM().CopyOut(addr, data)
}

func setXattr(t *kernel.Task, p vfs.Path, a *abi.Args) (uint64, error) {
	if a.Uint(4)&^(abi.XATTR_CREATE|abi.XATTR_REPLACE) != 0 {
		return 0, abi.EINVAL
	}
	name, err := xattrName(t, a.Addr(1))
	if err != nil {
		return 0, err
	}
	if a.Size(3) > abi.XATTR_SIZE_MAX {
		return 0, abi.E2BIG
	}
	v := make([]byte, a.Size(3))
	if err := t.MM().CopyIn(a.Addr(2), v); err != nil {
		return 0, err
	}
	return done0(vfs.SetXattr(t.Ctx(), p, name, v, int(a.Uint(4))))
}

func listXattr(t *kernel.Task, p vfs.Path, a *abi.Args) (uint64, error) {
	names, err := vfs.ListXattr(t.Ctx(), p)
	if err != nil {
		return 0, err
	}
	var data []byte
	for _, n := range names {
		data = append(append(data, n...), 0)
	}
	if len(data) > abi.XATTR_LIST_MAX {
		return 0, abi.E2BIG
	}
	return sizedOut(t, a.Addr(1), a.Size(2), data)
}

func removeXattr(t *kernel.Task, p vfs.Path, a *abi.Args) (uint64, error) {
	name, err := xattrName(t, a.Addr(1))
	if err != nil {
		return 0, err
	}
	return done0(vfs.RemoveXattr(t.Ctx(), p, name))
}
