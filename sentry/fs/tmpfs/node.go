package tmpfs

import (
	"maps"
	"slices"
	"sync"

	"lazaret/sentry/auth"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// node is what all inodes have.
type node struct {
	vfs.InodeState
	fs           *FS
	ino          uint64
	major, minor uint32 // of devices
	btime        abi.Timespec

	mu                  sync.RWMutex
	mode                uint32
	nlink               uint32
	uid                 auth.KUID
	gid                 auth.KGID
	atime, mtime, ctime abi.Timespec
	xattrs              map[string][]byte
	xattrSize           int
	released            bool
}

// maxXattrs bounds the attributes of one inode, in bytes.
const maxXattrs = 128 << 10

func (n *node) init(ctx *vfs.Context, fs *FS, args *vfs.MakeArgs) {
	now := ctx.Now()
	n.fs, n.ino, n.mode, n.nlink = fs, fs.lastIno.Add(1), args.Mode, 1
	n.uid, n.gid, n.major, n.minor = args.UID, args.GID, args.Major, args.Minor
	n.atime, n.mtime, n.ctime, n.btime = now, now, now, now
}

// inode is any inode of this file system.
type inode interface {
	vfs.Inode
	base() *node
}

func (n *node) base() *node { return n }

// Super implements vfs.Inode.
func (n *node) Super() *vfs.Super { return n.fs.super }

// Perms implements vfs.Perms.
func (n *node) Perms() (uint32, auth.KUID, auth.KGID) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.mode, n.uid, n.gid
}

// Attr implements vfs.Inode without size and blocks.
func (n *node) Attr(*vfs.Context, int) (vfs.Attr, error) { return n.attr(), nil }

func (n *node) attr() vfs.Attr {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return vfs.Attr{
		Ino: n.ino, Mode: n.mode, Nlink: n.nlink, UID: n.uid, GID: n.gid,
		RdevMajor: n.major, RdevMinor: n.minor, BlkSize: abi.PageSize,
		Atime: n.atime, Mtime: n.mtime, Ctime: n.ctime, Btime: n.btime,
	}
}

// SetAttr implements vfs.Inode but for the size.
func (n *node) SetAttr(_ *vfs.Context, s *vfs.SetAttr) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.Valid&vfs.SetMode != 0 {
		n.mode = n.mode&abi.S_IFMT | s.Mode&0o7777
	}
	if s.Valid&vfs.SetUID != 0 {
		n.uid = s.UID
	}
	if s.Valid&vfs.SetGID != 0 {
		n.gid = s.GID
	}
	if s.Valid&vfs.SetAtime != 0 {
		n.atime = s.Atime
	}
	if s.Valid&vfs.SetMtime != 0 {
		n.mtime = s.Mtime
	}
	if s.Valid&vfs.SetCtime != 0 {
		n.ctime = s.Ctime
	}
	return nil
}

// Accessed implements vfs.Accessed.
func (n *node) Accessed(ctx *vfs.Context, relatime bool) {
	now := ctx.Now()
	n.mu.RLock()
	need := vfs.NeedsAtime(now, n.atime, n.mtime, n.ctime, relatime)
	n.mu.RUnlock()
	if need {
		n.mu.Lock()
		n.atime = now
		n.mu.Unlock()
	}
}

// touch sets modification and change time.
func (n *node) touch(ctx *vfs.Context) {
	now := ctx.Now()
	n.mu.Lock()
	n.mtime, n.ctime = now, now
	n.mu.Unlock()
}

// addLinks changes the link count and the change time.
func (n *node) addLinks(ctx *vfs.Context, d int32) {
	now := ctx.Now()
	n.mu.Lock()
	n.nlink = uint32(int32(n.nlink) + d)
	n.ctime = now
	n.mu.Unlock()
}

// ReleaseInode implements vfs.Releaser.
func (n *node) ReleaseInode() { n.release() }

// release gives the inode back if it has no links; true for the first time.
func (n *node) release() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nlink != 0 || n.released {
		return false
	}
	n.released = true
	n.fs.giveInode()
	return true
}

// Open implements vfs.Inode for what the VFS opens itself.
func (n *node) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) { return nil, abi.ENXIO }

// GetXattr implements vfs.Xattrs.
func (n *node) GetXattr(_ *vfs.Context, name string) ([]byte, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	v, ok := n.xattrs[name]
	if !ok {
		return nil, abi.ENODATA
	}
	return v, nil
}

// SetXattr implements vfs.Xattrs.
func (n *node) SetXattr(ctx *vfs.Context, name string, value []byte, flags int) error {
	now := ctx.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	old, ok := n.xattrs[name]
	if ok && flags&abi.XATTR_CREATE != 0 {
		return abi.EEXIST
	}
	if !ok && flags&abi.XATTR_REPLACE != 0 {
		return abi.ENODATA
	}
	size := n.xattrSize + len(value) - len(old)
	if !ok {
		size += len(name) + 64
	}
	if size > maxXattrs {
		return abi.ENOSPC
	}
	if n.xattrs == nil {
		n.xattrs = make(map[string][]byte)
	}
	n.xattrs[name], n.xattrSize, n.ctime = slices.Clone(value), size, now
	return nil
}

// RemoveXattr implements vfs.Xattrs.
func (n *node) RemoveXattr(ctx *vfs.Context, name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	old, ok := n.xattrs[name]
	if !ok {
		return abi.ENODATA
	}
	n.xattrSize -= len(old) + len(name) + 64
	delete(n.xattrs, name)
	n.ctime = ctx.Now()
	return nil
}

// ListXattr implements vfs.Xattrs.
func (n *node) ListXattr(*vfs.Context) ([]string, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return slices.Sorted(maps.Keys(n.xattrs)), nil
}

// special is a device, FIFO or socket.
type special struct{ node }

// link is a symbolic link.
type link struct {
	node
	target string
}

// Readlink implements vfs.Symlink.
func (l *link) Readlink(*vfs.Context) (string, error) { return l.target, nil }

// Attr implements vfs.Inode.
func (l *link) Attr(*vfs.Context, int) (vfs.Attr, error) {
	a := l.attr()
	a.Size = uint64(len(l.target))
	return a, nil
}

// noIO is FileOps of what cannot be read or written.
type noIO struct{}

func (noIO) Read(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error)  { return 0, abi.EISDIR }
func (noIO) Write(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) { return 0, abi.EISDIR }
func (noIO) Release(*vfs.File)                                            {}
