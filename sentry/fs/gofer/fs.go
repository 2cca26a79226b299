package gofer

import (
	"sync"
	"sync/atomic"

	"lazaret/gofer/proto"
	"lazaret/sentry/auth"
	"lazaret/sentry/fs/hostfile"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// fileSystem is one attached tree.
type fileSystem struct {
	super   *vfs.Super
	root    *inode
	rootDev [2]uint32
	shared  bool // others may change the tree, and the Gofer tells us
	fixed   bool // nobody may change it, we neither
	fds     *fdCache
	host    *hostfile.Notifier // nil: FIFOs and sockets are the sandbox's own

	mu       sync.Mutex
	devs     map[[2]uint32]uint64 // st_dev of the host file systems below the root
	inodes   map[key]vfs.Inode
	listings []*directory // that hold a listing, oldest first
	holders  map[*directory]struct{}
	nEntries int // in all listings
	ahead
	openAhead

	// touched are files that we changed: listings from before say wrong things of them.
	touched map[key]struct{}

	ends   atomic.Uint64 // watches of the Gofer's that ended
	unused atomic.Int32  // directories that were read since somebody looked at an entry
}

// key identifies a host file.
type key struct {
	major, minor uint32
	ino          uint64
}

func keyOf(a *proto.Attr) key { return key{a.DevMajor, a.DevMinor, a.Ino} }

// maxListed bounds the directory entries that are remembered in one tree.
const maxListed = 1 << 16

// Mount returns a file system for the tree called attach of the client's Gofer.
func Mount(ctx *vfs.Context, c *Client, attach, source string) (*vfs.Super, error) {
	file, attr, err := c.proto.Attach(attach)
	if err != nil {
		return nil, err
	}
	fs := &fileSystem{
		rootDev: [2]uint32{attr.DevMajor, attr.DevMinor}, fds: c.fds, host: c.host, shared: attr.Flags&proto.FlagShared != 0,
		devs: map[[2]uint32]uint64{}, inodes: map[key]vfs.Inode{},
		holders: map[*directory]struct{}{}, touched: map[key]struct{}{},
		ahead:     ahead{aheadLists: map[key]*proto.Listing{}, raced: map[key]struct{}{}},
		openAhead: openAhead{openFDs: map[key]aheadFD{}},
	}
	fs.super = vfs.NewSuper("9p", abi.V9FS_MAGIC, fs)
	fs.super.Source = source
	if attr.Flags&proto.FlagReadOnly != 0 {
		fs.fixed = !fs.shared
		fs.super.SetFlags(abi.MS_RDONLY)
	}
	root := fs.inode(nil, "", &attr, file)
	fs.root = base(root)
	if err := fs.super.SetRoot(ctx, root); err != nil {
		return nil, err
	}
	c.add(fs)
	return fs.super, nil
}

// Client is a connection to a Gofer and the trees mounted through it.
type Client struct {
	proto *proto.Client
	fds   *fdCache
	host  *hostfile.Notifier

	mu    sync.Mutex
	trees []*fileSystem
}

// NewClient starts the protocol on the socket fd, which it then owns.
func NewClient(fd int) (*Client, error) {
	p, err := proto.NewClient(fd)
	if err != nil {
		return nil, err
	}
	return &Client{proto: p, fds: newFDCache()}, nil
}

// Watch asks the Gofer to report changes that others make in shared trees.
func (c *Client) Watch() error { return c.proto.WatchEvents(c) }

// Close ends the connection.
func (c *Client) Close() {
	c.mu.Lock()
	trees := c.trees
	c.mu.Unlock()
	for _, fs := range trees {
		fs.dropFDs()
	}
	c.proto.Close()
}

func (c *Client) add(fs *fileSystem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trees = append(c.trees, fs)
}

// inode returns the inode of the host file that attr describes, found as name in dir.
// file, which may be nil for one that was only listed, is taken over.
func (fs *fileSystem) inode(dir *directory, name string, attr *proto.Attr, file *proto.File) vfs.Inode {
	k := keyOf(attr)
	dir.gave(name, k, attr)
	fs.mu.Lock()
	defer fs.mu.Unlock()
	// A file without further links cannot be known by another name: but a removed one's
	// number may be in use again, so that type and birth must agree.
	if old, ok := fs.inodes[k]; ok {
		i := base(old)
		if i.sameFile(attr) {
			i.update(fs, attr)
			i.offer(dir, name, file)
			return old
		}
		i.forget()
	}
	n := fs.newInode(dir, name, attr, file)
	fs.inodes[k] = n
	return n
}

// listed is inode for attributes that come from a listing made a while ago: an inode that
// is in use knows better. It returns nil if the Gofer must be asked.
func (fs *fileSystem) listed(dir *directory, name string, attr *proto.Attr) vfs.Inode {
	k := keyOf(attr)
	dir.gave(name, k, attr)
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if old, ok := fs.inodes[k]; ok && base(old).sameFile(attr) {
		base(old).compare(attr)
		base(old).offer(dir, name, nil)
		return old
	} else if ok {
		return nil
	}
	if _, ok := fs.touched[k]; ok {
		return nil
	}
	n := fs.newInode(dir, name, attr, nil)
	fs.inodes[k] = n
	return n
}

// maxTouched bounds fileSystem.touched.
const maxTouched = 1 << 16

// changed notes that we changed the file k.
func (fs *fileSystem) changed(k key) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.racedLocked(k)
	if fs.nEntries == 0 && fs.running == 0 {
		clear(fs.touched)
		return
	}
	if len(fs.touched) >= maxTouched {
		for d := range fs.holders {
			fs.unlistLocked(d)
		}
		fs.listings, fs.aheadOrder = nil, nil
		fs.sweepAheadLocked()
		fs.allRaced = fs.running > 0
		clear(fs.touched)
		return
	}
	fs.touched[k] = struct{}{}
}

