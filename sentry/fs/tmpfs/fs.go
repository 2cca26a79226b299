package tmpfs

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Type is the file system type; register it with vfs.RegisterFileSystem.
type Type struct {
	mf   *memfile.File
	name string

	kernelOnce sync.Once
	kernel     *FS // of memfds
	mount      *vfs.Mount
}

// New returns the type tmpfs with its pages in mf.
func New(mf *memfile.File) *Type { return &Type{mf: mf, name: "tmpfs"} }

// NewNamed returns the same under another name, such as devtmpfs.
func NewNamed(mf *memfile.File, name string) *Type { return &Type{mf: mf, name: name} }

// Name implements vfs.FileSystemType.
func (t *Type) Name() string { return t.name }

// UserNSMount implements vfs.UserNSMountable.
func (t *Type) UserNSMount() bool { return true }

// FS is one instance.
type FS struct {
	super *vfs.Super
	mf    *memfile.File
	root  *dir

	lastIno atomic.Uint64
	inodes  atomic.Int64
	acct    *memfile.Account // pays for the inodes; nil: nobody
	charged atomic.Int64     // inodes that acct pays for
	pages   atomic.Int64

	maxInodes atomic.Int64 // 0: no limit
	maxPages  atomic.Int64 // 0: no limit

	opts  options // as mounted, for mountinfo; guarded by optMu
	optMu sync.Mutex
}

type options struct {
	pages, inodes int64 // -1: not given
	mode          uint32
	modeSet       bool
	uid           auth.KUID
	gid           auth.KGID
}

// parseSize reads a number with suffix k, m, g, or % of the memory.
func parseSize(s string, total uint64) (int64, error) {
	if s == "" {
		return 0, abi.EINVAL
	}
	mul := uint64(1)
	digits := s[:len(s)-1]
	switch s[len(s)-1] {
	case 'k', 'K':
		mul = 1 << 10
	case 'm', 'M':
		mul = 1 << 20
	case 'g', 'G':
		mul = 1 << 30
	case '%':
		n, err := strconv.ParseUint(digits, 10, 32)
		if err != nil || n > (1<<63-1)/max(total/100, 1) {
			return 0, abi.EINVAL
		}
		return int64(total / 100 * n), nil
	default:
		digits = s
	}
	n, err := strconv.ParseUint(digits, 0, 63)
	if err != nil || n > (1<<63-1)/mul {
		return 0, abi.EINVAL
	}
	return int64(n * mul), nil
}

// parse reads mount options into o.
func (o *options) parse(ctx *vfs.Context, data string, total uint64) error {
	for _, opt := range strings.Split(data, ",") {
		if opt == "" {
			continue
		}
		key, val, _ := strings.Cut(opt, "=")
		if err := o.set(ctx, key, val, total); err != nil {
			return err
		}
	}
	return nil
}

func (o *options) set(ctx *vfs.Context, key, val string, total uint64) error {
	switch key {
	case "size":
		n, err := parseSize(val, total)
		o.pages = n >> abi.PageShift
		if n&abi.PageMask != 0 {
			o.pages++
		}
		return err
	case "nr_blocks":
		n, err := parseSize(val, total)
		o.pages = n
		return err
	case "nr_inodes":
		n, err := parseSize(val, total)
		o.inodes = n
		return err
	case "mode":
		n, err := strconv.ParseUint(val, 8, 32)
		if err != nil {
			return abi.EINVAL
		}
		o.mode, o.modeSet = uint32(n)&0o7777, true
	case "uid", "gid":
		n, err := strconv.ParseUint(val, 10, 32)
		if err != nil {
			return abi.EINVAL
		}
		return o.setID(ctx, key, uint32(n))
	case "huge", "mpol", "noswap", "inode32", "inode64", "source":
	default:
		return abi.EINVAL
	}
	return nil
}

func (o *options) setID(ctx *vfs.Context, key string, id uint32) error {
	var ok bool
	if key == "uid" {
		o.uid, ok = ctx.Creds.UserNS.KUID(id)
	} else {
		o.gid, ok = ctx.Creds.UserNS.KGID(id)
	}
	if !ok {
		return abi.EINVAL
	}
	return nil
}

// NewSuper implements vfs.FileSystemType.
func (t *Type) NewSuper(ctx *vfs.Context, spec *vfs.MountSpec) (*vfs.Super, error) {
	o := options{pages: -1, inodes: -1, mode: 0o1777, uid: ctx.Creds.FSUID, gid: ctx.Creds.FSGID}
	if err := o.parse(ctx, spec.Data, t.mf.TotalMemory()); err != nil {
		return nil, err
	}
	fs := t.newFS(ctx, o)
	fs.super.Source = spec.Source
	if err := fs.super.SetRoot(ctx, fs.root); err != nil {
		return nil, err
	}
	return fs.super, nil
}

// CheckOption implements vfs.OptionChecker.
func (t *Type) CheckOption(ctx *vfs.Context, opt string) error {
	var o options
	return o.parse(ctx, opt, t.mf.TotalMemory())
}

