package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// maxFSString bounds names and values of fsconfig(2), with the NUL.
const maxFSString = 256

func copyFSString(t *kernel.Task, addr abi.Addr) (string, error) {
	s, err := t.MM().CopyInString(addr, maxFSString)
	if err == abi.ENAMETOOLONG {
		err = abi.EINVAL
	}
	return s, err
}

// Fsopen is fsopen(2).
func Fsopen(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Uint(1)&^abi.FSOPEN_CLOEXEC != 0 {
		return 0, abi.EINVAL
	}
	fstype, err := t.MM().CopyInString(a.Addr(0), abi.PageSize)
	if err != nil {
		return 0, err
	}
	f, err := vfs.Fsopen(t.Ctx(), fstype)
	if err != nil {
		return 0, err
	}
	return install(t, f, a.Uint(1)&abi.FSOPEN_CLOEXEC != 0)
}

// Fspick is fspick(2).
func Fspick(t *kernel.Task, a *abi.Args) (uint64, error) {
	flags := a.Uint(2)
	if flags&^(abi.FSPICK_CLOEXEC|abi.FSPICK_SYMLINK_NOFOLLOW|abi.FSPICK_NO_AUTOMOUNT|abi.FSPICK_EMPTY_PATH) != 0 {
		return 0, abi.EINVAL
	}
	lf := pathFlags(flags&abi.FSPICK_SYMLINK_NOFOLLOW != 0, flags&abi.FSPICK_EMPTY_PATH != 0)
	p, s, err := lookupAt(t, a.Int(0), a.Addr(1), lf, lf)
	if err != nil {
		return 0, err
	}
	defer s.done()
	f, err := vfs.Fspick(t.Ctx(), p)
	if err != nil {
		return 0, err
	}
	return install(t, f, flags&abi.FSPICK_CLOEXEC != 0)
}

// pathFlags makes AT_* flags of what the mount calls have flags of their own for.
func pathFlags(nofollow, empty bool) int32 {
	var f int32
	if nofollow {
		f |= abi.AT_SYMLINK_NOFOLLOW
	}
	if empty {
		f |= abi.AT_EMPTY_PATH
	}
	return f
}

// Fsconfig is fsconfig(2).
func Fsconfig(t *kernel.Task, a *abi.Args) (uint64, error) {
	cmd, key, value, aux := a.Uint(1), a.Addr(2), a.Addr(3), a.Int(4)
	bad := false
	switch cmd {
	case abi.FSCONFIG_SET_FLAG:
		bad = key == 0 || value != 0 || aux != 0
	case abi.FSCONFIG_SET_STRING:
		bad = key == 0 || value == 0 || aux != 0
	case abi.FSCONFIG_SET_PATH, abi.FSCONFIG_SET_PATH_EMPTY:
		bad = key == 0 || value == 0 || aux != abi.AT_FDCWD && aux < 0
	case abi.FSCONFIG_SET_BINARY, abi.FSCONFIG_SET_FD:
		bad = key == 0
	case abi.FSCONFIG_CMD_CREATE, abi.FSCONFIG_CMD_CREATE_EXCL, abi.FSCONFIG_CMD_RECONFIGURE:
		bad = key != 0 || value != 0 || aux != 0
	default:
		return 0, abi.EOPNOTSUPP
	}
	if bad {
		return 0, abi.EINVAL
	}
	f, err := getIOFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	if cmd == abi.FSCONFIG_SET_FD {
		o, err := getFile(t, aux)
		if err != nil {
			return 0, err
		}
		o.DecRef()
	}
	k, v, err := fsconfigStrings(t, cmd, key, value)
	if err != nil {
		return 0, err
	}
	return done0(vfs.Fsconfig(t.Ctx(), f, cmd, k, v))
}

func fsconfigStrings(t *kernel.Task, cmd uint32, key, value abi.Addr) (k, v string, err error) {
	if key != 0 {
		if k, err = copyFSString(t, key); err != nil {
			return "", "", err
		}
	}
	switch cmd {
	case abi.FSCONFIG_SET_STRING:
		v, err = copyFSString(t, value)
	case abi.FSCONFIG_SET_PATH, abi.FSCONFIG_SET_PATH_EMPTY:
		v, err = copyPath(t, value)
	}
	return k, v, err
}

