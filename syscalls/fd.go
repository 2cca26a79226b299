package syscalls

import (
	"lazaret/sentry/fs/pipe"
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

var fdRows = []Row{
	full(abi.SYS_DUP, "dup", Dup, FD),
	full(abi.SYS_DUP3, "dup3", Dup3, FD, FD, Hex),
	partial(abi.SYS_FCNTL, "fcntl", Fcntl, "leases and directory notification (F_SETLEASE, F_NOTIFY) are refused", FD, Int, Hex),
	full(abi.SYS_IOCTL, "ioctl", Ioctl, FD, Hex, Hex),
	full(abi.SYS_FLOCK, "flock", Flock, FD, Hex),
}

// Dup is dup(2).
func Dup(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, err := getFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	return install(t, f, false)
}

// Dup3 is dup3(2).
func Dup3(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Uint(2)&^abi.O_CLOEXEC != 0 || a.Int(0) == a.Int(1) {
		return 0, abi.EINVAL
	}
	return dupTo(t, a.Int(0), a.Int(1), a.Uint(2)&abi.O_CLOEXEC != 0)
}

func dupTo(t *kernel.Task, from, to int32, cloexec bool) (uint64, error) {
	f, err := getFile(t, from)
	if err != nil {
		return 0, err
	}
	if err := t.Files().AllocAt(t.Ctx(), to, f, cloexec, nofile(t)); err != nil {
		f.DecRef()
		return 0, err
	}
	return uint64(to), nil
}

// Fcntl is fcntl(2).
func Fcntl(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, err := getFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	fd, cmd, arg := a.Int(0), a.Int(1), a.Size(2)
	switch cmd {
	case abi.F_DUPFD, abi.F_DUPFD_CLOEXEC:
		f.IncRef()
		n, err := t.Files().Alloc(int32(min(arg, 1<<31-1)), f, cmd == abi.F_DUPFD_CLOEXEC, nofile(t))
		if err != nil {
			f.DecRef()
			return 0, err
		}
		return uint64(n), nil
	case abi.F_GETFD:
		on, err := t.Files().Cloexec(fd)
		if on {
			return abi.FD_CLOEXEC, err
		}
		return 0, err
	case abi.F_SETFD:
		return done0(t.Files().SetCloexec(fd, arg&abi.FD_CLOEXEC != 0))
	case abi.F_GETFL:
		return uint64(f.Flags()), nil
	case fDupfdQuery:
		return sameFile(t, f, int32(arg))
	}
	if f.Mode&vfs.ModePath != 0 {
		return 0, abi.EBADF
	}
	return fcntlIO(t, f, a.Int(0), cmd, arg)
}

// fDupfdQuery is F_DUPFD_QUERY of Linux 6.10: is arg the same open file?
const fDupfdQuery = 1024 + 3

func sameFile(t *kernel.Task, f *vfs.File, fd int32) (uint64, error) {
	o, err := getFile(t, fd)
	if err != nil {
		return 0, err
	}
	defer o.DecRef()
	if o == f {
		return 1, nil
	}
	return 0, nil
}

// fcntlIO does the requests that O_PATH files refuse.
func fcntlIO(t *kernel.Task, f *vfs.File, fd, cmd int32, arg uint64) (uint64, error) {
	switch cmd {
	case abi.F_SETFL:
		err := f.SetStatusFlags(t.Ctx(), uint32(arg))
		f.WatchAsync(t.Kernel(), fd)
		return done0(err)
	case abi.F_GETLK, abi.F_SETLK, abi.F_SETLKW, abi.F_OFD_GETLK, abi.F_OFD_SETLK, abi.F_OFD_SETLKW:
		return done0(recordLock(t, f, cmd, abi.Addr(arg)))
	case abi.F_GETOWN, abi.F_SETOWN, abi.F_GETOWN_EX, abi.F_SETOWN_EX, abi.F_GETSIG, abi.F_SETSIG:
		defer f.WatchAsync(t.Kernel(), fd)
		return fcntlOwner(t, f, cmd, arg)
	case abi.F_GETPIPE_SZ, abi.F_SETPIPE_SZ:
		p := pipe.Of(f)
		if p == nil {
			return 0, abi.EBADF
		}
		if cmd == abi.F_GETPIPE_SZ {
			return uint64(p.Size()), nil
		}
		return retInt(p.SetSize(t.Ctx(), uint64(uint32(arg))))
	case abi.F_GET_SEALS:
		s, err := f.Seals()
		return uint64(s), err
	case abi.F_ADD_SEALS:
		return done0(f.AddSeals(uint32(arg)))
	case abi.F_GETLEASE:
		return abi.F_UNLCK, nil
	case abi.F_SETLEASE:
		return done0(f.SetLease(t.Ctx(), int32(arg)))
	case abi.F_GET_RW_HINT, abi.F_GET_FILE_RW_HINT:
		var none uint64
		return done0(copyOut(t, abi.Addr(arg), &none))
	case abi.F_SET_RW_HINT, abi.F_SET_FILE_RW_HINT:
		return 0, nil
	}
	return 0, abi.EINVAL
}

// flock is struct flock of 64-bit architectures.
type flock struct {
	Type, Whence int16
	_            int32
	Start, Len   int64
	PID          int32
	_            int32
}

func recordLock(t *kernel.Task, f *vfs.File, cmd int32, addr abi.Addr) error {
	l, err := copyIn[flock](t, addr)
	if err != nil {
		return err
	}
	k := vfs.RecordLock{Owner: t.Files(), PID: t.ThreadGroup().PIDIn(t.PIDNS()), Type: l.Type}
	if cmd == abi.F_OFD_GETLK || cmd == abi.F_OFD_SETLK || cmd == abi.F_OFD_SETLKW {
		if l.PID != 0 {
			return abi.EINVAL
		}
		k.Owner, k.PID = f, -1
	}
	if k.Start, k.End, err = lockRange(t, f, &l); err != nil {
		return err
	}
	switch l.Type {
	case abi.F_RDLCK, abi.F_WRLCK:
	case abi.F_UNLCK:
		if cmd == abi.F_GETLK {
			return abi.EINVAL
		}
	default:
		return abi.EINVAL
	}
	switch cmd {
	case abi.F_GETLK, abi.F_OFD_GETLK:
		got := f.TestLock(k)
		l.Type = got.Type
		if got.Type != abi.F_UNLCK {
			l = flock{Type: got.Type, Whence: abi.SEEK_SET, Start: got.Start, PID: got.PID}
			if got.End != 1<<63-1 {
				l.Len = got.End - got.Start + 1
			}
		}
		return copyOut(t, addr, &l)
	case abi.F_SETLKW, abi.F_OFD_SETLKW:
		return f.SetLock(t.Ctx(), k, vfs.LockSleep)
	default:
		return f.SetLock(t.Ctx(), k, vfs.LockNoWait)
	}
}

// lockRange returns the first and last byte that l names (fcntl(2)).
func lockRange(t *kernel.Task, f *vfs.File, l *flock) (first, last int64, err error) {
	base := int64(0)
	switch l.Whence {
	case abi.SEEK_SET:
	case abi.SEEK_CUR:
		base = f.Pos()
	case abi.SEEK_END:
		a, _, err := vfs.Stat(t.Ctx(), f.Path)
		if err != nil {
			return 0, 0, err
		}
		base = int64(a.Size)
	default:
		return 0, 0, abi.EINVAL
	}
	first = base + l.Start
	if l.Start > 0 && first < base {
		return 0, 0, abi.EOVERFLOW
	}
	switch {
	case l.Len == 0:
		last = 1<<63 - 1
	case l.Len > 0:
		if last = first + l.Len - 1; last < first {
			return 0, 0, abi.EOVERFLOW
		}
	default:
		first, last = first+l.Len, first-1
	}
	if first < 0 {
		return 0, 0, abi.EINVAL
	}
	return first, last, nil
}

// ownerEx is struct f_owner_ex.
type ownerEx struct{ Type, PID int32 }

func fcntlOwner(t *kernel.Task, f *vfs.File, cmd int32, arg uint64) (uint64, error) {
	o := f.Owner()
	switch cmd {
	case abi.F_GETSIG:
		return uint64(o.Signal), nil
	case abi.F_SETSIG:
		if arg > abi.NSIG {
			return 0, abi.EINVAL
		}
		o.Signal = int32(arg)
		f.SetOwner(o)
		return 0, nil
	case abi.F_GETOWN:
		if o.Type == abi.F_OWNER_PGRP {
			return uint64(-int64(o.PID)), nil
		}
		return uint64(o.PID), nil
	case abi.F_GETOWN_EX:
		ex := ownerEx{o.Type, o.PID}
		return done0(copyOut(t, abi.Addr(arg), &ex))
	case abi.F_SETOWN_EX:
		ex, err := copyIn[ownerEx](t, abi.Addr(arg))
		if err != nil {
			return 0, err
		}
		if ex.Type != abi.F_OWNER_TID && ex.Type != abi.F_OWNER_PID && ex.Type != abi.F_OWNER_PGRP {
			return 0, abi.EINVAL
		}
		return done0(setOwner(t, f, o, ex))
	default: // F_SETOWN
		ex := ownerEx{abi.F_OWNER_PID, int32(arg)}
		if ex.PID == -1<<31 {
			return 0, abi.EINVAL
		}
		if ex.PID < 0 {
			ex = ownerEx{abi.F_OWNER_PGRP, -ex.PID}
		}
		return done0(setOwner(t, f, o, ex))
	}
}

func setOwner(t *kernel.Task, f *vfs.File, o vfs.FileOwner, ex ownerEx) error {
	o.Target = nil
	if ex.PID != 0 {
		p := t.Kernel().FileOwnerByID(t.PIDNS(), ex.Type, ex.PID)
		if p == nil {
			return abi.ESRCH
		}
		o.Target = p
	}
	c := t.Creds()
	o.Type, o.PID, o.UID, o.EUID = ex.Type, ex.PID, c.RUID, c.EUID
	f.SetOwner(o)
	return nil
}

// Flock is flock(2).
func Flock(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, err := getIOFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	return done0(f.Flock(t.Ctx(), a.Uint(1)))
}
