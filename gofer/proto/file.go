package proto

import (
	"sync/atomic"

	"lazaret/syscalls/abi"
)

// File is a file that the gofer knows for us. Safe for concurrent use, except that Close
// must be the last call.
type File struct {
	c      *Client
	fid    uint32
	urgent atomic.Bool // the gofer may keep an unlinked file's space for this File
}

// WalkStep is one resolved component.
type WalkStep struct {
	File *File
	Attr Attr
}

// DirEntry is a name in a directory with what stat says of it.
type DirEntry struct {
	Name string
	Ino  uint64
	Next uint64 // offset at which a later ReadDirPlus continues after this entry
	Type uint8  // DT_*
	Err  error  // stat failed (the entry vanished meanwhile, for example); Attr is nil
	Attr *Attr
}

// Attach returns the root of an attach point.
func (c *Client) Attach(name string) (*File, Attr, error) {
	var a Attr
	fid := c.newFIDs(nil, 1)
	ch, err := c.acquire(Txattach)
	if err != nil {
		return nil, a, err
	}
	defer c.release(ch)
	ch.enc.U32(fid[0])
	ch.enc.String(name)
	if _, err := c.attrReply(ch, &a); err != nil {
		c.putFIDs(fid)
		return nil, a, err
	}
	return &File{c: c, fid: fid[0]}, a, nil
}

// attrReply exchanges a request whose reply is an attr, and returns the descriptor that
// came with it if it has the attr's type.
func (c *Client) attrReply(ch *channel, a *Attr) (int, error) {
	d, fd, err := c.exchange(ch)
	if err != nil {
		return -1, err
	}
	d.Attr(a)
	if err := c.finish(&d); err != nil {
		closeFD(fd)
		return -1, err
	}
	return c.takeFD(fd, a.Mode&abi.S_IFMT)
}

// emptyReply exchanges a request whose reply has no body.
func (c *Client) emptyReply(ch *channel) error {
	d, fd, err := c.exchange(ch)
	if err != nil {
		return err
	}
	closeFD(fd)
	return c.finish(&d)
}

// Walk resolves names one after the other. It stops before a missing name (ENOENT, with
// the steps that lead there) and after a symbolic link or another file that is no
// directory (no error, fewer steps than names). Names above MaxWalk are left for the
// caller's next Walk.
func (f *File) Walk(names []string) ([]WalkStep, error) {
	r, err := f.walk(names, TailNone, 0, 0)
	return r.steps, err
}

// WalkOpen is Walk and, if every name was resolved, Open of the last file in the same
// exchange. fd is -1 if nothing was opened; openErr says why the open failed.
func (f *File) WalkOpen(names []string, flags int) (steps []WalkStep, fd int, openErr, err error) {
	r, err := f.walk(names, TailOpen, flags, 0)
	return r.steps, r.fd, r.tailErr, err
}

// WalkReadDir is Walk and, if every name was resolved, ReadDirPlus of the last directory
// from its beginning. eof says that the listing is complete.
func (f *File) WalkReadDir(names []string) (steps []WalkStep, list DirList, listErr, err error) {
	r, err := f.walk(names, TailReaddir, 0, MaxMessage)
	return r.steps, r.list, r.tailErr, err
}

// Looked is what WalkLookup found of the last file besides its attributes.
type Looked struct {
	FD     int    // of a regular file, for reading, else -1; the caller owns it
	Target string // of a symbolic link
	Dir    uint32 // flags of the files in the directory where the last name was looked up
}

// WalkLookup is Walk and, if every name was resolved, what is mostly wanted next of the last
// file. That may be missing.
func (f *File) WalkLookup(names []string) ([]WalkStep, Looked, error) {
	r, err := f.walk(names, TailLookup, 0, 0)
	return r.steps, Looked{r.fd, r.target, r.dir}, err
}

// Find is Walk for one name; dir is as in Looked.
func (f *File) Find(name string) (step WalkStep, dir uint32, err error) {
	r, err := f.walk([]string{name}, TailNone, 0, 0)
	if err == nil {
		step = r.steps[0]
	}
	return step, r.dir, err
}

type walkReply struct {
	target  string
	steps   []WalkStep
	dir     uint32
	fd      int
	list    DirList
	tailErr error
}

