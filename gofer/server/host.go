package server

import (
	"errors"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
	"lazaret/syscalls/abi"
)

// resolveFlags confine one lookup: never out of the directory, never through a link.
const resolveFlags = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS

// openFlags are added to every open: no link is followed, a FIFO or a device never
// blocks us, no terminal becomes ours.
const openFlags = unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY

// openBeneath opens one name in the directory dir.
func openBeneath(dir int, name string, flags int, mode uint32) (int, error) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC | unix.O_NOFOLLOW), Resolve: resolveFlags}
	if flags&(unix.O_CREAT|unix.O_TMPFILE&^unix.O_DIRECTORY) != 0 {
		how.Mode = uint64(mode)
	}
	for {
		fd, err := unix.Openat2(dir, name, &how)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

const statMask = unix.STATX_BASIC_STATS | unix.STATX_BTIME

// statAt is statx of name in dir, or of dir itself if name is empty; links are not followed.
func statAt(dir int, name string, st *unix.Statx_t) error {
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	for {
		err := unix.Statx(dir, name, flags, statMask, st)
		if err != unix.EINTR {
			return err
		}
	}
}

// identity tells files apart. Linux reuses inode numbers, so it can miss that a name was
// replaced, but the type always fits what was checked.
type identity struct {
	major, minor uint32
	ino          uint64
	typ          uint16
}

func identityOf(st *unix.Statx_t) identity {
	return identity{st.Dev_major, st.Dev_minor, st.Ino, st.Mode & unix.S_IFMT}
}

func attrOf(st *unix.Statx_t, flags uint32) proto.Attr {
	ts := func(t unix.StatxTimestamp) proto.Timespec { return proto.Timespec{Sec: t.Sec, Nsec: t.Nsec} }
	return proto.Attr{
		Mask: st.Mask, Flags: flags, Mode: uint32(st.Mode), Nlink: st.Nlink, UID: st.Uid, GID: st.Gid,
		RdevMajor: st.Rdev_major, RdevMinor: st.Rdev_minor,
		DevMajor: st.Dev_major, DevMinor: st.Dev_minor,
		Ino: st.Ino, Size: st.Size, Blocks: st.Blocks, Blksize: st.Blksize, Attributes: st.Attributes,
		Atime: ts(st.Atime), Mtime: ts(st.Mtime), Ctime: ts(st.Ctime), Btime: ts(st.Btime),
	}
}

// errnoOf turns an error of a host call or a handler into a number for the wire.
func errnoOf(err error) uint32 {
	var h unix.Errno
	var a abi.Errno
	switch {
	case errors.As(err, &h) && h > 0 && h < 512:
		return uint32(h)
	case errors.As(err, &a) && a > 0 && a < 512:
		return uint32(a)
	}
	return uint32(unix.EIO)
}

func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
