package vfs

import (
	"slices"
	"sync"
	"sync/atomic"

	"lazaret/sentry/auth"
	"lazaret/syscalls/abi"
)

// Super is an instance of a file system (a super block). A file system type makes one
// with NewSuper and gives it a root with SetRoot.
type Super struct {
	Type    string // name of the file system type
	Magic   int64  // statfs f_type
	Major   uint32 // st_dev; 0 for file systems without a device
	Minor   uint32
	Source  string              // what mount(2) was told
	Options string              // of the file system itself, for mountinfo, without leading comma
	MaxSize uint64              // largest file in bytes
	UserNS  *auth.UserNamespace // ids of other namespaces cannot be stored; nil: the initial
	FS      any                 // the file system's own value: see StatFSer, Remounter, SuperReleaser, OptionShower

	// Unkept makes a name leave the cache with the last pin of its dentry, so that the inode
	// is released then: it holds something that must end in time.
	Unkept bool
	// NoMissing says that its directories fail to look up what is not there, as those of
	// procfs do: who wants to make it hears ENOENT.
	NoMissing bool
	// Kernel marks file systems that cannot be mounted by name (pipefs, sockfs, anon_inodefs).
	Kernel bool

	flags  atomic.Uint32 // abi.MS_RDONLY
	mounts atomic.Int32  // mounts and internal users
	writes atomic.Int32  // sum of the mounts' writes
	dead   atomic.Bool

	renameMu sync.Mutex // moves of directories
	root     *Dentry
	cache    dcache

	stateMu sync.Mutex
	states  map[Inode]*InodeState // of inodes that do not hold their own
}

// Remounter is a Super.FS that takes new options (MS_REMOUNT).
type Remounter interface {
	Remount(ctx *Context, flags uint32, data string) error
}

// SuperReleaser is a Super.FS that wants to know that its last mount is gone.
type SuperReleaser interface {
	ReleaseSuper()
}

// OptionShower is a Super.FS whose options for mountinfo change.
type OptionShower interface {
	ShowOptions() string
}

var lastMinor atomic.Uint32

// NewSuper returns a super block of the named type with a device number of its own.
func NewSuper(typ string, magic int64, fs any) *Super {
	s := &Super{Type: typ, Magic: magic, FS: fs, MaxSize: 1<<63 - 1, Minor: lastMinor.Add(1)}
	s.cache.init()
	return s
}

// SetRoot makes inode, a directory or for a file system of one file anything, the root.
func (s *Super) SetRoot(ctx *Context, inode Inode) error {
	d := &Dentry{super: s, id: lastDentry.Add(1)}
	d.self = dnode{d: d, name: "/"}
	d.node.Store(&d.self)
	d.refs.Store(1)
	if err := d.instantiate(ctx, inode); err != nil {
		return err
	}
	if d.flags.Load()&dRevalidate != 0 {
		s.cache.limit = staleLimit
	}
	s.root = d
	return nil
}

// Root returns the root dentry.
func (s *Super) Root() *Dentry { return s.root }

// Flags returns the MS_* flags of the whole super block.
func (s *Super) Flags() uint32 { return s.flags.Load() }

// SetFlags sets the MS_* flags of the super block.
func (s *Super) SetFlags(f uint32) { s.flags.Store(f) }

// ReadOnly reports whether nothing may be written through any mount.
func (s *Super) ReadOnly() bool { return s.flags.Load()&abi.MS_RDONLY != 0 }

// Dev returns the device number as st_dev encodes it.
func (s *Super) Dev() uint64 { return MakeDev(s.Major, s.Minor) }

// ShowOptions returns the file system's own options for mountinfo.
func (s *Super) ShowOptions() string {
	if o, ok := s.FS.(OptionShower); ok {
		return o.ShowOptions()
	}
	return s.Options
}

func (s *Super) get() { s.mounts.Add(1) }

// put drops a mount; the last one ends the file system.
func (s *Super) put() {
	if s.mounts.Add(-1) != 0 || s.dead.Swap(true) {
		return
	}
	s.cache.clear()
	if s.root != nil {
		s.root.DecRef()
	}
	if r, ok := s.FS.(SuperReleaser); ok {
		r.ReleaseSuper()
	}
}

// MakeDev returns the 64-bit encoding of a device number (makedev(3)).
func MakeDev(major, minor uint32) uint64 {
	return uint64(minor&0xff) | uint64(major&0xfff)<<8 | uint64(minor&^0xff)<<12 | uint64(major&^0xfff)<<32
}

// MountSpec is what mount(2) or fsopen(2) says about a new instance.
type MountSpec struct {
	Source string
	Data   string // options separated by commas
	Flags  uint32 // MS_RDONLY and such of the super block
	// FDs are files given with FSCONFIG_SET_FD by option name.
	FDs map[string]*File
}

// OptionChecker is a FileSystemType that knows at once whether an option is one of its own
// (fsconfig(2)); opt is "key" or "key=value".
type OptionChecker interface {
	CheckOption(ctx *Context, opt string) error
}

// FileSystemType makes instances of a file system. The Super that NewSuper returns may
// be one that is in use already (sysfs, mqueue).
type FileSystemType interface {
	Name() string
	NewSuper(ctx *Context, spec *MountSpec) (*Super, error)
}

// UserNSMountable is a FileSystemType that owners of a user namespace may mount.
type UserNSMountable interface {
	UserNSMount() bool
}

var fsTypes struct {
	sync.RWMutex
	m map[string]FileSystemType
}

// RegisterFileSystem makes t known to mount(2). The last one registered under a name wins.
func RegisterFileSystem(t FileSystemType) {
	fsTypes.Lock()
	defer fsTypes.Unlock()
	if fsTypes.m == nil {
		fsTypes.m = make(map[string]FileSystemType)
	}
	fsTypes.m[t.Name()] = t
}

// LookupFileSystem returns the type called name, nil if there is none.
func LookupFileSystem(name string) FileSystemType {
	fsTypes.RLock()
	defer fsTypes.RUnlock()
	return fsTypes.m[name]
}

// FileSystems returns the names of all types, sorted (/proc/filesystems).
func FileSystems() []string {
	fsTypes.RLock()
	defer fsTypes.RUnlock()
	var names []string
	for n := range fsTypes.m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
