package tmpfs_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lazaret/sentry/auth"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// The operations that TestAgainstHost does on both sides.

func (tw *twin) at() vfs.Path { return tw.ctx.FS.Cwd() }

func (tw *twin) mkdir() {
	p := tw.path()
	mode := uint32([]int{0o777, 0o755, 0o700, 0o1777, 0o2775}[tw.r.Intn(5)])
	tw.check(fmt.Sprintf("mkdir %s %o", p, mode), unix.Mkdir(p, mode), vfs.MkdirAt(tw.ctx, tw.at(), p, mode))
}

func (tw *twin) open() {
	i := tw.r.Intn(len(tw.fds))
	tw.closeFD(i)
	fl := []int{abi.O_RDONLY, abi.O_WRONLY, abi.O_RDWR, abi.O_RDWR}[tw.r.Intn(4)] | abi.O_NONBLOCK
	for _, f := range []int{abi.O_CREAT, abi.O_CREAT, abi.O_EXCL, abi.O_TRUNC, abi.O_APPEND, abi.O_NOFOLLOW, abi.O_DIRECTORY, abi.O_PATH, abi.O_NOATIME} {
		if tw.r.Intn(6) == 0 {
			fl |= f
		}
	}
	p := tw.path()
	mode := uint32([]int{0o666, 0o644, 0o600, 0o777, 0o4755, 0o400}[tw.r.Intn(6)])
	what := fmt.Sprintf("open %s %#x %o", p, fl, mode)
	// without a FIFO driver opening one is ENXIO; the host's depends on the other side
	if st := (unix.Stat_t{}); unix.Stat(p, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO && fl&abi.O_PATH == 0 {
		return
	}
	fd, herr := unix.Open(p, fl, mode)
	f, err := vfs.OpenAt(tw.ctx, tw.at(), p, vfs.OpenHow{Flags: uint32(fl), Mode: mode})
	if tw.check(what, herr, err) {
		tw.fds[i], tw.fs[i] = fd, f
		if tw.overlay && fl&abi.O_ACCMODE == abi.O_RDONLY { // it would not see a copy-up
			tw.readAll(fd, f)
			tw.closeFD(i)
		}
		return
	}
	if herr == nil {
		unix.Close(fd)
	}
	if err == nil {
		f.DecRef()
	}
}

func (tw *twin) readAll(fd int, f *vfs.File) {
	a, b := make([]byte, 1<<21), make([]byte, 1<<21)
	hn, herr := unix.Read(fd, a)
	on, err := f.Read(tw.ctx, uio.One(b))
	if tw.check("read all", herr, err) && string(a[:hn]) != string(b[:on]) {
		tw.t.Errorf("contents differ: %d and %d bytes", hn, on)
	}
}

func (tw *twin) tmpfile() {
	i := tw.r.Intn(len(tw.fds))
	tw.closeFD(i)
	p := tw.path()
	fl := abi.O_TMPFILE | abi.O_RDWR
	fd, herr := unix.Open(p, fl, 0o644)
	f, err := vfs.OpenAt(tw.ctx, tw.at(), p, vfs.OpenHow{Flags: uint32(fl), Mode: 0o644})
	if !tw.check("tmpfile "+p, herr, err) {
		return
	}
	tw.fds[i], tw.fs[i] = fd, f
	q := tw.path()
	herr = unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), unix.AT_FDCWD, q, unix.AT_SYMLINK_FOLLOW)
	tw.check("link tmpfile "+q, herr, vfs.LinkAt(tw.ctx, f.Path, tw.at(), q))
}

func (tw *twin) unlink() {
	p := tw.path()
	tw.check("unlink "+p, unix.Unlinkat(unix.AT_FDCWD, p, 0), vfs.UnlinkAt(tw.ctx, tw.at(), p))
}

func (tw *twin) rmdir() {
	p := tw.path()
	tw.check("rmdir "+p, unix.Rmdir(p), vfs.RmdirAt(tw.ctx, tw.at(), p))
}

