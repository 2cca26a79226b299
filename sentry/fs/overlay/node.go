package overlay

import (
	"strings"
	"sync"
	"sync/atomic"

	"lazaret/sentry/auth"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// node is what all overlay inodes have.
type node struct {
	vfs.InodeState
	fs    *FS
	typ   uint32
	ino   uint64
	dev   uint64    // st_dev, when it is not the overlay's own; 0
	self  vfs.Inode // the inode that embeds this node
	lower vfs.Inode // nil: exists only in the upper tree

	upper atomic.Pointer[vfs.Inode] // nil: not copied up

	mu     sync.Mutex // copy-up and the place
	parent *dir
	name   string
	links  *link

	gone atomic.Bool // has no name any more
}

// overlayNode is any inode of this package.
type overlayNode interface {
	vfs.Inode
	base() *node
}

func (n *node) base() *node { return n }

func (n *node) init(fs *FS, typ uint32, parent *dir, name string) {
	n.fs, n.typ, n.parent, n.name = fs, typ, parent, name
}

func (n *node) setUpper(u vfs.Inode) { n.upper.Store(&u) }

// upperInode returns the upper inode, nil if there is none.
func (n *node) upperInode() vfs.Inode {
	if u := n.upper.Load(); u != nil {
		return *u
	}
	return nil
}

// real returns the inode that holds the contents and attributes.
func (n *node) real() vfs.Inode {
	if u := n.upper.Load(); u != nil {
		return *u
	}
	return n.lower
}

// Super implements vfs.Inode.
func (n *node) Super() *vfs.Super { return n.fs.super }

// Dev implements vfs.DeviceNumberer: what a lower tree keeps apart stays apart.
func (n *node) Dev() uint64 {
	if n.dev != 0 {
		return n.dev
	}
	return n.fs.super.Dev()
}

// lowerDev returns the device number of a lower inode, 0 if it is its tree's own.
func lowerDev(i vfs.Inode) uint64 {
	n, ok := i.(vfs.DeviceNumberer)
	if !ok {
		return 0
	}
	if d := n.Dev(); d != i.Super().Dev() {
		return d
	}
	return 0
}

// Perms implements vfs.Perms.
func (n *node) Perms() (uint32, auth.KUID, auth.KGID) {
	r := n.real()
	if p, ok := r.(vfs.Perms); ok {
		return p.Perms()
	}
	a, err := r.Attr(&vfs.Context{}, abi.AT_STATX_DONT_SYNC)
	if err != nil {
		return n.typ, auth.OverflowUID, auth.OverflowGID
	}
	return a.Mode, a.UID, a.GID
}

// Attr implements vfs.Inode.
func (n *node) Attr(ctx *vfs.Context, flags int) (vfs.Attr, error) {
	a, err := n.real().Attr(ctx, flags)
	a.Ino = n.ino
	if n.gone.Load() {
		a.Nlink = 0
	} else if n.upper.Load() != nil {
		n.mu.Lock()
		if n.links != nil {
			a.Nlink = uint32(atomic.LoadInt32(&n.links.nlink))
		}
		n.mu.Unlock()
	}
	return a, err
}

// SetAttr implements vfs.Inode. A file that is to be truncated is copied up only as far
// as it remains.
func (n *node) SetAttr(ctx *vfs.Context, s *vfs.SetAttr) error {
	size := ^uint64(0)
	if s.Valid&vfs.SetSize != 0 {
		size = s.Size
	}
	if err := n.copyUp(ctx, size); err != nil {
		return err
	}
	return n.real().SetAttr(ctx, s)
}

// Accessed implements vfs.Accessed: only upper files keep access times.
func (n *node) Accessed(ctx *vfs.Context, relatime bool) {
	if u, ok := n.upperInode().(vfs.Accessed); ok {
		u.Accessed(ctx, relatime)
	}
}

// Open implements vfs.Inode. Writing copies up; reading is done by whichever tree has
// the file now.
func (n *node) Open(ctx *vfs.Context, f *vfs.File) (vfs.FileOps, error) {
	if f.Mode&(vfs.ModeWrite|vfs.ModeTruncate) != 0 {
		limit := ^uint64(0)
		if f.Mode&vfs.ModeTruncate != 0 {
			limit = 0
		}
		if err := n.copyUp(ctx, limit); err != nil {
			return nil, err
		}
	}
	return n.real().Open(ctx, f)
}

// OpensSpecial implements vfs.SpecialOpener. As on Linux, a FIFO of an overlay is not the one
// below.
func (n *node) OpensSpecial() bool {
	s, ok := n.real().(vfs.SpecialOpener)
	return ok && n.typ != abi.S_IFIFO && s.OpensSpecial()
}

// Real returns the inode that holds the contents: a Unix socket below is one through the
// overlay, too.
func (n *node) Real() vfs.Inode { return n.real() }

// ReleaseInode implements vfs.Releaser.
func (n *node) ReleaseInode() {
	n.fs.forget(n)
	if u := n.upperInode(); u != nil {
		vfs.PutInode(u)
	}
	if d, ok := n.self.(*dir); ok {
		for _, l := range d.lowers {
			vfs.PutInode(l)
		}
	} else if n.lower != nil {
		vfs.PutInode(n.lower)
	}
}

// forget takes n out of the table of nodes, and out of the tables of copied-up files
// if it has no name left.
func (fs *FS) forget(n *node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	u := n.upperInode()
	fs.mu.Lock()
	for _, r := range [...]vfs.Inode{n.lower, u} {
		if r != nil && fs.nodes[r] == n.self {
			delete(fs.nodes, r)
		}
	}
	indexed := false
	if u != nil && n.gone.Load() {
		delete(fs.origins, u)
		if n.links != nil && fs.index[n.links.id] == n.links {
			delete(fs.index, n.links.id)
			indexed = true
		}
	}
	fs.mu.Unlock()
	if indexed {
		vfs.PutInode(u)
	}
}

// GetXattr implements vfs.Xattrs.
func (n *node) GetXattr(ctx *vfs.Context, name string) ([]byte, error) {
	x, ok := n.real().(vfs.Xattrs)
	if !ok {
		return nil, abi.EOPNOTSUPP
	}
	if strings.HasPrefix(name, "trusted.overlay.") {
		return nil, abi.ENODATA
	}
	return x.GetXattr(ctx, name)
}

// upperXattrs copies up and returns what takes attributes.
func (n *node) upperXattrs(ctx *vfs.Context, name string) (vfs.Xattrs, error) {
	if strings.HasPrefix(name, "trusted.overlay.") {
		return nil, abi.EPERM
	}
	if err := n.copyUp(ctx, ^uint64(0)); err != nil {
		return nil, err
	}
	x, ok := n.real().(vfs.Xattrs)
	if !ok {
		return nil, abi.EOPNOTSUPP
	}
	return x, nil
}

// SetXattr implements vfs.Xattrs.
func (n *node) SetXattr(ctx *vfs.Context, name string, value []byte, flags int) error {
	x, err := n.upperXattrs(ctx, name)
	if err != nil {
		return err
	}
	return x.SetXattr(ctx, name, value, flags)
}

// RemoveXattr implements vfs.Xattrs. It does not copy up what has no such attribute.
func (n *node) RemoveXattr(ctx *vfs.Context, name string) error {
	if _, err := n.GetXattr(ctx, name); err != nil {
		return err
	}
	x, err := n.upperXattrs(ctx, name)
	if err != nil {
		return err
	}
	return x.RemoveXattr(ctx, name)
}

// ListXattr implements vfs.Xattrs.
func (n *node) ListXattr(ctx *vfs.Context) ([]string, error) {
	x, ok := n.real().(vfs.Xattrs)
	if !ok {
		return nil, nil
	}
	names, err := x.ListXattr(ctx)
	var out []string
	for _, s := range names {
		if !strings.HasPrefix(s, "trusted.overlay.") {
			out = append(out, s)
		}
	}
	return out, err
}

// file is a regular file, device, FIFO or socket.
type file struct{ node }

// symlink is a symbolic link.
type symlink struct{ node }

// Readlink implements vfs.Symlink.
func (l *symlink) Readlink(ctx *vfs.Context) (string, error) {
	s, ok := l.real().(vfs.Symlink)
	if !ok {
		return "", abi.EINVAL
	}
	return s.Readlink(ctx)
}

// isWhiteout reports whether inode hides a lower name: a character device 0:0.
func isWhiteout(ctx *vfs.Context, inode vfs.Inode) bool {
	if p, ok := inode.(vfs.Perms); ok {
		if mode, _, _ := p.Perms(); mode&abi.S_IFMT != abi.S_IFCHR {
			return false
		}
	}
	a, err := inode.Attr(ctx, abi.AT_STATX_DONT_SYNC)
	return err == nil && a.Type() == abi.S_IFCHR && a.RdevMajor == 0 && a.RdevMinor == 0
}

// isOpaque reports whether a directory hides those below it.
func isOpaque(ctx *vfs.Context, inode vfs.Inode) bool {
	x, ok := inode.(vfs.Xattrs)
	if !ok {
		return false
	}
	v, err := x.GetXattr(ctx, opaqueXattr)
	return err == nil && string(v) == "y"
}

func typeOf(ctx *vfs.Context, inode vfs.Inode) (uint32, error) {
	if p, ok := inode.(vfs.Perms); ok {
		mode, _, _ := p.Perms()
		return mode & abi.S_IFMT, nil
	}
	a, err := inode.Attr(ctx, abi.AT_STATX_DONT_SYNC)
	return a.Type(), err
}
