package pseudo

import (
	"lazaret/sentry/auth"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Inode is what inodes of pseudo file systems have in common; they embed it. Nothing of
// it changes.
type Inode struct {
	vfs.InodeState
	Sup  *vfs.Super
	Ino  uint64
	Mode uint32 // with type
	UID  auth.KUID
	GID  auth.KGID
	Len  uint64 // st_size
}

// Super implements vfs.Inode.
func (i *Inode) Super() *vfs.Super { return i.Sup }

// Perms implements vfs.Perms.
func (i *Inode) Perms() (uint32, auth.KUID, auth.KGID) { return i.Mode, i.UID, i.GID }

// Attr implements vfs.Inode. Times are now, as those of an inode that was just made.
func (i *Inode) Attr(ctx *vfs.Context, _ int) (vfs.Attr, error) {
	return i.AttrOf(ctx, i.UID, i.GID), nil
}

// AttrOf is Attr with another owner.
func (i *Inode) AttrOf(ctx *vfs.Context, uid auth.KUID, gid auth.KGID) vfs.Attr {
	now := ctx.Now()
	a := vfs.Attr{
		Ino: i.Ino, Mode: i.Mode, Nlink: 1, UID: uid, GID: gid, Size: i.Len, BlkSize: 1024,
		Atime: now, Mtime: now, Ctime: now,
	}
	if a.Type() == abi.S_IFDIR {
		a.Nlink = 2
	}
	return a
}

// SetAttr implements vfs.Inode: O_TRUNC and times are let pass, the rest is fixed.
func (i *Inode) SetAttr(_ *vfs.Context, s *vfs.SetAttr) error {
	if s.Valid&(vfs.SetMode|vfs.SetUID|vfs.SetGID) != 0 {
		return abi.EPERM
	}
	return nil
}

// Open implements vfs.Inode for what cannot be opened.
func (i *Inode) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) { return nil, abi.ELOOP }

// ReadOnlyDir is the part of a vfs.Directory in which nothing can be made.
type ReadOnlyDir struct{}

// Make implements vfs.Directory. Linux answers ENOENT here: the directory has no create.
func (ReadOnlyDir) Make(_ *vfs.Context, _ string, args *vfs.MakeArgs) (vfs.Inode, error) {
	if args.Mode&abi.S_IFMT == abi.S_IFREG {
		return nil, abi.EACCES
	}
	return nil, abi.EPERM
}

// Link implements vfs.Directory.
func (ReadOnlyDir) Link(*vfs.Context, string, vfs.Inode) error { return abi.EPERM }

// Remove implements vfs.Directory.
func (ReadOnlyDir) Remove(*vfs.Context, string, vfs.Inode) error { return abi.EPERM }

// Rename implements vfs.Directory.
func (ReadOnlyDir) Rename(*vfs.Context, string, vfs.Inode, vfs.Directory, string, vfs.Inode, uint32) error {
	return abi.EPERM
}

// DirOps is an open directory without state. It has no Read.
type DirOps struct{}

// Read implements vfs.FileOps.
func (DirOps) Read(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) { return 0, abi.EISDIR }

// Write implements vfs.FileOps.
func (DirOps) Write(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) { return 0, abi.EISDIR }

// Release implements vfs.FileOps.
func (DirOps) Release(*vfs.File) {}

// Emitter hands out directory entries at positions.
type Emitter struct {
	Pos  *int64
	Emit func(*vfs.Dirent) bool
}

// Dots emits "." and "..", which have positions 0 and 1; false: the reader has enough.
func (e *Emitter) Dots(ctx *vfs.Context, f *vfs.File, self uint64) bool {
	return e.Entry(0, ".", self, abi.S_IFDIR) && e.Entry(1, "..", vfs.ParentIno(ctx, f, self), abi.S_IFDIR)
}

// Entry emits the entry at position at unless it was emitted before.
func (e *Emitter) Entry(at int64, name string, ino uint64, mode uint32) bool {
	if *e.Pos > at {
		return true
	}
	if !e.Emit(&vfs.Dirent{Name: name, Ino: ino, Type: uint8(mode & abi.S_IFMT >> 12), Next: at + 1}) {
		return false
	}
	*e.Pos = at + 1
	return true
}
