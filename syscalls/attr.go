package syscalls

import (
	"lazaret/sentry/auth"
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

var attrRows = []Row{
	full(abi.SYS_FCHMOD, "fchmod", Fchmod, FD, Octal),
	full(abi.SYS_FCHMODAT, "fchmodat", Fchmodat, FD, Path, Octal),
	full(abi.SYS_FCHMODAT2, "fchmodat2", Fchmodat2, FD, Path, Octal, Hex),
	full(abi.SYS_FCHOWN, "fchown", Fchown, FD, Int, Int),
	full(abi.SYS_FCHOWNAT, "fchownat", Fchownat, FD, Path, Int, Int, Hex),
	full(abi.SYS_UTIMENSAT, "utimensat", Utimensat, FD, Path, Buf, Hex),
	full(abi.SYS_TRUNCATE, "truncate", Truncate, Path, Int),
	full(abi.SYS_FTRUNCATE, "ftruncate", Ftruncate, FD, Int),
	full(abi.SYS_FALLOCATE, "fallocate", Fallocate, FD, Hex, Int, Int),
	full(abi.SYS_FACCESSAT, "faccessat", Faccessat, FD, Path, Octal),
	full(abi.SYS_FACCESSAT2, "faccessat2", Faccessat2, FD, Path, Octal, Hex),
	full(abi.SYS_FSYNC, "fsync", Fsync, FD),
	full(abi.SYS_FDATASYNC, "fdatasync", Fdatasync, FD),
	full(abi.SYS_SYNCFS, "syncfs", Syncfs, FD),
	full(abi.SYS_SYNC_FILE_RANGE, "sync_file_range", SyncFileRange, FD, Int, Int, Hex),
	full(abi.SYS_FADVISE64, "fadvise64", Fadvise64, FD, Int, Int, Int),
	full(abi.SYS_READAHEAD, "readahead", Readahead, FD, Int, Hex),
}

// Fchmod is fchmod(2).
func Fchmod(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, err := getIOFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	return done0(vfs.Chmod(t.Ctx(), f.Path, a.Uint(1)))
}

// Fchmodat is fchmodat(2), which has no flags.
func Fchmodat(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(chmodAt(t, a.Int(0), a.Addr(1), a.Uint(2), 0))
}

// Fchmodat2 is fchmodat2(2).
func Fchmodat2(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(chmodAt(t, a.Int(0), a.Addr(1), a.Uint(2), a.Int(3)))
}

func chmodAt(t *kernel.Task, dirfd int32, addr abi.Addr, mode uint32, flags int32) error {
	p, s, err := lookupAt(t, dirfd, addr, flags, abi.AT_SYMLINK_NOFOLLOW|abi.AT_EMPTY_PATH)
	if err != nil {
		return err
	}
	defer s.done()
	return vfs.Chmod(t.Ctx(), p, mode)
}

// Fchown is fchown(2).
func Fchown(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, err := getIOFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	return done0(chown(t, f.Path, a.Uint(1), a.Uint(2)))
}

// Fchownat is fchownat(2).
func Fchownat(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(chownAt(t, a.Int(0), a.Addr(1), a.Uint(2), a.Uint(3), a.Int(4)))
}

func chownAt(t *kernel.Task, dirfd int32, addr abi.Addr, uid, gid uint32, flags int32) error {
	p, s, err := lookupAt(t, dirfd, addr, flags, abi.AT_SYMLINK_NOFOLLOW|abi.AT_EMPTY_PATH)
	if err != nil {
		return err
	}
	defer s.done()
	return chown(t, p, uid, gid)
}

// chown changes owners; -1 leaves one as it is.
func chown(t *kernel.Task, p vfs.Path, uid, gid uint32) error {
	var valid uint32
	var u auth.KUID
	var g auth.KGID
	var ok bool
	if uid != auth.NoID {
		valid |= vfs.SetUID
		if u, ok = t.UserNS().KUID(uid); !ok {
			return abi.EINVAL
		}
	}
	if gid != auth.NoID {
		valid |= vfs.SetGID
		if g, ok = t.UserNS().KGID(gid); !ok {
			return abi.EINVAL
		}
	}
	return vfs.Chown(t.Ctx(), p, valid, u, g)
}

// UTIME_NOW and UTIME_OMIT of utimensat(2).
const (
	utimeNow  = 1<<30 - 1
	utimeOmit = 1<<30 - 2
)

// Utimensat is utimensat(2); a null path means the descriptor itself.
func Utimensat(t *kernel.Task, a *abi.Args) (uint64, error) {
	ts := [2]abi.Timespec{{Nsec: utimeNow}, {Nsec: utimeNow}}
	if addr := a.Addr(2); addr != 0 {
		var err error
		if ts, err = copyIn[[2]abi.Timespec](t, addr); err != nil {
			return 0, err
		}
	}
	if a.Addr(1) == 0 && a.Int(0) != abi.AT_FDCWD {
		if a.Int(3) != 0 {
			return 0, abi.EINVAL
		}
		f, err := getIOFile(t, a.Int(0))
		if err != nil {
			return 0, err
		}
		defer f.DecRef()
		return done0(utimens(t, f.Path, ts))
	}
	return done0(utimesAt(t, a.Int(0), a.Addr(1), ts, a.Int(3)))
}

func utimesAt(t *kernel.Task, dirfd int32, addr abi.Addr, ts [2]abi.Timespec, flags int32) error {
	if ts[0].Nsec == utimeOmit && ts[1].Nsec == utimeOmit {
		return nil
	}
	p, s, err := lookupAt(t, dirfd, addr, flags, abi.AT_SYMLINK_NOFOLLOW|abi.AT_EMPTY_PATH)
	if err != nil {
		return err
	}
	defer s.done()
	return utimens(t, p, ts)
}

func utimens(t *kernel.Task, p vfs.Path, ts [2]abi.Timespec) error {
	var valid uint32
	var now [2]bool
	for i, bit := range [2]uint32{vfs.SetAtime, vfs.SetMtime} {
		switch {
		case ts[i].Nsec == utimeOmit:
			continue
		case ts[i].Nsec == utimeNow:
			now[i] = true
		case ts[i].Nsec < 0 || ts[i].Nsec >= abi.NsecPerSec:
			return abi.EINVAL
		}
		valid |= bit
	}
	return vfs.Utimens(t.Ctx(), p, valid, ts[0], ts[1], now)
}

// Truncate is truncate(2).
func Truncate(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Long(1) < 0 {
		return 0, abi.EINVAL
	}
	p, s, err := lookupAt(t, abi.AT_FDCWD, a.Addr(0), 0, 0)
	if err != nil {
		return 0, err
	}
	defer s.done()
	return done0(sizeSignal(t, vfs.Truncate(t.Ctx(), p, a.Long(1))))
}

// sizeSignal sends SIGXFSZ when a change of size failed at RLIMIT_FSIZE.
func sizeSignal(t *kernel.Task, err error) error {
	if err == abi.EFBIG && t.Ctx().XFSZ {
		t.Ctx().XFSZ = false
		info := abi.Siginfo{Signo: abi.SIGXFSZ, Code: abi.SI_KERNEL}
		_ = t.SignalThread(&info)
	}
	return err
}

// Ftruncate is ftruncate(2).
func Ftruncate(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Long(1) < 0 {
		return 0, abi.EINVAL
	}
	f, err := getIOFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	return done0(sizeSignal(t, f.Truncate(t.Ctx(), a.Long(1))))
}

// Fallocate is fallocate(2).
func Fallocate(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, err := getIOFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	return done0(sizeSignal(t, f.Allocate(t.Ctx(), a.Uint(1), a.Long(2), a.Long(3))))
}

// Faccessat is faccessat(2), which has no flags.
func Faccessat(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(accessAt(t, a.Int(0), a.Addr(1), a.Uint(2), 0))
}

// Faccessat2 is faccessat2(2).
func Faccessat2(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(accessAt(t, a.Int(0), a.Addr(1), a.Uint(2), a.Int(3)))
}

func accessAt(t *kernel.Task, dirfd int32, addr abi.Addr, mode uint32, flags int32) error {
	const known = abi.AT_SYMLINK_NOFOLLOW | abi.AT_EMPTY_PATH | abi.AT_EACCESS
	if mode&^7 != 0 || flags&^known != 0 {
		return abi.EINVAL
	}
	ctx := t.Ctx()
	if flags&abi.AT_EACCESS == 0 {
		// Real ids instead of effective ones, and the capabilities that go with them.
		ctx.Creds = t.Creds().ForAccess()
		defer t.Ctx()
	}
	p, s, err := lookupCtx(t, ctx, dirfd, addr, flags&^abi.AT_EACCESS, known)
	if err != nil {
		return err
	}
	defer s.done()
	return vfs.Access(ctx, p, mode)
}

// Fsync is fsync(2).
func Fsync(t *kernel.Task, a *abi.Args) (uint64, error) { return syncFD(t, a.Int(0), false) }

// Fdatasync is fdatasync(2).
func Fdatasync(t *kernel.Task, a *abi.Args) (uint64, error) { return syncFD(t, a.Int(0), true) }

func syncFD(t *kernel.Task, fd int32, dataOnly bool) (uint64, error) {
	f, err := getIOFile(t, fd)
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	return done0(f.Sync(t.Ctx(), dataOnly))
}

// Syncfs is syncfs(2): what is dirty is in host files, which the host writes back.
func Syncfs(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, err := getIOFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	f.DecRef()
	return 0, nil
}

// SyncFileRange is sync_file_range(2).
func SyncFileRange(t *kernel.Task, a *abi.Args) (uint64, error) {
	const known = abi.SYNC_FILE_RANGE_WAIT_BEFORE | abi.SYNC_FILE_RANGE_WRITE | abi.SYNC_FILE_RANGE_WAIT_AFTER
	off, n := a.Long(1), a.Long(2)
	if off < 0 || n < 0 || off+n < 0 || a.Uint(3)&^known != 0 {
		return 0, abi.EINVAL
	}
	f, err := getIOFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	switch f.Path.Dentry.Type() {
	case abi.S_IFREG, abi.S_IFBLK, abi.S_IFDIR, abi.S_IFLNK:
		return done0(f.Sync(t.Ctx(), true))
	}
	return 0, abi.ESPIPE
}

// Fadvise64 is posix_fadvise(2): the advice is checked and not needed.
func Fadvise64(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, err := getIOFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	if f.Path.Dentry.Type() == abi.S_IFIFO {
		return 0, abi.ESPIPE
	}
	if a.Long(2) < 0 || a.Uint(3) > 5 {
		return 0, abi.EINVAL
	}
	return 0, nil
}

// Readahead is readahead(2).
func Readahead(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, err := getIOFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	if f.Mode&vfs.ModeRead == 0 {
		return 0, abi.EBADF
	}
	if f.Path.Dentry.Type() != abi.S_IFREG {
		return 0, abi.EINVAL
	}
	return 0, nil
}
