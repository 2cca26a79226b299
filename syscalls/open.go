package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

var openRows = []Row{
	full(abi.SYS_OPENAT, "openat", Openat, FD, Path, Hex, Octal),
	full(abi.SYS_OPENAT2, "openat2", Openat2, FD, Path, Buf, Hex),
	full(abi.SYS_CLOSE, "close", Close, FD),
	full(abi.SYS_CLOSE_RANGE, "close_range", CloseRange, FD, FD, Hex),
}

// openFlags are the flags that open(2) knows; it ignores others.
const openFlags = abi.O_ACCMODE | abi.O_CREAT | abi.O_EXCL | abi.O_NOCTTY | abi.O_TRUNC | abi.O_APPEND | abi.O_NONBLOCK |
	abi.O_SYNC | abi.O_DSYNC | abi.O_ASYNC | abi.O_DIRECT | abi.O_LARGEFILE | abi.O_DIRECTORY | abi.O_NOFOLLOW | abi.O_NOATIME |
	abi.O_CLOEXEC | abi.O_PATH | abi.O_TMPFILE

// Openat is openat(2).
func Openat(t *kernel.Task, a *abi.Args) (uint64, error) {
	return openAt(t, a.Int(0), a.Addr(1), vfs.OpenHow{Flags: a.Uint(2) | abi.O_LARGEFILE, Mode: a.Uint(3)})
}

func openAt(t *kernel.Task, dirfd int32, addr abi.Addr, how vfs.OpenHow) (uint64, error) {
	how.Flags &= openFlags
	how.Mode &= 0o7777
	s, name, err := at(t, dirfd, addr)
	if err != nil {
		return 0, err
	}
	defer s.done()
	f, err := vfs.OpenAt(t.Ctx(), s.path, name, how)
	if err != nil {
		return 0, err
	}
	return install(t, f, how.Flags&abi.O_CLOEXEC != 0)
}

// openHow is struct open_how (openat2(2)).
type openHow struct{ Flags, Mode, Resolve uint64 }

// Openat2 is openat2(2).
func Openat2(t *kernel.Task, a *abi.Args) (uint64, error) {
	var h openHow
	if err := copyInSized(t, a.Addr(2), a.Size(3), abi.Bytes(&h)); err != nil {
		return 0, err
	}
	const resolve = abi.RESOLVE_NO_XDEV | abi.RESOLVE_NO_MAGICLINKS | abi.RESOLVE_NO_SYMLINKS | abi.RESOLVE_BENEATH | abi.RESOLVE_IN_ROOT | abi.RESOLVE_CACHED
	const both = abi.RESOLVE_BENEATH | abi.RESOLVE_IN_ROOT
	creates := h.Flags&abi.O_CREAT != 0 || h.Flags&abi.O_TMPFILE == abi.O_TMPFILE
	if h.Flags&^openFlags != 0 || h.Resolve&^resolve != 0 || h.Resolve&both == both || h.Mode&^0o7777 != 0 || h.Mode != 0 && !creates {
		return 0, abi.EINVAL
	}
	if h.Flags&abi.O_PATH != 0 && h.Flags&^(abi.O_PATH|abi.O_DIRECTORY|abi.O_NOFOLLOW|abi.O_CLOEXEC) != 0 {
		return 0, abi.EINVAL
	}
	return openAt(t, a.Int(0), a.Addr(1), vfs.OpenHow{Flags: uint32(h.Flags), Mode: uint32(h.Mode), Resolve: h.Resolve})
}

// copyInSized copies in a structure that grows from one kernel version to the next: size
// is what the application thinks it is, dst what we know. Unknown bytes must be zero
// (E2BIG); dst must hold the first published version (EINVAL).
func copyInSized(t *kernel.Task, addr abi.Addr, size uint64, dst []byte) error {
	if size < uint64(min(len(dst), 24)) {
		return abi.EINVAL
	}
	if size > abi.PageSize {
		return abi.E2BIG
	}
	raw := make([]byte, size)
	if err := t.MM().CopyIn(addr, raw); err != nil {
		return err
	}
	n := copy(dst, raw)
	for _, b := range raw[n:] {
		if b != 0 {
			return abi.E2BIG
		}
	}
	return nil
}

// Close is close(2).
func Close(t *kernel.Task, a *abi.Args) (uint64, error) {
	return done0(t.Files().Close(t.Ctx(), a.Int(0)))
}

// CloseRange is close_range(2).
func CloseRange(t *kernel.Task, a *abi.Args) (uint64, error) {
	first, last, flags := a.Uint(0), a.Uint(1), a.Uint(2)
	if flags&^(abi.CLOSE_RANGE_UNSHARE|abi.CLOSE_RANGE_CLOEXEC) != 0 || first > last {
		return 0, abi.EINVAL
	}
	if flags&abi.CLOSE_RANGE_UNSHARE != 0 {
		if err := t.UnshareFiles(); err != nil {
			return 0, err
		}
	}
	if flags&abi.CLOSE_RANGE_CLOEXEC != 0 {
		t.Files().CloexecRange(first, last)
	} else {
		t.Files().CloseRange(t.Ctx(), first, last)
	}
	return 0, nil
}