func (tw *twin) rename() {
	p, q := tw.path(), tw.path()
	fl := uint(0)
	if tw.r.Intn(3) == 0 {
		fl = uint(tw.r.Intn(5))
	}
	if fl&unix.RENAME_WHITEOUT != 0 && tw.hasOverlay {
		fl = 0
	}
	if tw.overlay && (hostIsDir(p) || hostIsDir(q) && fl == unix.RENAME_EXCHANGE) {
		return // EXDEV for directories with a lower part
	}
	herr := unix.Renameat2(unix.AT_FDCWD, p, unix.AT_FDCWD, q, fl)
	tw.check(fmt.Sprintf("rename %s %s %d", p, q, fl), herr, vfs.RenameAt2(tw.ctx, tw.at(), p, tw.at(), q, uint32(fl)))
}

func (tw *twin) link() {
	p, q := tw.path(), tw.path()
	fl, lf := 0, vfs.LookupFlags(0)
	if tw.r.Intn(2) == 0 {
		fl, lf = unix.AT_SYMLINK_FOLLOW, vfs.LookupFollow
	}
	herr := unix.Linkat(unix.AT_FDCWD, p, unix.AT_FDCWD, q, fl)
	old, err := vfs.Lookup(tw.ctx, tw.at(), p, lf)
	if err == nil {
		err = vfs.LinkAt(tw.ctx, old, tw.at(), q)
	}
	tw.check(fmt.Sprintf("link %s %s %d", p, q, fl), herr, err)
}

func (tw *twin) symlink() {
	target, p := tw.path(), tw.path()
	tw.check("symlink "+target+" "+p, unix.Symlink(target, p), vfs.SymlinkAt(tw.ctx, target, tw.at(), p))
}

func (tw *twin) mknod() {
	p := tw.path()
	mode := []uint32{abi.S_IFIFO | 0o644, abi.S_IFREG | 0o666, abi.S_IFSOCK | 0o777, abi.S_IFCHR, abi.S_IFCHR | 0o600, 0o640, abi.S_IFDIR}[tw.r.Intn(7)]
	minor := uint32(0)
	if mode == abi.S_IFCHR|0o600 {
		minor = 3
	}
	if tw.hasOverlay && mode == abi.S_IFCHR {
		return // a whiteout
	}
	herr := unix.Mknod(p, mode, int(minor))
	tw.check(fmt.Sprintf("mknod %s %#o %d", p, mode, minor), herr, vfs.MknodAt(tw.ctx, tw.at(), p, mode, 0, minor))
}

func (tw *twin) stat() {
	p := tw.path()
	fl, lf := 0, vfs.LookupFollow
	if tw.r.Intn(2) == 0 {
		fl, lf = unix.AT_SYMLINK_NOFOLLOW, 0
	}
	var st unix.Stat_t
	herr := unix.Fstatat(unix.AT_FDCWD, p, &st, fl)
	q, err := vfs.Lookup(tw.ctx, tw.at(), p, lf)
	if tw.check(fmt.Sprintf("stat %s %d", p, fl), herr, err) {
		tw.compareStat("stat "+p, &st, q)
	}
}

func (tw *twin) compareStat(what string, st *unix.Stat_t, q vfs.Path) {
	tw.t.Helper()
	a, _, err := vfs.Stat(tw.ctx, q)
	if err != nil {
		tw.t.Errorf("%s: %v", what, err)
		return
	}
	if tw.overlay {
		st.Blocks, a.Blocks = 0, 0
		if a.Type() == abi.S_IFDIR {
			st.Nlink, a.Nlink, st.Size, a.Size = 0, 0, 0, 0
		}
	}
	host := fmt.Sprintf("mode %o nlink %d uid %d gid %d size %d blocks %d", st.Mode, st.Nlink, st.Uid, st.Gid, st.Size, st.Blocks)
	ours := fmt.Sprintf("mode %o nlink %d uid %d gid %d size %d blocks %d", a.Mode, a.Nlink, a.UID, a.GID, a.Size, a.Blocks)
	tw.equal(what, host, ours)
}

// child is path without those that may lead to the directory all of this happens in.
func (tw *twin) child() string {
	for {
		if p := tw.path(); !strings.Contains(p, ".") {
			return p
		}
	}
}

func (tw *twin) chmod() {
	p := tw.child()
	mode := uint32([]int{0o777, 0o755, 0o700, 0o000, 0o1777, 0o6755, 0o2644, 0o644}[tw.r.Intn(8)])
	q, err := vfs.Lookup(tw.ctx, tw.at(), p, vfs.LookupFollow)
	if err == nil {
		err = vfs.Chmod(tw.ctx, q, mode)
	}
	tw.check(fmt.Sprintf("chmod %s %o", p, mode), unix.Chmod(p, mode), err)
}