func (t *Type) newFS(ctx *vfs.Context, o options) *FS {
	fs := &FS{mf: t.mf, opts: o, acct: ctx.Account}
	half := int64(t.mf.TotalMemory() >> abi.PageShift / 2)
	fs.maxPages.Store(half)
	fs.maxInodes.Store(half)
	if o.pages >= 0 {
		fs.maxPages.Store(o.pages)
	}
	if o.inodes >= 0 {
		fs.maxInodes.Store(o.inodes)
	}
	fs.super = vfs.NewSuper(t.name, abi.TMPFS_MAGIC, fs)
	if ctx.Creds != nil {
		fs.super.UserNS = ctx.Creds.UserNS
	}
	fs.inodes.Store(1)
	fs.root = &dir{entries: map[string]*entry{}}
	fs.root.init(ctx, fs, &vfs.MakeArgs{Mode: abi.S_IFDIR | o.mode, UID: o.uid, GID: o.gid})
	fs.root.nlink = 2
	return fs
}

// Remount implements vfs.Remounter: limits may change, but not below what is used.
func (fs *FS) Remount(ctx *vfs.Context, _ uint32, data string) error {
	o := options{pages: -1, inodes: -1}
	if err := o.parse(ctx, data, fs.mf.TotalMemory()); err != nil {
		return err
	}
	if o.pages > 0 && fs.pages.Load() > o.pages || o.inodes > 0 && fs.inodes.Load() > o.inodes {
		return abi.EINVAL
	}
	fs.optMu.Lock()
	defer fs.optMu.Unlock()
	if o.pages >= 0 {
		fs.maxPages.Store(o.pages)
		fs.opts.pages = o.pages
	}
	if o.inodes >= 0 {
		fs.maxInodes.Store(o.inodes)
		fs.opts.inodes = o.inodes
	}
	return nil
}

// ShowOptions implements vfs.OptionShower.
func (fs *FS) ShowOptions() string {
	fs.optMu.Lock()
	defer fs.optMu.Unlock()
	var s []string
	if fs.opts.pages >= 0 {
		s = append(s, fmt.Sprintf("size=%dk", fs.opts.pages<<(abi.PageShift-10)))
	}
	if fs.opts.inodes >= 0 {
		s = append(s, fmt.Sprintf("nr_inodes=%d", fs.opts.inodes))
	}
	if fs.opts.mode != 0o1777 {
		s = append(s, fmt.Sprintf("mode=%03o", fs.opts.mode))
	}
	if fs.opts.uid != 0 {
		s = append(s, fmt.Sprintf("uid=%d", fs.opts.uid))
	}
	if fs.opts.gid != 0 {
		s = append(s, fmt.Sprintf("gid=%d", fs.opts.gid))
	}
	return strings.Join(append(s, "inode64"), ",")
}

// StatFS implements vfs.StatFSer.
func (fs *FS) StatFS(*vfs.Context) (abi.Statfs, error) {
	st := abi.Statfs{Type: abi.TMPFS_MAGIC, Bsize: abi.PageSize, Frsize: abi.PageSize, Namelen: abi.NAME_MAX}
	if m := fs.maxPages.Load(); m > 0 {
		st.Blocks = uint64(m)
		st.Bfree = uint64(max(0, m-fs.pages.Load()))
		st.Bavail = st.Bfree
	}
	if m := fs.maxInodes.Load(); m > 0 {
		st.Files = uint64(m)
		st.Ffree = uint64(max(0, m-fs.inodes.Load()))
	}
	return st, nil
}

// ReleaseSuper implements vfs.SuperReleaser: the pages of all files go.
func (fs *FS) ReleaseSuper() {
	fs.root.freeAll()
	if n := fs.charged.Swap(0); n > 0 {
		fs.acct.Uncharge(uint64(n) * inodeCost)
	}
}

// inodeCost is what an empty file takes of the kernel's memory with its name, in bytes.
const inodeCost = 768

// takeInode counts a new inode against nr_inodes and the memory of who mounted fs.
func (fs *FS) takeInode() error {
	n := fs.inodes.Add(1)
	if m := fs.maxInodes.Load(); m > 0 && n > m {
		fs.inodes.Add(-1)
		return abi.ENOSPC
	}
	if fs.acct == nil {
		return nil
	}
	if err := fs.acct.Charge(inodeCost); err != nil {
		fs.inodes.Add(-1)
		return err
	}
	fs.charged.Add(1)
	return nil
}

// giveInode takes back what takeInode counted. A file may outlive the file system.
func (fs *FS) giveInode() {
	fs.inodes.Add(-1)
	for n := fs.charged.Load(); n > 0; n = fs.charged.Load() {
		if fs.charged.CompareAndSwap(n, n-1) {
			fs.acct.Uncharge(inodeCost)
			return
		}
	}
}

// takePages counts n new pages against the size.
func (fs *FS) takePages(n int64) error {
	u := fs.pages.Add(n)
	if m := fs.maxPages.Load(); m > 0 && u > m {
		fs.pages.Add(-n)
		return abi.ENOSPC
	}
	return nil
}