func (f *File) walk(names []string, tail uint8, flags, limit int) (r walkReply, err error) {
	r.fd, r.dir = -1, FlagShared // which says that nothing is reported
	if len(names) == 0 {
		return r, abi.EINVAL
	}
	if len(names) > MaxWalk {
		names, tail = names[:MaxWalk], TailNone
	}
	for _, n := range names {
		if err := checkName(n); err != nil {
			return r, err
		}
	}
	var store [8]uint32
	fids := f.c.newFIDs(store[:0], len(names))
	ch, err := f.c.acquire(Txwalk)
	if err != nil {
		return r, err
	}
	defer f.c.release(ch)
	e := &ch.enc
	e.U32(f.fid)
	e.U8(tail)
	e.U32(uint32(flags))
	e.U32(uint32(limit))
	e.U16(uint16(len(names)))
	for i, n := range names {
		e.U32(fids[i])
		e.String(n)
	}
	d, fd, err := f.c.exchange(ch)
	if err != nil {
		f.c.putFIDs(fids)
		return r, err
	}
	attrs, werr, ok := decodeWalk(&d, &r, len(names), tail)
	if !ok {
		closeFD(fd)
		return walkReply{fd: -1, dir: FlagShared}, f.c.fail()
	}
	f.c.putFIDs(fids[len(attrs):])
	r.steps = make([]WalkStep, len(attrs))
	files := make([]File, len(attrs))
	for i := range attrs {
		files[i].c, files[i].fid = f.c, fids[i]
		r.steps[i] = WalkStep{&files[i], attrs[i]}
	}
	if fd >= 0 && (tail != TailOpen && tail != TailLookup || len(attrs) != len(names) || r.tailErr != nil) {
		closeFD(fd)
		return walkReply{fd: -1, dir: FlagShared}, f.c.fail()
	}
	if fd >= 0 {
		r.fd, err = f.c.takeFD(fd, attrs[len(attrs)-1].Mode&abi.S_IFMT)
		if err != nil {
			return walkReply{fd: -1, dir: FlagShared}, err
		}
	}
	return r, werr
}

// decodeWalk reads an Rxwalk for a request of n names.
func decodeWalk(d *Decoder, r *walkReply, n int, tail uint8) (attrs []Attr, werr error, ok bool) {
	werr = wireErrno(d.U32())
	r.dir = d.U32()
	k := int(d.U16())
	if r.dir&^flagsAll != 0 || k > n || (werr != nil && k == n) {
		return nil, nil, false
	}
	attrs = make([]Attr, k)
	for i := range attrs {
		d.Attr(&attrs[i])
		// Only the last may be something that cannot be walked through.
		if i+1 < k && attrs[i].Mode&abi.S_IFMT != abi.S_IFDIR {
			return nil, nil, false
		}
	}
	if werr == nil && k < n && (k == 0 || attrs[k-1].Mode&abi.S_IFMT == abi.S_IFDIR) {
		return nil, nil, false
	}
	r.tailErr = wireErrno(d.U32())
	if tail == TailReaddir && k == n && r.tailErr == nil {
		r.list.decode(d)
	}
	if tail == TailLookup && k == n && r.tailErr == nil && attrs[k-1].Mode&abi.S_IFMT == abi.S_IFLNK {
		r.target = d.target()
	}
	return attrs, werr, d.Done()
}

// checkName gives Linux's error for a name that the gofer would refuse anyway.
func checkName(name string) error {
	if len(name) > MaxName {
		return abi.ENAMETOOLONG
	}
	if !ValidName(name) {
		return abi.EINVAL
	}
	return nil
}

// Open opens the file: a regular file (or an allowed FIFO) gives a descriptor that the
// caller owns. fd is -1 for a directory, which needs no open descriptor. ESTALE says that
// the name now belongs to another file: walk again.
func (f *File) Open(flags int) (fd int, err error) {
	fd, _, err = f.OpenAttr(flags)
	return fd, err
}

// OpenAttr is Open with the attributes that the file had once open.
func (f *File) OpenAttr(flags int) (fd int, a Attr, err error) {
	ch, err := f.c.acquire(Txopen)
	if err != nil {
		return -1, a, err
	}
	defer f.c.release(ch)
	ch.enc.U32(f.fid)
	ch.enc.U32(uint32(flags))
	fd, err = f.c.attrReply(ch, &a)
	return fd, a, err
}

// Create makes and opens a regular file owned by uid and gid. With O_TMPFILE in flags the
// name is empty and f the directory. If the name exists, O_EXCL or not, and is not a regular
// file, the error is EEXIST; a regular file is opened if O_EXCL is not set.
func (f *File) Create(name string, flags int, mode, uid, gid uint32) (child *File, fd int, a Attr, err error) {
	if flags&abi.O_TMPFILE != abi.O_TMPFILE {
		if err := checkName(name); err != nil {
			return nil, -1, a, err
		}
	}
	fids := f.c.newFIDs(nil, 1)
	ch, err := f.c.acquire(Txcreate)
	if err != nil {
		return nil, -1, a, err
	}
	defer f.c.release(ch)
	ch.enc.U32(f.fid)
	ch.enc.U32(fids[0])
	ch.enc.String(name)
	for _, v := range [...]uint32{uint32(flags), mode, uid, gid} {
		ch.enc.U32(v)
	}
	fd, err = f.c.attrReply(ch, &a)
	if err != nil {
		f.c.putFIDs(fids)
		return nil, -1, a, err
	}
	return &File{c: f.c, fid: fids[0]}, fd, a, nil
}

// Close forgets the file. It waits for nothing; the gofer is told later, together with
// other closed files.
func (f *File) Close() {
	u := whenever
	if f.urgent.Load() {
		u = now
	}
	f.c.clunk(u, f.fid)
}