func (tw *twin) chown() {
	p := tw.child()
	ids := []int{-1, 0, 1000}
	u, g := ids[tw.r.Intn(3)], ids[tw.r.Intn(3)]
	valid := uint32(0)
	if u >= 0 {
		valid |= vfs.SetUID
	}
	if g >= 0 {
		valid |= vfs.SetGID
	}
	q, err := vfs.Lookup(tw.ctx, tw.at(), p, 0)
	if err == nil {
		err = vfs.Chown(tw.ctx, q, valid, auth.KUID(u), auth.KGID(g))
	}
	tw.check(fmt.Sprintf("lchown %s %d %d", p, u, g), unix.Lchown(p, u, g), err)
}

func (tw *twin) utimes() {
	p := tw.path()
	ts := []unix.Timespec{{Sec: 5, Nsec: 7}, {Nsec: unix.UTIME_NOW}}
	valid, now := uint32(vfs.SetAtime|vfs.SetMtime), [2]bool{false, true}
	if tw.r.Intn(2) == 0 {
		ts[0] = ts[1]
		now[0] = true
	}
	q, err := vfs.Lookup(tw.ctx, tw.at(), p, vfs.LookupFollow)
	if err == nil {
		err = vfs.Utimens(tw.ctx, q, valid, abi.Timespec{Sec: 5, Nsec: 7}, abi.Timespec{}, now)
	}
	tw.check("utimens "+p, unix.UtimesNanoAt(unix.AT_FDCWD, p, ts, 0), err)
}

func (tw *twin) truncate() {
	p := tw.path()
	n := tw.offset() - 1
	q, err := vfs.Lookup(tw.ctx, tw.at(), p, vfs.LookupFollow)
	if n < 0 {
		err = abi.EINVAL
	} else if err == nil {
		err = vfs.Truncate(tw.ctx, q, n)
	}
	tw.check(fmt.Sprintf("truncate %s %d", p, n), unix.Truncate(p, n), err)
}

