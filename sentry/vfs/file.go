package vfs

import (
	"sync"
	"sync/atomic"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Mode bits of an open file.
const (
	ModeRead   = 1 << iota // opened for reading
	ModeWrite              // opened for writing
	ModeStream             // no position: lseek, pread and pwrite give ESPIPE
	ModePath               // O_PATH: no I/O
	ModeDir                // a directory

	ModeTruncate // opened with O_TRUNC: FileOps may count on the truncation that follows
	ModeNoSeek   // a ModeStream whose lseek moves nothing and says 0 (eventfd and its like)
	ModeAsync    // knows O_ASYNC: others drop it in F_SETFL
	ModeUrgent   // a socket: its owner (F_SETOWN) gets SIGURG

	modeWriter // counted in InodeState.writers
	modeExec   // holds off writers (OpenExec)
)

// statusFlags are what fcntl(F_SETFL) can change.
const statusFlags = abi.O_APPEND | abi.O_NONBLOCK | abi.O_DIRECT | abi.O_NOATIME | abi.O_ASYNC

// File is an open file description (open(2)): what descriptors refer to.
type File struct {
	refs atomic.Int64

	Path  Path        // where it was opened; files without a name have a dentry of their own
	Inode Inode       // Path.Dentry's inode at open
	Ops   FileOps     // nil for O_PATH
	Mode  uint32      // Mode* bits, fixed after open
	Creds *auth.Creds // of the opener

	flags atomic.Uint32 // O_APPEND, O_NONBLOCK and other status flags

	posMu sync.Mutex // serializes users of pos, as f_pos_lock
	pos   int64

	shownPos atomic.Int64 // pos when posMu was unlocked last

	ownerMu sync.Mutex
	owner   FileOwner // F_SETOWN and F_SETSIG
	async   *AsyncWatch

	locked atomic.Bool // flock or OFD locks were taken through it

	acct *memfile.Account // pays cost bytes for the description; nil: nobody
	cost uint64
}

// What an open file takes of the kernel's memory, in bytes: alone, and with a dentry and
// an inode or operations of its own.
const (
	fileCost      = 512
	inodeFileCost = 1536
)

// charge makes ctx's container pay for f.
func (f *File) charge(ctx *Context, cost uint64) error {
	if ctx.Account == nil {
		return nil
	}
	if err := ctx.Account.Charge(cost); err != nil {
		return err
	}
	f.acct, f.cost = ctx.Account, cost
	openFiles.Add(1)
	return nil
}

func (f *File) uncharge() {
	if f.acct != nil {
		f.acct.Uncharge(f.cost)
		f.acct = nil
		openFiles.Add(-1)
	}
}

// openFiles counts what somebody pays for: the open files of applications. Like Linux's
// file-nr it is of the whole sandbox.
var openFiles atomic.Int64

// OpenFiles returns how many open files applications have.
func OpenFiles() int64 { return openFiles.Load() }

// FileOwner is whom SIGIO goes to.
type FileOwner struct {
	Type      int32 // F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP
	PID       int32 // as the setter's pid namespace knows it
	Target    any   // the kernel's object for it; nil: nobody
	UID, EUID auth.KUID
	Signal    int32 // 0: SIGIO
}

// IncRef adds a reference.
func (f *File) IncRef() { f.refs.Add(1) }

// TryIncRef adds a reference unless the file is being released.
func (f *File) TryIncRef() bool {
	for {
		r := f.refs.Load()
		if r <= 0 {
			return false
		}
		if f.refs.CompareAndSwap(r, r+1) {
			return true
		}
	}
}

// Refs returns the number of references.
func (f *File) Refs() int64 { return f.refs.Load() }

// DecRef drops a reference; the last one closes the file.
func (f *File) DecRef() {
	if f.refs.Add(-1) != 0 {
		return
	}
	if f.Mode&ModePath == 0 {
		if f.Mode&ModeWrite != 0 {
			notifyFile(f, inCloseWrite)
		} else {
			notifyFile(f, inCloseNoWrite)
		}
	}
	if f.locked.Load() {
		dropFileLocks(f)
	}
	f.stopAsync()
	if f.Ops != nil {
		f.Ops.Release(f)
	}
	if f.Mode&modeWriter != 0 {
		f.Path.Dentry.state.putWrite()
		f.Path.Mount.endWrite()
	}
	if f.Mode&modeExec != 0 {
		f.Path.Dentry.state.allowWrite()
	}
	f.uncharge()
	f.Path.DecRef()
}

// Flags returns the access mode and status flags, as F_GETFL gives them.
func (f *File) Flags() uint32 { return f.flags.Load() }

// NonBlocking reports whether O_NONBLOCK is set.
func (f *File) NonBlocking() bool { return f.flags.Load()&abi.O_NONBLOCK != 0 }

// FlagSetter is a FileOps that acts on F_SETFL (and may refuse it).
type FlagSetter interface {
	SetFlags(f *File, flags uint32) error
}

// SetStatusFlags is F_SETFL.
func (f *File) SetStatusFlags(ctx *Context, flags uint32) error {
	flags &= statusFlags
	old := f.flags.Load()
	if flags&abi.O_NOATIME != 0 && old&abi.O_NOATIME == 0 {
		_, uid, _, err := perms(ctx, f.Inode)
		if err != nil {
			return err
		}
		if !ownerOrCapable(ctx.Creds, uid) {
			return abi.EPERM
		}
	}
	if s, ok := f.Ops.(FlagSetter); ok {
		if err := s.SetFlags(f, flags); err != nil {
			return err
		}
	}
	mask := uint32(statusFlags)
	if f.Mode&ModeAsync == 0 {
		mask &^= abi.O_ASYNC
	}
	f.updateFlags(mask, flags)
	return nil
}

// SetAsync is FIOASYNC.
func (f *File) SetAsync(on bool) error {
	want := uint32(0)
	if on {
		want = abi.O_ASYNC
	}
	if f.Mode&ModeAsync == 0 && f.flags.Load()&abi.O_ASYNC != want {
		return abi.ENOTTY
	}
	f.updateFlags(abi.O_ASYNC, want)
	return nil
}

// SetNonBlocking is FIONBIO.
func (f *File) SetNonBlocking(on bool) {
	if on {
		f.updateFlags(abi.O_NONBLOCK, abi.O_NONBLOCK)
	} else {
		f.updateFlags(abi.O_NONBLOCK, 0)
	}
}

func (f *File) updateFlags(mask, to uint32) {
	for {
		old := f.flags.Load()
		if f.flags.CompareAndSwap(old, old&^mask|to&mask) {
			return
		}
	}
}

// Owner returns what F_SETOWN and F_SETSIG set.
func (f *File) Owner() FileOwner {
	f.ownerMu.Lock()
	defer f.ownerMu.Unlock()
	return f.owner
}

// SetOwner is F_SETOWN and F_SETSIG.
func (f *File) SetOwner(o FileOwner) {
	f.ownerMu.Lock()
	f.owner = o
	f.ownerMu.Unlock()
}

// Poll returns the events that are true now.
func (f *File) Poll() wait.Mask {
	if p, ok := f.Ops.(Poller); ok {
		return p.Poll(f)
	}
	return wait.In | wait.Out | abi.POLLRDNORM | abi.POLLWRNORM
}

// CanPoll reports whether readiness ever changes: epoll(7) refuses other files.
func (f *File) CanPoll() bool {
	_, ok := f.Ops.(Poller)
	return ok
}

// WaitQueue returns the queue that is notified of events, nil for files that are
// always ready.
func (f *File) WaitQueue() *wait.Queue {
	if p, ok := f.Ops.(Poller); ok {
		return p.WaitQueue(f)
	}
	return nil
}

// Ioctl is ioctl(2) without the requests that all files know (FIOCLEX, FIONBIO and so on).
func (f *File) Ioctl(ctx *Context, cmd uint32, arg uint64, mem uio.Memory) (uint64, error) {
	if f.Mode&ModePath != 0 {
		return 0, abi.EBADF
	}
	if i, ok := f.Ops.(Ioctler); ok {
		return i.Ioctl(ctx, f, cmd, arg, mem)
	}
	if cmd == abi.FIONREAD && f.Path.Dentry.typ == abi.S_IFREG {
		a, err := f.Inode.Attr(ctx, 0)
		if err != nil {
			return 0, err
		}
		n := uint32(a.Size - uint64(f.Pos()))
		return 0, mem.CopyOut(abi.Addr(arg), []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
	}
	return 0, abi.ENOTTY
}

// Mmap returns the object to map, after checking rights (mmap(2)).
func (f *File) Mmap(ctx *Context, prot, flags uint32) (memfile.Mappable, error) {
	if f.Mode&ModePath != 0 {
		return nil, abi.EBADF
	}
	if f.Mode&ModeRead == 0 {
		return nil, abi.EACCES
	}
	if flags&abi.MAP_SHARED != 0 && prot&abi.PROT_WRITE != 0 && f.Mode&ModeWrite == 0 {
		return nil, abi.EACCES
	}
	if m := f.Path.Mount; prot&abi.PROT_EXEC != 0 && m != nil && m.Flags()&abi.MS_NOEXEC != 0 {
		return nil, abi.EPERM
	}
	m, ok := f.Ops.(Mapper)
	if !ok {
		return nil, abi.ENODEV
	}
	obj, err := m.Mmap(ctx, f, prot, flags)
	if err != nil {
		return nil, err
	}
	f.accessed(ctx)
	return obj, nil
}

// MapName returns the name that /proc/PID/maps shows.
func (f *File) MapName() string {
	s, _ := PathString(Path{}, f.Path)
	return s
}

// MapIDs returns device and inode number for /proc/PID/maps.
func (f *File) MapIDs() (dev, ino uint64) {
	a, err := f.Inode.Attr(&Context{Creds: f.Creds}, abi.AT_STATX_DONT_SYNC)
	if err != nil {
		return 0, 0
	}
	return f.Path.Dentry.Dev(), a.Ino
}

// Sync is fsync(2), or fdatasync(2).
func (f *File) Sync(ctx *Context, dataOnly bool) error {
	if f.Mode&ModePath != 0 {
		return abi.EBADF
	}
	if s, ok := f.Ops.(Syncer); ok {
		return s.Sync(ctx, f, dataOnly)
	}
	switch f.Path.Dentry.typ {
	case abi.S_IFREG, abi.S_IFDIR, abi.S_IFBLK:
		return nil
	}
	return abi.EINVAL
}

// Allocate is fallocate(2).
func (f *File) Allocate(ctx *Context, mode uint32, off, n int64) error {
	switch {
	case f.Mode&ModePath != 0:
		return abi.EBADF
	case off < 0 || n <= 0:
		return abi.EINVAL
	case mode&^(abi.FALLOC_FL_KEEP_SIZE|abi.FALLOC_FL_PUNCH_HOLE|abi.FALLOC_FL_COLLAPSE_RANGE|
		abi.FALLOC_FL_ZERO_RANGE|abi.FALLOC_FL_INSERT_RANGE|abi.FALLOC_FL_UNSHARE_RANGE) != 0:
		return abi.EOPNOTSUPP
	case mode&abi.FALLOC_FL_PUNCH_HOLE != 0 && mode&abi.FALLOC_FL_KEEP_SIZE == 0:
		return abi.EOPNOTSUPP
	case mode&abi.FALLOC_FL_PUNCH_HOLE != 0 && mode&abi.FALLOC_FL_ZERO_RANGE != 0:
		return abi.EOPNOTSUPP
	case f.Mode&ModeWrite == 0:
		return abi.EBADF
	}
	switch f.Path.Dentry.typ {
	case abi.S_IFIFO:
		return abi.ESPIPE
	case abi.S_IFDIR:
		return abi.EISDIR
	case abi.S_IFREG, abi.S_IFBLK:
	default:
		return abi.ENODEV
	}
	if off+n < 0 || uint64(off+n) > f.Path.Dentry.super.MaxSize {
		return abi.EFBIG
	}
	a, ok := f.Ops.(Allocator)
	if !ok {
		return abi.EOPNOTSUPP
	}
	if mode&abi.FALLOC_FL_KEEP_SIZE == 0 && uint64(off+n) > ctx.MaxFileSize {
		attr, err := f.Inode.Attr(ctx, 0)
		if err != nil {
			return err
		}
		if uint64(off+n) > attr.Size {
			ctx.XFSZ = true
			return abi.EFBIG
		}
	}
	st := f.Path.Dentry.state
	st.mu.Lock()
	err := a.Allocate(ctx, f, mode, off, n)
	if err == nil {
		err = dropPrivs(ctx, f.Path.Dentry)
	}
	st.mu.Unlock()
	if err == nil {
		notifyFile(f, inModify)
	}
	return err
}

// DenyWrite makes opening the file for writing fail with ETXTBSY until AllowWrite; it
// fails with ETXTBSY when that has happened already (execve(2)).
func (f *File) DenyWrite() error { return f.Path.Dentry.state.denyWrite() }

// AllowWrite ends DenyWrite.
func (f *File) AllowWrite() { f.Path.Dentry.state.allowWrite() }

// Sealer is a FileOps with seals (memfd_create(2)).
type Sealer interface {
	Seals() uint32
	AddSeals(seals uint32) error
}

// AddSeals is F_ADD_SEALS.
func (f *File) AddSeals(seals uint32) error {
	const all = abi.F_SEAL_SEAL | abi.F_SEAL_SHRINK | abi.F_SEAL_GROW | abi.F_SEAL_WRITE | abi.F_SEAL_FUTURE_WRITE | abi.F_SEAL_EXEC
	if f.Mode&ModeWrite == 0 {
		return abi.EPERM
	}
	s, ok := f.Ops.(Sealer)
	if !ok || seals&^all != 0 {
		return abi.EINVAL
	}
	return s.AddSeals(seals)
}

// Seals is F_GET_SEALS.
func (f *File) Seals() (uint32, error) {
	s, ok := f.Ops.(Sealer)
	if !ok {
		return 0, abi.EINVAL
	}
	return s.Seals(), nil
}

// ParentIno returns the inode number for "..", self for a root.
func ParentIno(ctx *Context, f *File, self uint64) uint64 {
	p := f.Path.Dentry.Parent()
	if p == nil || p.inode == nil {
		return self
	}
	a, err := p.inode.Attr(ctx, abi.AT_STATX_DONT_SYNC)
	if err != nil {
		return self
	}
	return a.Ino
}
