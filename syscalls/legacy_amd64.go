package syscalls

import (
	"encoding/binary"
	"time"

	"lazaret/sentry/kernel"
	"lazaret/sentry/kernel/clock"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// legacyRows are the calls that only amd64 has: older forms of others.
var legacyRows = []Row{
	full(abi.SYS_OPEN, "open", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return openAt(t, abi.AT_FDCWD, a.Addr(0), vfs.OpenHow{Flags: a.Uint(1) | abi.O_LARGEFILE, Mode: a.Uint(2)})
	}, Path, Hex, Octal),
	full(abi.SYS_CREAT, "creat", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return openAt(t, abi.AT_FDCWD, a.Addr(0), vfs.OpenHow{Flags: abi.O_CREAT | abi.O_WRONLY | abi.O_TRUNC | abi.O_LARGEFILE, Mode: a.Uint(1)})
	}, Path, Octal),
	full(abi.SYS_STAT, "stat", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return done0(statAt(t, abi.AT_FDCWD, a.Addr(0), a.Addr(1), 0))
	}, Path, Buf),
	full(abi.SYS_LSTAT, "lstat", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return done0(statAt(t, abi.AT_FDCWD, a.Addr(0), a.Addr(1), abi.AT_SYMLINK_NOFOLLOW))
	}, Path, Buf),
	full(abi.SYS_MKDIR, "mkdir", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return done0(mkdirAt(t, abi.AT_FDCWD, a.Addr(0), a.Uint(1)))
	}, Path, Octal),
	full(abi.SYS_MKNOD, "mknod", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return done0(mknodAt(t, abi.AT_FDCWD, a.Addr(0), a.Uint(1), a.Uint(2)))
	}, Path, Octal, Hex),
	full(abi.SYS_SYMLINK, "symlink", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return done0(symlinkAt(t, a.Addr(0), abi.AT_FDCWD, a.Addr(1)))
	}, Path, Path),
	full(abi.SYS_LINK, "link", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return done0(linkAt(t, abi.AT_FDCWD, a.Addr(0), abi.AT_FDCWD, a.Addr(1), 0))
	}, Path, Path),
	full(abi.SYS_UNLINK, "unlink", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return done0(unlinkAt(t, abi.AT_FDCWD, a.Addr(0), 0))
	}, Path),
	full(abi.SYS_RMDIR, "rmdir", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return done0(unlinkAt(t, abi.AT_FDCWD, a.Addr(0), abi.AT_REMOVEDIR))
	}, Path),
	full(abi.SYS_RENAME, "rename", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return done0(renameAt(t, abi.AT_FDCWD, a.Addr(0), abi.AT_FDCWD, a.Addr(1), 0))
	}, Path, Path),
	full(abi.SYS_RENAMEAT, "renameat", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return done0(renameAt(t, a.Int(0), a.Addr(1), a.Int(2), a.Addr(3), 0))
	}, FD, Path, FD, Path),
	full(abi.SYS_READLINK, "readlink", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return readlinkAt(t, abi.AT_FDCWD, a.Addr(0), a.Addr(1), a.Int(2))
	}, Path, Buf, Hex),
	full(abi.SYS_CHMOD, "chmod", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return done0(chmodAt(t, abi.AT_FDCWD, a.Addr(0), a.Uint(1), 0))
	}, Path, Octal),
	full(abi.SYS_CHOWN, "chown", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return done0(chownAt(t, abi.AT_FDCWD, a.Addr(0), a.Uint(1), a.Uint(2), 0))
	}, Path, Int, Int),
	full(abi.SYS_LCHOWN, "lchown", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return done0(chownAt(t, abi.AT_FDCWD, a.Addr(0), a.Uint(1), a.Uint(2), abi.AT_SYMLINK_NOFOLLOW))
	}, Path, Int, Int),
	full(abi.SYS_ACCESS, "access", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return done0(accessAt(t, abi.AT_FDCWD, a.Addr(0), a.Uint(1), 0))
	}, Path, Octal),
	full(abi.SYS_DUP2, "dup2", Dup2, FD, FD),
	full(abi.SYS_POLL, "poll", Poll, Buf, Int, Int),
	full(abi.SYS_SELECT, "select", Select, Int, Buf, Buf, Buf, Buf),
	full(abi.SYS_PIPE, "pipe", func(t *kernel.Task, a *abi.Args) (uint64, error) { return done0(pipe2(t, a.Addr(0), 0)) }, Buf),
	full(abi.SYS_EVENTFD, "eventfd", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return Eventfd2(t, &abi.Args{a[0], 0})
	}, Int),
	full(abi.SYS_EPOLL_CREATE, "epoll_create", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		if a.Int(0) <= 0 {
			return 0, abi.EINVAL
		}
		return EpollCreate1(t, &abi.Args{})
	}, Int),
	full(abi.SYS_EPOLL_WAIT, "epoll_wait", func(t *kernel.Task, a *abi.Args) (uint64, error) {
		return epollWait(t, a, millis(a.Int(3)))
	}, FD, Buf, Int, Int),
	full(abi.SYS_TIME, "time", Time, Buf),
	full(abi.SYS_GETDENTS, "getdents", Getdents, FD, Buf, Hex),
}

// Dup2 is dup2(2).
func Dup2(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Int(0) == a.Int(1) {
		f, err := getFile(t, a.Int(0))
		if err != nil {
			return 0, err
		}
		f.DecRef()
		return uint64(a.Int(1)), nil
	}
	return dupTo(t, a.Int(0), a.Int(1), false)
}

// Getdents is the older getdents(2), whose type byte is at the end.
func Getdents(t *kernel.Task, a *abi.Args) (uint64, error) {
	return getdents(t, a, func(out []byte, d *vfs.Dirent, room int) []byte {
		n := (18 + len(d.Name) + 2 + 7) &^ 7
		if n > room {
			return nil
		}
		end := len(out) + n
		out = binary.LittleEndian.AppendUint64(out, d.Ino)
		out = binary.LittleEndian.AppendUint64(out, uint64(d.Next))
		out = binary.LittleEndian.AppendUint16(out, uint16(n))
		out = append(out, d.Name...)
		out = append(out, make([]byte, end-len(out))...)
		out[end-1] = d.Type
		return out
	})
}

// Select is select(2), whose timeout is a timeval that is written back.
func Select(t *kernel.Task, a *abi.Args) (uint64, error) {
	var deadline time.Time
	addr, zero := a.Addr(4), false
	if addr != 0 {
		tv, err := copyIn[abi.Timeval](t, addr)
		if err != nil {
			return 0, err
		}
		if tv.Sec < 0 || tv.Usec < 0 {
			return 0, abi.EINVAL
		}
		ns := abi.Timespec{Sec: tv.Sec + tv.Usec/1_000_000, Nsec: tv.Usec % 1_000_000 * abi.NsecPerUsec}.Nano()
		deadline, zero = clock.After(ns), ns == 0
	}
	n, err := selectFDs(t, a, deadline, zero)
	if addr != 0 {
		left := abi.NsecToTimeval(max(time.Until(deadline).Nanoseconds(), 0))
		_ = copyOut(t, addr, &left)
	}
	return n, noHand(err)
}

// Time is time(2).
func Time(t *kernel.Task, a *abi.Args) (uint64, error) {
	now := t.Kernel().Clock.RealtimeNS() / abi.NsecPerSec
	if addr := a.Addr(0); addr != 0 {
		return uint64(now), copyOut(t, addr, &now)
	}
	return uint64(now), nil
}