func (tw *twin) readdir() {
	p := tw.path()
	fd, herr := unix.Open(p, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	f, err := vfs.OpenAt(tw.ctx, tw.at(), p, vfs.OpenHow{Flags: abi.O_RDONLY | abi.O_DIRECTORY})
	if !tw.check("readdir "+p, herr, err) {
		return
	}
	defer f.DecRef()
	defer unix.Close(fd)
	buf := make([]byte, 1<<16)
	n, herr := unix.Getdents(fd, buf)
	var ours []string
	err = f.ReadDir(tw.ctx, func(d *vfs.Dirent) bool {
		if d.Name != "." && d.Name != ".." {
			ours = append(ours, d.Name)
		}
		return true
	})
	if tw.check("getdents "+p, herr, err) {
		_, _, host := unix.ParseDirent(buf[:n], 1000, nil)
		slices.Sort(host)
		slices.Sort(ours)
		tw.equal("entries of "+p, host, ours)
	}
}

func (tw *twin) readlink() {
	p := tw.path()
	buf := make([]byte, 4096)
	n, herr := unix.Readlink(p, buf)
	s, err := vfs.ReadlinkAt(tw.ctx, tw.at(), p)
	if tw.check("readlink "+p, herr, err) {
		tw.equal("readlink "+p, string(buf[:n]), s)
	}
}

func (tw *twin) access() {
	p := tw.path()
	mask := uint32(tw.r.Intn(8))
	herr := unix.Faccessat2(unix.AT_FDCWD, p, mask, unix.AT_EACCESS)
	q, err := vfs.Lookup(tw.ctx, tw.at(), p, vfs.LookupFollow)
	if err == nil {
		err = vfs.Access(tw.ctx, q, mask)
	}
	// faccessat2 with AT_EACCESS uses the fs ids
	tw.check(fmt.Sprintf("access %s %d", p, mask), herr, err)
}

func (tw *twin) offset() int64 {
	return []int64{0, 1, 100, 4095, 4096, 4097, 8192, 20000, 70000, 200000, 1 << 20}[tw.r.Intn(11)]
}

// fd picks an open file, -1 if the place is empty.
func (tw *twin) fd() (int, *vfs.File) {
	i := tw.r.Intn(len(tw.fds))
	return tw.fds[i], tw.fs[i]
}

func (tw *twin) io() {
	fd, f := tw.fd()
	if f == nil {
		return
	}
	n, off := int(tw.offset()), tw.offset()
	if n > 100000 {
		n = 100
	}
	a, b := make([]byte, n), make([]byte, n)
	var hn, on int
	var herr, err error
	var what string
	switch tw.r.Intn(4) {
	case 0:
		what = fmt.Sprintf("read %d %d", fd, n)
		hn, herr = unix.Read(fd, a)
		on, err = f.Read(tw.ctx, uio.One(b))
	case 1:
		what = fmt.Sprintf("pread %d %d %d", fd, n, off)
		hn, herr = unix.Pread(fd, a, off)
		on, err = f.ReadAt(tw.ctx, uio.One(b), off)
	case 2:
		tw.r.Read(a)
		copy(b, a)
		what = fmt.Sprintf("write %d %d", fd, n)
		hn, herr = unix.Write(fd, a)
		on, err = f.Write(tw.ctx, uio.One(b))
	case 3:
		tw.r.Read(a)
		copy(b, a)
		what = fmt.Sprintf("pwrite %d %d %d", fd, n, off)
		hn, herr = unix.Pwrite(fd, a, off)
		on, err = f.WriteAt(tw.ctx, uio.One(b), off)
	}
	if tw.check(what, herr, err) {
		tw.equal(what, hn, on)
		if string(a) != string(b) {
			tw.t.Errorf("%s: contents differ", what)
		}
		var st unix.Stat_t
		unix.Fstat(fd, &st)
		tw.compareStat("fstat after "+what, &st, f.Path)
	}
}

func (tw *twin) seek() {
	fd, f := tw.fd()
	if f == nil || f.Mode&vfs.ModeDir != 0 {
		return
	}
	off, whence := tw.offset()-1, tw.r.Intn(6)
	if tw.allocated && (whence == abi.SEEK_DATA || whence == abi.SEEK_HOLE) {
		return
	}
	hn, herr := unix.Seek(fd, off, whence)
	on, err := f.Seek(tw.ctx, off, whence)
	what := fmt.Sprintf("lseek %d %d %d", fd, off, whence)
	if tw.check(what, herr, err) {
		tw.equal(what, hn, on)
	}
}

func (tw *twin) fallocate() {
	fd, f := tw.fd()
	if f == nil {
		return
	}
	mode := []uint32{0, 1, 2, 3, 3, 0x10, 0x100}[tw.r.Intn(7)]
	off, n := tw.offset(), tw.offset()
	herr := unix.Fallocate(fd, mode, off, n)
	what := fmt.Sprintf("fallocate %d %d %d %d", fd, mode, off, n)
	tw.allocated = true
	if tw.check(what, herr, f.Allocate(tw.ctx, mode, off, n)) {
		var st unix.Stat_t
		unix.Fstat(fd, &st)
		tw.compareStat("fstat after "+what, &st, f.Path)
	}
}

func (tw *twin) ftruncate() {
	fd, f := tw.fd()
	if f == nil {
		return
	}
	n := tw.offset()
	tw.check(fmt.Sprintf("ftruncate %d %d", fd, n), unix.Ftruncate(fd, n), f.Truncate(tw.ctx, n))
}

func (tw *twin) xattr() {
	p := tw.path()
	name := tw.pick("trusted.x", "security.y", "user.z", "bad", "nope.x", "trusted.")
	if tw.gofer && strings.HasPrefix(name, "trusted.") {
		return // refused by design: such names steer the host's file systems
	}
	fl := tw.r.Intn(4)
	q, err := vfs.Lookup(tw.ctx, tw.at(), p, vfs.LookupFollow)
	switch tw.r.Intn(3) {
	case 0:
		if err == nil {
			err = vfs.SetXattr(tw.ctx, q, name, []byte("v"), fl)
		}
		tw.check(fmt.Sprintf("setxattr %s %s %d", p, name, fl), unix.Setxattr(p, name, []byte("v"), fl), err)
	case 1:
		if err == nil {
			_, err = vfs.GetXattr(tw.ctx, q, name)
		}
		_, herr := unix.Getxattr(p, name, make([]byte, 100))
		tw.check("getxattr "+p+" "+name, herr, err)
	case 2:
		if err == nil {
			err = vfs.RemoveXattr(tw.ctx, q, name)
		}
		tw.check("removexattr "+p+" "+name, unix.Removexattr(p, name), err)
	}
}
