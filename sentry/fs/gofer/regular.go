package gofer

import (
	"sync"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// regular is a regular file. Its I/O goes to donated host descriptors.
type regular struct {
	inode

	fdMu    sync.Mutex
	ro, rw  int // donated descriptors, -1 for none
	users   int // open files and mappings; the descriptors of an unused file are cached
	writers int // open files that may write: attributes come from the descriptor
}

// donate stores a descriptor that allows reading and writing.
func (r *regular) donate(fd int) {
	r.fdMu.Lock()
	if r.rw < 0 {
		r.rw, fd = fd, -1
	}
	idle := r.users == 0
	r.fdMu.Unlock()
	closeFD(fd)
	if idle {
		r.fs.fds.idle(r)
	}
}

// donateRO stores a descriptor that allows reading, if fd is one.
func (r *regular) donateRO(fd int) {
	if fd < 0 {
		return
	}
	r.fdMu.Lock()
	idle := r.users == 0 && r.ro < 0 && r.rw < 0
	if idle {
		r.ro, fd = fd, -1
	}
	r.fdMu.Unlock()
	closeFD(fd)
	if idle {
		r.fs.fds.idle(r)
	}
}

// acquireFD makes sure that there is a descriptor for the access, and counts a user.
func (r *regular) acquireFD(write bool) error {
	r.fdMu.Lock()
	defer r.fdMu.Unlock()
	if write && r.rw < 0 || !write && r.ro < 0 && r.rw < 0 {
		flags := abi.O_RDONLY
		if write {
			flags = abi.O_RDWR
		}
		fd := -1
		if !write {
			if fd = r.fs.takeFD(r); fd < 0 {
				fd = r.openNext()
			}
		}
		if fd < 0 {
			var err error
			if fd, err = r.open(flags); err != nil {
				return err
			}
		}
		if write {
			r.rw = fd
		} else {
			r.ro = fd
		}
	}
	r.users++
	if write {
		r.writers++
		r.fs.changed(r.key)
	}
	return nil
}

// open asks for a descriptor, and walks to the file in the same exchange if it must.
func (r *regular) open(flags int) (int, error) {
	for {
		start, chain, names, err := r.route()
		if err != nil {
			return -1, err
		}
		fd, err := r.openBy(start, chain, names, flags)
		if !r.strayed(start, err) {
			return fd, err
		}
	}
}

// openBy opens along a route.
func (r *regular) openBy(start *proto.File, chain []*inode, names []string, flags int) (fd int, err error) {
	var attr proto.Attr
	n := r.eventCount()
	if len(chain) == 0 {
		if fd, attr, err = start.OpenAttr(flags); err != nil {
			return -1, err
		}
	} else {
		steps, opened, openErr, err := start.WalkOpen(names, flags)
		if _, err := r.arrive(chain, steps, err); err != nil {
			closeFD(opened)
			return -1, err
		}
		if openErr != nil {
			return -1, openErr
		}
		fd, attr = opened, steps[len(steps)-1].Attr
	}
	if fd < 0 {
		return -1, abi.ENXIO
	}
	r.updateSince(n, &attr)
	return fd, nil
}

func (r *regular) releaseFD(write bool) {
	r.fdMu.Lock()
	r.users--
	if write {
		if r.writers--; r.writers == 0 {
			r.refresh()
			r.expectContent()
		}
	}
	idle := r.users == 0
	r.fdMu.Unlock()
	if idle {
		r.fs.fds.idle(r)
	}
}

// refresh takes the attributes from the descriptor, which knows of direct writes. Not the
// owner: the Sentry's user namespace has no names for the host's ids.
func (r *regular) refresh() bool {
	var st unix.Stat_t
	if fd := r.anyFDLocked(); fd < 0 || unix.Fstat(fd, &st) != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a := &r.attr
	a.Mode, a.Nlink = st.Mode, uint32(st.Nlink)
	a.Size, a.Blocks = uint64(st.Size), uint64(st.Blocks)
	a.Atime, a.Mtime, a.Ctime = timespec(st.Atim), timespec(st.Mtim), timespec(st.Ctim)
	return true
}

func timespec(t unix.Timespec) abi.Timespec { return abi.Timespec{Sec: t.Sec, Nsec: t.Nsec} }

// Attr implements vfs.Inode.
func (r *regular) Attr(ctx *vfs.Context, flags int) (vfs.Attr, error) {
	r.fdMu.Lock()
	if r.writers > 0 {
		r.refresh()
		r.fdMu.Unlock()
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.attr, nil
	}
	same := flags&abi.AT_STATX_FORCE_SYNC == 0 && r.unchangedLocked()
	r.fdMu.Unlock()
	if same {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.attr, nil
	}
	a, err := r.inode.Attr(ctx, flags)
	if err == abi.ESTALE && r.seen() {
		a, _ = r.cached()
		err = nil
	}
	return a, err
}

// unchangedLocked reports whether a descriptor shows that what is known, but not trusted, is
// true. Its caller holds fdMu.
func (r *regular) unchangedLocked() bool {
	var st unix.Stat_t
	if _, ok := r.cached(); ok || r.ro < 0 && r.rw < 0 || unix.Fstat(r.anyFDLocked(), &st) != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a := &r.attr
	return a.Ctime == timespec(st.Ctim) && a.Mtime == timespec(st.Mtim) && a.Mode == st.Mode &&
		a.Size == uint64(st.Size) && a.Nlink == uint32(st.Nlink)
}

// seen takes the attributes from a descriptor of a file in use that has lost its name.
func (r *regular) seen() bool {
	r.fdMu.Lock()
	defer r.fdMu.Unlock()
	return r.users > 0 && r.refresh()
}

// SetAttr implements vfs.Inode. A size is set through the descriptor when there is one: it
// reaches files without a name too.
func (r *regular) SetAttr(ctx *vfs.Context, set *vfs.SetAttr) error {
	if set.Valid&vfs.SetSize != 0 && set.Valid&^(vfs.SetSize|vfs.SetMtime|vfs.SetCtime) == 0 {
		r.fdMu.Lock()
		if r.rw >= 0 {
			defer r.fdMu.Unlock()
			if err := unix.Ftruncate(r.rw, int64(set.Size)); err != nil {
				return errno(err)
			}
			r.refresh()
			r.fs.changed(r.key)
			return nil
		}
		r.fdMu.Unlock()
	}
	return r.inode.SetAttr(ctx, set)
}

// ReleaseInode implements vfs.Releaser.
func (r *regular) ReleaseInode() {
	r.fs.fds.forget(r)
	r.fdMu.Lock()
	r.closeLocked()
	r.fdMu.Unlock()
	r.inode.ReleaseInode()
}

func (r *regular) closeLocked() {
	closeFD(r.ro)
	closeFD(r.rw)
	r.ro, r.rw = -1, -1
}

// closeIdle closes the descriptors if nobody uses them: on an overlay of the host's, they may
// show what the file was before somebody wrote to it.
func (r *regular) closeIdle() {
	r.fdMu.Lock()
	defer r.fdMu.Unlock()
	if r.users == 0 {
		r.closeLocked()
	}
}

// readFD returns the descriptor for reading. Preconditions: the caller is a user.
func (r *regular) readFD() int {
	r.fdMu.Lock()
	defer r.fdMu.Unlock()
	return r.anyFDLocked()
}

// anyFDLocked returns a descriptor that shows what is written, or -1. Its caller holds fdMu.
func (r *regular) anyFDLocked() int {
	if r.rw >= 0 {
		return r.rw
	}
	return r.ro
}

// Open implements vfs.Inode.
func (r *regular) Open(_ *vfs.Context, f *vfs.File) (vfs.FileOps, error) {
	write := f.Mode&vfs.ModeWrite != 0
	if err := r.acquireFD(write); err != nil {
		return nil, err
	}
	return &openFile{r: r, write: write, fd: r.fdFor(write)}, nil
}

func (r *regular) fdFor(write bool) int {
	if !write {
		return r.readFD()
	}
	r.fdMu.Lock()
	defer r.fdMu.Unlock()
	return r.rw
}

// openFile is an open regular file.
type openFile struct {
	r     *regular
	write bool
	fd    int // one of r's, which stay open while they have users
}

// Release implements vfs.FileOps.
func (o *openFile) Release(*vfs.File) { o.r.releaseFD(o.write) }

// maxBlocks is IOV_MAX: the blocks that one host call takes.
const maxBlocks = 1024

// Read implements vfs.FileOps.
func (o *openFile) Read(_ *vfs.Context, _ *vfs.File, dst uio.Bufs, pos *int64) (int, error) {
	if len(dst) > maxBlocks {
		dst = dst[:maxBlocks]
	}
	var n int
	var err error
	if len(dst) == 1 {
		n, err = unix.Pread(o.fd, dst[0], *pos)
	} else {
		n, err = unix.Preadv(o.fd, dst, *pos)
	}
	if err != nil {
		return 0, errno(err)
	}
	*pos += int64(n)
	return n, nil
}

// Write implements vfs.FileOps.
func (o *openFile) Write(_ *vfs.Context, f *vfs.File, src uio.Bufs, pos *int64) (int, error) {
	if len(src) > maxBlocks {
		src = src[:maxBlocks]
	}
	if f.Flags()&abi.O_APPEND != 0 {
		n, err := unix.Pwritev2(o.fd, src, 0, unix.RWF_APPEND)
		if err != nil {
			return 0, errno(err)
		}
		var st unix.Stat_t
		if unix.Fstat(o.fd, &st) == nil {
			*pos = st.Size
		}
		return n, nil
	}
	n, err := unix.Pwritev(o.fd, src, *pos)
	if err != nil {
		return 0, errno(err)
	}
	*pos += int64(n)
	return n, nil
}

// Sync implements vfs.Syncer.
func (o *openFile) Sync(_ *vfs.Context, _ *vfs.File, dataOnly bool) error {
	if dataOnly {
		return errno(unix.Fdatasync(o.fd))
	}
	return errno(unix.Fsync(o.fd))
}

// Allocate implements vfs.Allocator.
func (o *openFile) Allocate(_ *vfs.Context, _ *vfs.File, mode uint32, off, n int64) error {
	return errno(unix.Fallocate(o.fd, mode, off, n))
}

// SeekHole implements vfs.HoleSeeker. The descriptor's own offset is not used otherwise.
func (o *openFile) SeekHole(off int64, whence int) (int64, error) {
	at, err := unix.Seek(o.fd, off, whence)
	return at, errno(err)
}

// Mmap implements vfs.Mapper.
func (o *openFile) Mmap(*vfs.Context, *vfs.File, uint32, uint32) (memfile.Mappable, error) {
	return o.r, nil
}

// Extent implements memfile.Mappable: the host file itself. What lies past its end is the
// host's to refuse (SIGBUS).
func (r *regular) Extent(_ *memfile.Account, off, n uint64, write bool) (memfile.Extent, error) {
	r.fdMu.Lock()
	defer r.fdMu.Unlock()
	fd := r.rw
	if fd < 0 {
		fd = r.ro
	}
	if fd < 0 || write && r.rw < 0 {
		return memfile.Extent{}, abi.EFAULT
	}
	return memfile.Extent{FD: fd, Off: int64(off), Len: n}, nil
}

// Constant implements memfile.Constant.
func (r *regular) Constant() bool { return r.fs.fixed }

// AddMapping implements memfile.Mappable: a mapping keeps the descriptors open. Pages are
// counted, since a range may go in other pieces than it came.
func (r *regular) AddMapping(_ memfile.Mapper, ar abi.AddrRange, _ uint64, _ bool) error {
	r.fdMu.Lock()
	defer r.fdMu.Unlock()
	if r.ro < 0 && r.rw < 0 {
		return abi.ENODEV
	}
	r.users += int(ar.Len() >> abi.PageShift)
	return nil
}

// RemoveMapping implements memfile.Mappable.
func (r *regular) RemoveMapping(_ memfile.Mapper, ar abi.AddrRange, _ uint64, _ bool) {
	r.fdMu.Lock()
	r.users -= int(ar.Len() >> abi.PageShift)
	idle := r.users == 0
	r.fdMu.Unlock()
	if idle {
		r.fs.fds.idle(r)
	}
}

// Sync implements memfile.Mappable.
func (r *regular) Sync(off, n uint64) error {
	r.fdMu.Lock()
	fd := r.rw
	r.fdMu.Unlock()
	if fd < 0 {
		return nil
	}
	return errno(unix.Fdatasync(fd))
}

// errno makes an abi.Errno of a host error.
func errno(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(unix.Errno); ok {
		return abi.Errno(e)
	}
	return abi.EIO
}

func closeFD(fd int) {
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}