// drop forgets an inode that the VFS let go of.
func (fs *fileSystem) drop(k key, i vfs.Inode) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.inodes[k] == i {
		delete(fs.inodes, k)
	}
}

func (fs *fileSystem) newInode(dir *directory, name string, attr *proto.Attr, file *proto.File) vfs.Inode {
	var self vfs.Inode
	var i *inode
	switch attr.Mode & abi.S_IFMT {
	case abi.S_IFDIR:
		d := &directory{}
		self, i = d, &d.inode
	case abi.S_IFLNK:
		l := &symlink{}
		self, i = l, &l.inode
	case abi.S_IFREG:
		r := &regular{ro: -1, rw: -1}
		self, i = r, &r.inode
	default:
		s := &special{}
		self, i = s, &s.inode
	}
	i.fs, i.self, i.typ = fs, self, attr.Mode&abi.S_IFMT
	i.key = keyOf(attr)
	i.place, i.file = place{dir, name}, file
	i.setAttr(fs, attr)
	return self
}

// based is any inode of this package.
type based interface{ common() *inode }

func base(i vfs.Inode) *inode { return i.(based).common() }

// StatFS implements vfs.StatFSer.
func (fs *fileSystem) StatFS(*vfs.Context) (abi.Statfs, error) {
	f, err := fs.root.getFile()
	if err != nil {
		return abi.Statfs{}, err
	}
	s, err := f.StatFS()
	if err != nil {
		return abi.Statfs{}, err
	}
	return abi.Statfs{
		Type: abi.V9FS_MAGIC, Bsize: int64(s.Bsize), Blocks: s.Blocks, Bfree: s.Bfree, Bavail: s.Bavail,
		Files: s.Files, Ffree: s.Ffree, Namelen: int64(s.Namelen), Frsize: int64(s.Bsize),
	}, nil
}

// maxDevs bounds the host file systems of one tree that have device numbers of their own.
const maxDevs = 4096

// dev returns st_dev of a file: host file systems that are mounted below the root keep
// apart (find -xdev, tar --one-file-system), under numbers of the sandbox.
func (fs *fileSystem) dev(k key) uint64 {
	host := [2]uint32{k.major, k.minor}
	if host == fs.rootDev {
		return fs.super.Dev()
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	d, ok := fs.devs[host]
	if !ok {
		if d = fs.super.Dev(); len(fs.devs) < maxDevs {
			d = vfs.NewSuper("9p", abi.V9FS_MAGIC, nil).Dev()
		}
		fs.devs[host] = d
	}
	return d
}

// convert makes the VFS's attributes of the protocol's.
func (fs *fileSystem) convert(a *proto.Attr) vfs.Attr {
	ts := func(t proto.Timespec) abi.Timespec { return abi.Timespec{Sec: t.Sec, Nsec: int64(t.Nsec)} }
	return vfs.Attr{
		Ino: a.Ino, Mode: a.Mode, Nlink: a.Nlink, UID: auth.KUID(a.UID), GID: auth.KGID(a.GID),
		RdevMajor: a.RdevMajor, RdevMinor: a.RdevMinor, Size: a.Size, Blocks: a.Blocks, BlkSize: a.Blksize,
		Atime: ts(a.Atime), Mtime: ts(a.Mtime), Ctime: ts(a.Ctime), Btime: ts(a.Btime),
	}
}