// Fsmount is fsmount(2).
func Fsmount(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Uint(1)&^abi.FSMOUNT_CLOEXEC != 0 {
		return 0, abi.EINVAL
	}
	f, err := getIOFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	m, err := vfs.Fsmount(t.Ctx(), f, uint64(a.Uint(2)))
	if err != nil {
		return 0, err
	}
	return install(t, m, a.Uint(1)&abi.FSMOUNT_CLOEXEC != 0)
}

// OpenTree is open_tree(2).
func OpenTree(t *kernel.Task, a *abi.Args) (uint64, error) {
	const walk = abi.AT_EMPTY_PATH | abi.AT_SYMLINK_NOFOLLOW | abi.AT_NO_AUTOMOUNT
	flags := a.Uint(2)
	if flags&^(walk|abi.AT_RECURSIVE|abi.OPEN_TREE_CLONE|abi.OPEN_TREE_CLOEXEC) != 0 ||
		flags&(abi.AT_RECURSIVE|abi.OPEN_TREE_CLONE) == abi.AT_RECURSIVE {
		return 0, abi.EINVAL
	}
	p, s, err := lookupAt(t, a.Int(0), a.Addr(1), int32(flags&walk), walk)
	if err != nil {
		return 0, err
	}
	defer s.done()
	var f *vfs.File
	if flags&abi.OPEN_TREE_CLONE != 0 {
		f, err = vfs.OpenTree(t.Ctx(), p, flags&abi.AT_RECURSIVE != 0)
	} else {
		f, err = vfs.OpenPath(t.Ctx(), p, abi.O_PATH)
	}
	if err != nil {
		return 0, err
	}
	return install(t, f, flags&abi.OPEN_TREE_CLOEXEC != 0)
}

// MoveMount is move_mount(2).
func MoveMount(t *kernel.Task, a *abi.Args) (uint64, error) {
	flags := a.Uint(4)
	if flags&^(abi.MOVE_MOUNT__MASK&^abi.MOVE_MOUNT_SET_GROUP) != 0 {
		return 0, abi.EINVAL
	}
	lf := pathFlags(flags&abi.MOVE_MOUNT_F_SYMLINKS == 0, flags&abi.MOVE_MOUNT_F_EMPTY_PATH != 0)
	from, sf, err := lookupAt(t, a.Int(0), a.Addr(1), lf, lf)
	if err != nil {
		return 0, err
	}
	defer sf.done()
	lf = pathFlags(flags&abi.MOVE_MOUNT_T_SYMLINKS == 0, flags&abi.MOVE_MOUNT_T_EMPTY_PATH != 0)
	to, st, err := lookupAt(t, a.Int(2), a.Addr(3), lf, lf)
	if err != nil {
		return 0, err
	}
	defer st.done()
	return done0(vfs.MoveMountTo(t.Ctx(), from, to))
}

// mountAttr is struct mount_attr.
type mountAttr struct{ Set, Clear, Propagation, UserNSFD uint64 }

// MountSetattr is mount_setattr(2).
func MountSetattr(t *kernel.Task, a *abi.Args) (uint64, error) {
	const walk = abi.AT_EMPTY_PATH | abi.AT_SYMLINK_NOFOLLOW | abi.AT_NO_AUTOMOUNT
	flags, size := a.Uint(2), a.Size(4)
	var m mountAttr
	if flags&^(walk|abi.AT_RECURSIVE) != 0 || size < uint64(len(abi.Bytes(&m))) {
		return 0, abi.EINVAL
	}
	if err := copyInSized(t, a.Addr(3), size, abi.Bytes(&m)); err != nil {
		return 0, err
	}
	if m.Set == 0 && m.Clear == 0 && m.Propagation == 0 {
		return 0, nil
	}
	if m.Propagation > 0xffffffff {
		return 0, abi.EINVAL
	}
	p, s, err := lookupAt(t, a.Int(0), a.Addr(1), int32(flags&walk), walk)
	if err != nil {
		return 0, err
	}
	defer s.done()
	return done0(vfs.MountSetattr(t.Ctx(), p, m.Set, m.Clear, uint32(m.Propagation), flags&abi.AT_RECURSIVE != 0))
}
