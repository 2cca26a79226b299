package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/sentry/tty"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Ioctl is ioctl(2): first the requests that every file knows.
func Ioctl(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, err := getIOFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	cmd, arg := a.Uint(1), a.Size(2)
	switch cmd {
	case abi.FIOCLEX:
		return done0(t.Files().SetCloexec(a.Int(0), true))
	case abi.FIONCLEX:
		return done0(t.Files().SetCloexec(a.Int(0), false))
	case abi.FIONBIO:
		on, err := copyIn[int32](t, abi.Addr(arg))
		if err != nil {
			return 0, err
		}
		f.SetNonBlocking(on != 0)
		return 0, nil
	case abi.FIOASYNC:
		on, err := copyIn[int32](t, abi.Addr(arg))
		if err != nil {
			return 0, err
		}
		err = f.SetAsync(on != 0)
		f.WatchAsync(t.Kernel(), a.Int(0))
		return done0(err)
	case figetbsz, abi.FIOQSIZE, fsIocFiemap, abi.FICLONE, ficloneRange:
		return 0, fileIoctl(t, f, cmd, arg)
	case abi.TIOCGPTPEER:
		peer, err := tty.PeerOf(t.Ctx(), f, uint32(arg))
		if err != nil {
			return 0, err
		}
		return install(t, peer, arg&abi.O_CLOEXEC != 0)
	}
	return f.Ioctl(t.Ctx(), cmd, arg, t.MM())
}

// Requests that are for files of every file system, of linux/fs.h.
const (
	figetbsz     = 2
	fsIocFiemap  = 0xc020660b
	ficloneRange = 0x4020940d
)

// fileIoctl does the requests that the VFS of Linux answers for all file systems.
func fileIoctl(t *kernel.Task, f *vfs.File, cmd uint32, arg uint64) error {
	switch cmd {
	case figetbsz:
		st, err := vfs.StatFS(t.Ctx(), f.Path)
		if err != nil {
			return err
		}
		size := int32(st.Bsize)
		return copyOut(t, abi.Addr(arg), &size)
	case abi.FIOQSIZE:
		switch f.Path.Dentry.Type() {
		case abi.S_IFREG, abi.S_IFDIR, abi.S_IFLNK:
		default:
			return abi.ENOTTY
		}
		at, _, err := vfs.Stat(t.Ctx(), f.Path)
		if err != nil {
			return err
		}
		used := at.Blocks * 512
		return copyOut(t, abi.Addr(arg), &used)
	case fsIocFiemap:
		return abi.EOPNOTSUPP // where the blocks are is the host's
	case ficloneRange:
		fd, err := copyIn[int64](t, abi.Addr(arg)) // the first field of struct file_clone_range
		if err != nil {
			return err
		}
		return cloneFile(t, f, int32(fd))
	default: // FICLONE
		return cloneFile(t, f, int32(arg))
	}
}

// cloneFile is FICLONE (ioctl_ficlone(2)): no file system here shares blocks between files,
// but what is wrong with the arguments is said first.
func cloneFile(t *kernel.Task, to *vfs.File, fd int32) error {
	from, err := getIOFile(t, fd)
	if err != nil {
		return err
	}
	defer from.DecRef()
	if from.Inode.Super() != to.Inode.Super() {
		return abi.EXDEV
	}
	if err := (filePair{in: from, out: to}).rangeable(); err != nil {
		return err
	}
	return abi.EOPNOTSUPP
}
