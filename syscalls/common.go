package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// getFile returns the file behind fd with a reference.
func getFile(t *kernel.Task, fd int32) (*vfs.File, error) {
	f := t.Files().Get(fd)
	if f == nil {
		return nil, abi.EBADF
	}
	return f, nil
}

// getIOFile is getFile without O_PATH files, which most calls refuse.
func getIOFile(t *kernel.Task, fd int32) (*vfs.File, error) {
	f, err := getFile(t, fd)
	if err == nil && f.Mode&vfs.ModePath != 0 {
		f.DecRef()
		return nil, abi.EBADF
	}
	return f, err
}

// copyPath copies in a path name.
func copyPath(t *kernel.Task, addr abi.Addr) (string, error) {
	return t.MM().CopyInString(addr, abi.PATH_MAX)
}

// start is where the walk of a path name begins: the working directory or the directory
// behind a descriptor, which it keeps open.
type start struct {
	path vfs.Path
	file *vfs.File
}

// done drops what start holds.
func (s *start) done() {
	if s.file != nil {
		s.file.DecRef()
	}
}

// getStart resolves the dirfd argument of the *at calls for name.
func getStart(t *kernel.Task, dirfd int32, name string) (start, error) {
	if dirfd == abi.AT_FDCWD || name != "" && name[0] == '/' {
		return start{path: t.FS().Cwd()}, nil
	}
	f, err := getFile(t, dirfd)
	if err != nil {
		return start{}, err
	}
	if name != "" && !f.Path.Dentry.IsDir() {
		f.DecRef()
		return start{}, abi.ENOTDIR
	}
	return start{f.Path, f}, nil
}

// at copies in a path name and resolves where its walk starts.
func at(t *kernel.Task, dirfd int32, addr abi.Addr) (start, string, error) {
	name, err := copyPath(t, addr)
	if err != nil {
		return start{}, "", err
	}
	s, err := getStart(t, dirfd, name)
	return s, name, err
}

// lookupAt finds the file that dirfd, name and AT_* flags designate. allowed are the flags
// that the call knows. The caller calls done on the start that is returned.
func lookupAt(t *kernel.Task, dirfd int32, addr abi.Addr, flags, allowed int32) (vfs.Path, start, error) {
	return lookupCtx(t, t.Ctx(), dirfd, addr, flags, allowed)
}

// lookupCtx is lookupAt with the rights of ctx.
func lookupCtx(t *kernel.Task, ctx *vfs.Context, dirfd int32, addr abi.Addr, flags, allowed int32) (vfs.Path, start, error) {
	if flags&^allowed != 0 {
		return vfs.Path{}, start{}, abi.EINVAL
	}
	name := ""
	if addr != 0 || flags&abi.AT_EMPTY_PATH == 0 {
		var err error
		if name, err = copyPath(t, addr); err != nil {
			return vfs.Path{}, start{}, err
		}
	}
	s, err := getStart(t, dirfd, name)
	if err != nil {
		return vfs.Path{}, start{}, err
	}
	if name == "" {
		if flags&abi.AT_EMPTY_PATH == 0 {
			s.done()
			return vfs.Path{}, start{}, abi.ENOENT
		}
		return s.path, s, nil
	}
	var lf vfs.LookupFlags
	if flags&abi.AT_SYMLINK_NOFOLLOW == 0 {
		lf = vfs.LookupFollow
	}
	p, err := vfs.Lookup(ctx, s.path, name, lf)
	if err != nil {
		s.done()
		return vfs.Path{}, start{}, err
	}
	return p, s, nil
}

// copyOut copies a structure of package abi out.
func copyOut[T any](t *kernel.Task, addr abi.Addr, v *T) error {
	return t.MM().CopyOut(addr, abi.Bytes(v))
}

// copyIn copies a structure of package abi in.
func copyIn[T any](t *kernel.Task, addr abi.Addr) (T, error) {
	var v T
	err := t.MM().CopyIn(addr, abi.Bytes(&v))
	return v, err
}

// nofile returns RLIMIT_NOFILE.
func nofile(t *kernel.Task) uint64 { return t.ThreadGroup().Limit(abi.RLIMIT_NOFILE).Cur }

// install gives f a descriptor, or drops it.
func install(t *kernel.Task, f *vfs.File, cloexec bool) (uint64, error) {
	fd, err := t.Files().Alloc(0, f, cloexec, nofile(t))
	if err != nil {
		f.DecRef()
		return 0, err
	}
	return uint64(fd), nil
}

// installPair gives two files descriptors, and writes them to addr as two ints.
func installPair(t *kernel.Task, addr abi.Addr, a, b *vfs.File, cloexec bool) error {
	fdA, err := t.Files().Alloc(0, a, cloexec, nofile(t))
	if err != nil {
		a.DecRef()
		b.DecRef()
		return err
	}
	fdB, err := t.Files().Alloc(0, b, cloexec, nofile(t))
	if err != nil {
		b.DecRef()
		_ = t.Files().Close(t.Ctx(), fdA)
		return err
	}
	fds := [2]int32{fdA, fdB}
	if err := copyOut(t, addr, &fds); err != nil {
		_ = t.Files().Close(t.Ctx(), fdA)
		_ = t.Files().Close(t.Ctx(), fdB)
		return err
	}
	return nil
}

// done0 is the result of a call that returns nothing but success.
func done0(err error) (uint64, error) { return 0, err }
