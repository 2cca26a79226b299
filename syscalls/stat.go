package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

var statRows = []Row{
	full(abi.SYS_FSTAT, "fstat", Fstat, FD, Buf),
	full(abi.SYS_NEWFSTATAT, "newfstatat", Newfstatat, FD, Path, Buf, Hex),
	full(abi.SYS_STATX, "statx", Statx, FD, Path, Hex, Hex, Buf),
	full(abi.SYS_STATFS, "statfs", Statfs, Path, Buf),
	full(abi.SYS_FSTATFS, "fstatfs", Fstatfs, FD, Buf),
}

// Fstat is fstat(2).
func Fstat(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, err := getFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	return done0(statOut(t, f.Path, a.Addr(1), 0))
}

// Newfstatat is fstatat(2).
func Newfstatat(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(statAt(t, a.Int(0), a.Addr(1), a.Addr(2), a.Int(3)))
}

func statAt(t *kernel.Task, dirfd int32, name, out abi.Addr, flags int32) error {
	p, s, err := lookupAt(t, dirfd, name, flags, abi.AT_SYMLINK_NOFOLLOW|abi.AT_EMPTY_PATH|abi.AT_NO_AUTOMOUNT|abi.AT_STATX_SYNC_TYPE)
	if err != nil {
		return err
	}
	defer s.done()
	return statOut(t, p, out, int(flags)&abi.AT_STATX_SYNC_TYPE)
}

func statOut(t *kernel.Task, p vfs.Path, out abi.Addr, sync int) error {
	a, dev, err := vfs.StatX(t.Ctx(), p, sync)
	if err != nil {
		return err
	}
	ns := t.UserNS()
	st := abi.Stat{
		Dev: dev, Ino: a.Ino, Mode: a.Mode, UID: ns.UID(a.UID), GID: ns.GID(a.GID),
		Rdev: abi.MakeDev(a.RdevMajor, a.RdevMinor), Size: int64(a.Size), Blocks: int64(a.Blocks),
		Atime: a.Atime, Mtime: a.Mtime, Ctime: a.Ctime,
	}
	st.SetNlink(a.Nlink)
	st.SetBlksize(a.BlkSize)
	return copyOut(t, out, &st)
}

// Statx is statx(2).
func Statx(t *kernel.Task, a *abi.Args) (uint64, error) {
	flags, mask := a.Int(2), a.Uint(3)
	if flags&abi.AT_STATX_SYNC_TYPE == abi.AT_STATX_SYNC_TYPE || mask&abi.STATX__RESERVED != 0 {
		return 0, abi.EINVAL
	}
	p, s, err := lookupAt(t, a.Int(0), a.Addr(1), flags, abi.AT_SYMLINK_NOFOLLOW|abi.AT_EMPTY_PATH|abi.AT_NO_AUTOMOUNT|abi.AT_STATX_SYNC_TYPE)
	if err != nil {
		return 0, err
	}
	defer s.done()
	at, dev, err := vfs.StatX(t.Ctx(), p, int(flags)&abi.AT_STATX_SYNC_TYPE)
	if err != nil {
		return 0, err
	}
	x := statxOf(t, p, &at)
	if a.Uint(3)&abi.STATX_BTIME == 0 { // the one field that is told only when it is asked for
		x.Mask &^= abi.STATX_BTIME
		x.Btime = abi.StatxTimestamp{}
	}
	x.DevMajor, x.DevMinor = abi.SplitDev(dev)
	return done0(copyOut(t, a.Addr(4), &x))
}

func statxOf(t *kernel.Task, p vfs.Path, a *vfs.Attr) abi.Statx {
	ts := func(v abi.Timespec) abi.StatxTimestamp { return abi.StatxTimestamp{Sec: v.Sec, Nsec: uint32(v.Nsec)} }
	ns := t.UserNS()
	x := abi.Statx{
		Mask: abi.STATX_BASIC_STATS | abi.STATX_MNT_ID, Blksize: a.BlkSize, Attributes: a.Flags, Nlink: a.Nlink,
		UID: ns.UID(a.UID), GID: ns.GID(a.GID), Mode: uint16(a.Mode), Ino: a.Ino, Size: a.Size, Blocks: a.Blocks,
		AttributesMask: abi.STATX_ATTR_MOUNT_ROOT,
		Atime:          ts(a.Atime), Btime: ts(a.Btime), Ctime: ts(a.Ctime), Mtime: ts(a.Mtime),
		RdevMajor: a.RdevMajor, RdevMinor: a.RdevMinor,
	}
	if a.Btime != (abi.Timespec{}) {
		x.Mask |= abi.STATX_BTIME
	}
	if p.Mount != nil {
		x.MntID = p.Mount.ID()
	}
	return x
}

// Statfs is statfs(2).
func Statfs(t *kernel.Task, a *abi.Args) (uint64, error) {
	p, s, err := lookupAt(t, abi.AT_FDCWD, a.Addr(0), 0, 0)
	if err != nil {
		return 0, err
	}
	defer s.done()
	return done0(statfsOut(t, p, a.Addr(1)))
}

// Fstatfs is fstatfs(2).
func Fstatfs(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, err := getFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	return done0(statfsOut(t, f.Path, a.Addr(1)))
}

func statfsOut(t *kernel.Task, p vfs.Path, out abi.Addr) error {
	s, err := vfs.StatFS(t.Ctx(), p)
	if err != nil {
		return err
	}
	return copyOut(t, out, &s)
}
