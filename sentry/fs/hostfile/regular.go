package hostfile

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// regular is the open file over a host descriptor that is always ready: a regular file,
// a block device or /dev/null. It keeps no offset: the description's own counts, which
// other processes move too.
type regular struct {
	fd       int
	seekable bool
	refs     atomic.Int32 // open files
}

// Read implements vfs.FileOps.
func (r *regular) Read(_ *vfs.Context, f *vfs.File, dst uio.Bufs, pos *int64) (int, error) {
	dst = trim(dst)
	if r.seekable && !ownPos(f, pos) {
		n, err := again(func() (int, error) { return unix.Preadv(r.fd, dst, *pos) })
		if err == nil {
			*pos += int64(n)
		}
		return n, err
	}
	return again(func() (int, error) { return unix.Readv(r.fd, dst) })
}

// Write implements vfs.FileOps.
func (r *regular) Write(_ *vfs.Context, f *vfs.File, src uio.Bufs, pos *int64) (int, error) {
	src = trim(src)
	if r.seekable && !ownPos(f, pos) {
		n, err := again(func() (int, error) { return unix.Pwritev(r.fd, src, *pos) })
		if err == nil {
			*pos += int64(n)
		}
		return n, err
	}
	return again(func() (int, error) { return unix.Writev(r.fd, src) })
}

// Seek implements vfs.Seeker.
func (r *regular) Seek(_ *vfs.Context, _ *vfs.File, off int64, whence int) (int64, error) {
	n, err := unix.Seek(r.fd, off, whence)
	if err != nil {
		return 0, hostErr(err)
	}
	return n, nil
}

// Sync implements vfs.Syncer.
func (r *regular) Sync(_ *vfs.Context, _ *vfs.File, dataOnly bool) error {
	if dataOnly {
		return hostErr(unix.Fdatasync(r.fd))
	}
	return hostErr(unix.Fsync(r.fd))
}

// Ioctl implements vfs.Ioctler.
func (r *regular) Ioctl(_ *vfs.Context, _ *vfs.File, cmd uint32, arg uint64, mem uio.Memory) (uint64, error) {
	return hostIoctl(r.fd, false, cmd, abi.Addr(arg), mem)
}

// Release implements vfs.FileOps.
func (r *regular) Release(*vfs.File) {
	if r.refs.Add(-1) == 0 {
		unix.Close(r.fd)
	}
}
