package overlay

import (
	"strings"
	"sync"

	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

const opaqueXattr = "trusted.overlay.opaque"

// upperIno is set in inode numbers of files that exist only in the upper tree, so that
// they differ from the lower tree's.
const upperIno = 1 << 40

// FS is one overlay.
type FS struct {
	super  *vfs.Super
	upper  *vfs.Super // nil: read-only
	nLower int
	pins   []vfs.Path
	mounts []*vfs.Mount

	mu      sync.Mutex
	nodes   map[vfs.Inode]vfs.Inode // overlay inodes in use, by the inode below
	origins map[vfs.Inode]origin    // of copied-up upper inodes
	index   map[lowerID]*link       // lower files with several names that were copied up
}

// lowerID identifies a file of a lower tree.
type lowerID struct {
	super *vfs.Super
	dev   uint64 // see node.dev
	ino   uint64
}

// origin says what an upper inode was copied from.
type origin struct {
	ino   uint64
	dev   uint64
	links *link // nil for files with one name
}

// link is the upper copy of a lower file with several names.
type link struct {
	upper vfs.Inode
	id    lowerID
	nlink int32 // names left in the overlay
}

// New merges the root of upper (nil: a read-only overlay) over those of lowers, the
// topmost first.
func New(ctx *vfs.Context, upper *vfs.Super, lowers []*vfs.Super, source string) (*vfs.Super, error) {
	var up *vfs.Path
	var mounts []*vfs.Mount
	hold := func(s *vfs.Super) vfs.Path {
		m := vfs.KernelMount(s)
		mounts = append(mounts, m)
		return vfs.Path{Mount: m, Dentry: s.Root()}
	}
	if upper != nil {
		p := hold(upper)
		up = &p
	}
	var lows []vfs.Path
	for _, l := range lowers {
		lows = append(lows, hold(l))
	}
	s, err := newSuper(ctx, up, lows, source)
	if err != nil {
		for _, m := range mounts {
			m.Release()
		}
		return nil, err
	}
	s.FS.(*FS).mounts = mounts
	return s, nil
}

func newSuper(ctx *vfs.Context, upper *vfs.Path, lowers []vfs.Path, source string) (*vfs.Super, error) {
	if len(lowers) == 0 {
		return nil, abi.EINVAL
	}
	fs := &FS{
		nLower:  len(lowers),
		nodes:   map[vfs.Inode]vfs.Inode{},
		origins: map[vfs.Inode]origin{},
		index:   map[lowerID]*link{},
	}
	fs.super = vfs.NewSuper("overlay", abi.OVERLAYFS_SUPER_MAGIC, fs)
	fs.super.Source = source
	root := &dir{}
	root.init(fs, abi.S_IFDIR, nil, "")
	root.self = root
	if upper != nil {
		if !upper.Dentry.IsDir() {
			return nil, abi.ENOTDIR
		}
		fs.upper = upper.Dentry.Super()
		root.setUpper(upper.Inode())
		vfs.HoldInode(upper.Inode())
	} else {
		fs.super.SetFlags(abi.MS_RDONLY)
	}
	for _, l := range lowers {
		d, ok := l.Inode().(vfs.Directory)
		if !ok {
			return nil, abi.ENOTDIR
		}
		vfs.HoldInode(d)
		root.lowers = append(root.lowers, d)
	}
	root.lower = root.lowers[0]
	a, err := root.lower.Attr(ctx, 0)
	if err != nil {
		return nil, err
	}
	root.ino = a.Ino
	return fs.super, fs.super.SetRoot(ctx, root)
}

// ReleaseSuper implements vfs.SuperReleaser.
func (fs *FS) ReleaseSuper() {
	for _, l := range fs.index {
		vfs.PutInode(l.upper)
	}
	for _, p := range fs.pins {
		p.DecRef()
	}
	for _, m := range fs.mounts {
		m.Release()
	}
}

// StatFS implements vfs.StatFSer with the numbers of the upper tree.
func (fs *FS) StatFS(ctx *vfs.Context) (abi.Statfs, error) {
	st := abi.Statfs{Bsize: abi.PageSize, Namelen: abi.NAME_MAX}
	if fs.upper != nil {
		if s, ok := fs.upper.FS.(vfs.StatFSer); ok {
			var err error
			if st, err = s.StatFS(ctx); err != nil {
				return st, err
			}
		}
	}
	st.Type = abi.OVERLAYFS_SUPER_MAGIC
	return st, nil
}

// Type is the file system type, for mount(2) with lowerdir=, upperdir= and workdir=.
type Type struct{}

// Name implements vfs.FileSystemType.
func (Type) Name() string { return "overlay" }

// UserNSMount implements vfs.UserNSMountable.
func (Type) UserNSMount() bool { return true }

// NewSuper implements vfs.FileSystemType.
func (Type) NewSuper(ctx *vfs.Context, spec *vfs.MountSpec) (*vfs.Super, error) {
	var upper *vfs.Path
	var lowers, pins []vfs.Path
	fail := func(err error) (*vfs.Super, error) {
		for _, p := range pins {
			p.DecRef()
		}
		return nil, err
	}
	pin := func(name string) (vfs.Path, error) {
		p, err := vfs.Lookup(ctx, ctx.FS.Cwd(), name, vfs.LookupFollow|vfs.LookupDirectory)
		if err == nil && !p.TryIncRef() {
			err = abi.ENOENT
		}
		if err == nil {
			pins = append(pins, p)
		}
		return p, err
	}
	for _, opt := range strings.Split(spec.Data, ",") {
		key, val, _ := strings.Cut(opt, "=")
		switch key {
		case "lowerdir":
			for _, name := range strings.Split(val, ":") {
				p, err := pin(name)
				if err != nil {
					return fail(err)
				}
				lowers = append(lowers, p)
			}
		case "upperdir":
			p, err := pin(val)
			if err != nil {
				return fail(err)
			}
			upper = &p
		case "", "workdir", "index", "redirect_dir", "metacopy", "xino", "nfs_export", "volatile", "userxattr", "uuid":
		default:
			return fail(abi.EINVAL)
		}
	}
	s, err := newSuper(ctx, upper, lowers, spec.Source)
	if err != nil {
		return fail(err)
	}
	s.FS.(*FS).pins = pins
	s.Options = spec.Data
	return s, nil
}
