package vfs

import (
	"lazaret/sentry/auth"
	"lazaret/syscalls/abi"
)

// Attr are the attributes of an inode (inode(7)). Ids are the kernel's.
type Attr struct {
	Ino                        uint64
	Mode                       uint32 // type (abi.S_IFMT) and permission bits
	Nlink                      uint32
	UID                        auth.KUID
	GID                        auth.KGID
	RdevMajor, RdevMinor       uint32
	Size                       uint64
	Blocks                     uint64 // of 512 bytes
	BlkSize                    uint32
	Atime, Mtime, Ctime, Btime abi.Timespec // Btime zero: not known
	Flags                      uint64       // STATX_ATTR_*
}

// Type returns the type bits of the mode.
func (a *Attr) Type() uint32 { return a.Mode & abi.S_IFMT }

// Valid bits of SetAttr.
const (
	SetMode = 1 << iota
	SetUID
	SetGID
	SetSize
	SetAtime
	SetMtime
	SetCtime
)

// SetAttr is a change of attributes; only the fields that Valid names count. The VFS
// has checked permissions and decided the set-id bits and times.
type SetAttr struct {
	Valid               uint32
	Mode                uint32 // permission bits only
	UID                 auth.KUID
	GID                 auth.KGID
	Size                uint64
	Atime, Mtime, Ctime abi.Timespec
}

// Inode is one file of a file system. The VFS keeps one value per file for as long as a
// dentry or open file refers to it; hard links give the same value (compared by ==).
type Inode interface {
	// Attr returns the attributes. flags are AT_STATX_*; most ignore them.
	Attr(ctx *Context, flags int) (Attr, error)

	// SetAttr changes attributes.
	SetAttr(ctx *Context, set *SetAttr) error

	// Open returns the operations of a new open file. The VFS has checked
	// permissions, handled O_CREAT, O_EXCL and O_DIRECTORY and, for regular files,
	// will call SetAttr for O_TRUNC. FIFOs, sockets and devices are opened here too.
	Open(ctx *Context, f *File) (FileOps, error)

	// Super returns the file system instance.
	Super() *Super
}

// Directory is an Inode that holds names. The VFS serializes changes of one directory,
// and lookups against changes, and checks names (length, no '/', not . or ..).
type Directory interface {
	Inode

	// Lookup returns the inode called name, or abi.ENOENT.
	Lookup(ctx *Context, name string) (Inode, error)

	// Make makes a new file, directory, symlink or device as args say.
	Make(ctx *Context, name string, args *MakeArgs) (Inode, error)

	// Link makes name a further link of target, which is of the same Super.
	Link(ctx *Context, name string, target Inode) error

	// Remove removes name, which is child: a directory (must be empty, ENOTEMPTY)
	// or anything else.
	Remove(ctx *Context, name string, child Inode) error

	// Rename moves oldName (which is child) to newName in newDir. victim is what
	// newName was, or nil. flags are RENAME_EXCHANGE, RENAME_WHITEOUT or 0
	// (RENAME_NOREPLACE is done by the VFS).
	Rename(ctx *Context, oldName string, child Inode, newDir Directory, newName string, victim Inode, flags uint32) error
}

// MakeArgs say what Directory.Make makes.
type MakeArgs struct {
	Mode         uint32 // type and permission bits, umask applied
	UID          auth.KUID
	GID          auth.KGID
	Major, Minor uint32 // S_IFCHR, S_IFBLK
	Target       string // S_IFLNK
	SockType     int    // S_IFSOCK of bind(2): SOCK_STREAM ...; 0: of mknod(2)
}

// Symlink is an Inode that names another path.
type Symlink interface {
	Inode
	Readlink(ctx *Context) (string, error)
}

// MagicLink is a symlink that leads to an object instead of a name (/proc/PID/fd/N,
// /proc/PID/exe, /proc/PID/ns/*).
type MagicLink interface {
	Symlink
	// Follow returns where the link leads.
	Follow(ctx *Context) (Path, error)
}

// TmpFiler is a Directory that can make files without a name (O_TMPFILE).
type TmpFiler interface {
	TmpFile(ctx *Context, args *MakeArgs) (Inode, error)
}

// Xattrs is an Inode with extended attributes (xattr(7)). Names carry their prefix; the
// VFS has checked permissions and sizes.
type Xattrs interface {
	GetXattr(ctx *Context, name string) ([]byte, error) // ENODATA
	SetXattr(ctx *Context, name string, value []byte, flags int) error
	ListXattr(ctx *Context) ([]string, error)
	RemoveXattr(ctx *Context, name string) error
}

// Permitter is an Inode that decides permissions by itself, after the VFS's own check
// has passed or in its place (/proc/PID, gofer files with ACLs).
type Permitter interface {
	Permission(ctx *Context, mask uint32) error // MayRead | MayWrite | MayExec
}

// Revalidator is a Directory whose cached names can go stale (/proc, shared gofer
// trees). Revalidate reports whether the cached child (nil: cached as missing) still holds.
type Revalidator interface {
	Revalidate(ctx *Context, name string, child Inode) bool
}

// CheapMisser is a Directory that may say that it knows at once what it does not have. That
// is not remembered then: names that many programs make and remove would fill the cache, and
// keep directories that are gone. The answer does not change.
type CheapMisser interface {
	CheapMisses() bool
}

// Releaser is an Inode that wants to know that the VFS dropped its last reference.
type Releaser interface {
	ReleaseInode()
}

// Access bits for permission checks; the values of the mode bits.
const (
	MayExec  = 1
	MayWrite = 2
	MayRead  = 4
)
