package syscalls

import (
	"encoding/binary"
	"sync"

	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

var nameRows = []Row{
	full(abi.SYS_MKDIRAT, "mkdirat", Mkdirat, FD, Path, Octal),
	full(abi.SYS_MKNODAT, "mknodat", Mknodat, FD, Path, Octal, Hex),
	full(abi.SYS_SYMLINKAT, "symlinkat", Symlinkat, Path, FD, Path),
	full(abi.SYS_LINKAT, "linkat", Linkat, FD, Path, FD, Path, Hex),
	full(abi.SYS_UNLINKAT, "unlinkat", Unlinkat, FD, Path, Hex),
	full(abi.SYS_RENAMEAT2, "renameat2", Renameat2, FD, Path, FD, Path, Hex),
	full(abi.SYS_READLINKAT, "readlinkat", Readlinkat, FD, Path, Buf, Hex),
	full(abi.SYS_GETDENTS64, "getdents64", Getdents64, FD, Buf, Hex),
	full(abi.SYS_GETCWD, "getcwd", Getcwd, Buf, Hex),
	full(abi.SYS_CHDIR, "chdir", Chdir, Path),
	full(abi.SYS_FCHDIR, "fchdir", Fchdir, FD),
	full(abi.SYS_CHROOT, "chroot", Chroot, Path),
	full(abi.SYS_UMASK, "umask", Umask, Octal),
}

// Mkdirat is mkdirat(2).
func Mkdirat(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(mkdirAt(t, a.Int(0), a.Addr(1), a.Uint(2)))
}

func mkdirAt(t *kernel.Task, dirfd int32, addr abi.Addr, mode uint32) error {
	s, name, err := at(t, dirfd, addr)
	if err != nil {
		return err
	}
	defer s.done()
	return vfs.MkdirAt(t.Ctx(), s.path, name, mode)
}

// Mknodat is mknodat(2).
func Mknodat(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(mknodAt(t, a.Int(0), a.Addr(1), a.Uint(2), a.Uint(3)))
}

func mknodAt(t *kernel.Task, dirfd int32, addr abi.Addr, mode, dev uint32) error {
	s, name, err := at(t, dirfd, addr)
	if err != nil {
		return err
	}
	defer s.done()
	major, minor := abi.SplitDev(uint64(dev))
	return vfs.MknodAt(t.Ctx(), s.path, name, mode, major, minor)
}

// Symlinkat is symlinkat(2).
func Symlinkat(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(symlinkAt(t, a.Addr(0), a.Int(1), a.Addr(2)))
}

func symlinkAt(t *kernel.Task, target abi.Addr, dirfd int32, addr abi.Addr) error {
	to, err := copyPath(t, target)
	if err != nil {
		return err
	}
	s, name, err := at(t, dirfd, addr)
	if err != nil {
		return err
	}
	defer s.done()
	return vfs.SymlinkAt(t.Ctx(), to, s.path, name)
}

// Linkat is linkat(2).
func Linkat(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(linkAt(t, a.Int(0), a.Addr(1), a.Int(2), a.Addr(3), a.Int(4)))
}

func linkAt(t *kernel.Task, oldfd int32, oldAddr abi.Addr, newfd int32, newAddr abi.Addr, flags int32) error {
	if flags&^(abi.AT_SYMLINK_FOLLOW|abi.AT_EMPTY_PATH) != 0 {
		return abi.EINVAL
	}
	// lookupAt follows unless told not to; linkat(2) is the other way round.
	lf := flags & abi.AT_EMPTY_PATH
	if flags&abi.AT_SYMLINK_FOLLOW == 0 {
		lf |= abi.AT_SYMLINK_NOFOLLOW
	}
	old, so, err := lookupAt(t, oldfd, oldAddr, lf, lf)
	if err != nil {
		return err
	}
	defer so.done()
	s, name, err := at(t, newfd, newAddr)
	if err != nil {
		return err
	}
	defer s.done()
	return vfs.LinkAt(t.Ctx(), old, s.path, name)
}

// Unlinkat is unlinkat(2).
func Unlinkat(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(unlinkAt(t, a.Int(0), a.Addr(1), a.Int(2)))
}

func unlinkAt(t *kernel.Task, dirfd int32, addr abi.Addr, flags int32) error {
	if flags&^abi.AT_REMOVEDIR != 0 {
		return abi.EINVAL
	}
	s, name, err := at(t, dirfd, addr)
	if err != nil {
		return err
	}
	defer s.done()
	if flags&abi.AT_REMOVEDIR != 0 {
		return vfs.RmdirAt(t.Ctx(), s.path, name)
	}
	return vfs.UnlinkAt(t.Ctx(), s.path, name)
}

// Renameat2 is renameat2(2).
func Renameat2(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(renameAt(t, a.Int(0), a.Addr(1), a.Int(2), a.Addr(3), a.Uint(4)))
}

func renameAt(t *kernel.Task, oldfd int32, oldAddr abi.Addr, newfd int32, newAddr abi.Addr, flags uint32) error {
	so, oldName, err := at(t, oldfd, oldAddr)
	if err != nil {
		return err
	}
	defer so.done()
	sn, newName, err := at(t, newfd, newAddr)
	if err != nil {
		return err
	}
	defer sn.done()
	return vfs.RenameAt2(t.Ctx(), so.path, oldName, sn.path, newName, flags)
}

// Readlinkat is readlinkat(2).
func Readlinkat(t *kernel.Task, a *abi.Args) (uint64, error) {
	return readlinkAt(t, a.Int(0), a.Addr(1), a.Addr(2), a.Int(3))
}

func readlinkAt(t *kernel.Task, dirfd int32, addr, buf abi.Addr, size int32) (uint64, error) {
	if size <= 0 {
		return 0, abi.EINVAL
	}
	s, name, err := at(t, dirfd, addr)
	if err != nil {
		return 0, err
	}
	defer s.done()
	p, err := vfs.Lookup(t.Ctx(), s.path, name, vfs.LookupEmpty)
	if err != nil {
		return 0, err
	}
	if p.Dentry.Type() != abi.S_IFLNK {
		if name == "" { // for a descriptor of a symlink (O_PATH) and for nothing else
			return 0, abi.ENOENT
		}
		return 0, abi.EINVAL
	}
	target, err := vfs.Readlink(t.Ctx(), p)
	if err != nil {
		return 0, err
	}
	n := min(len(target), int(size))
	return uint64(n), t.MM().CopyOut(buf, []byte(target[:n]))
}

// maxDents bounds the bytes of one getdents.
const maxDents = 128 << 10

// dents are buffers of getdents, for reuse. None is longer than maxDents and an entry.
var dents = sync.Pool{New: func() any { return new([]byte) }}

// Getdents64 is getdents64(2).
func Getdents64(t *kernel.Task, a *abi.Args) (uint64, error) {
	return getdents(t, a, func(out []byte, d *vfs.Dirent, room int) []byte {
		n := (19 + len(d.Name) + 1 + 7) &^ 7
		if n > room {
			return nil
		}
		end := len(out) + n
		out = binary.LittleEndian.AppendUint64(out, d.Ino)
		out = binary.LittleEndian.AppendUint64(out, uint64(d.Next))
		out = binary.LittleEndian.AppendUint16(out, uint16(n))
		out = append(out, d.Type)
		out = append(out, d.Name...)
		return append(out, make([]byte, end-len(out))...)
	})
}

// getdents reads a directory; put appends an entry to out, or returns nil when it does not
// fit into room bytes.
func getdents(t *kernel.Task, a *abi.Args, put func(out []byte, d *vfs.Dirent, room int) []byte) (uint64, error) {
	f, err := getIOFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	size := int(min(a.Size(2)&0xffffffff, maxDents))
	buf := dents.Get().(*[]byte)
	out := (*buf)[:0]
	defer func() {
		*buf = out
		dents.Put(buf)
	}()
	full, from := false, f.ShownPos()
	err = f.ReadDir(t.Ctx(), func(d *vfs.Dirent) bool {
		more := put(out, d, size-len(out))
		if more == nil {
			full = true
			return false
		}
		out = more
		return true
	})
	if len(out) == 0 {
		if err == nil && full {
			err = abi.EINVAL
		}
		return 0, err
	}
	if err := t.MM().CopyOut(a.Addr(1), out); err != nil {
		f.SetPos(from) // these entries were not read
		return 0, err
	}
	return uint64(len(out)), nil
}

// Getcwd is getcwd(2): the length with the NUL.
func Getcwd(t *kernel.Task, a *abi.Args) (uint64, error) {
	name, err := vfs.Getcwd(t.Ctx())
	if err != nil {
		return 0, err
	}
	if len(name) >= abi.PATH_MAX {
		return 0, abi.ENAMETOOLONG
	}
	if uint64(len(name))+1 > a.Size(1) {
		return 0, abi.ERANGE
	}
	return uint64(len(name) + 1), t.MM().CopyOut(a.Addr(0), append([]byte(name), 0))
}

// Chdir is chdir(2).
func Chdir(t *kernel.Task, a *abi.Args) (uint64, error) {
	name, err := copyPath(t, a.Addr(0))
	if err != nil {
		return 0, err
	}
	return done0(vfs.Chdir(t.Ctx(), name))
}

// Fchdir is fchdir(2).
func Fchdir(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, err := getFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	return done0(vfs.ChdirPath(t.Ctx(), f.Path))
}

// Chroot is chroot(2).
func Chroot(t *kernel.Task, a *abi.Args) (uint64, error) {
	name, err := copyPath(t, a.Addr(0))
	if err != nil {
		return 0, err
	}
	return done0(vfs.Chroot(t.Ctx(), name))
}

// Umask is umask(2).
func Umask(t *kernel.Task, a *abi.Args) (uint64, error) {
	return uint64(t.FS().SetUmask(a.Uint(0))), nil
}
