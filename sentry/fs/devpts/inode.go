package devpts

import (
	"slices"
	"strconv"
	"sync"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/tty"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Inode numbers: the terminals follow.
const (
	rootIno  = 1
	ptmxIno  = 2
	firstIno = 3
)

// root is the directory.
type root struct {
	vfs.InodeState
	inst *Instance
	ptmx ptmx
}

// Attr implements vfs.Inode.
func (r *root) Attr(*vfs.Context, int) (vfs.Attr, error) {
	t := r.inst.now
	return vfs.Attr{
		Ino: rootIno, Mode: abi.S_IFDIR | 0o755, Nlink: 2, BlkSize: 1024, Atime: t, Mtime: t, Ctime: t,
	}, nil
}

// SetAttr implements vfs.Inode.
func (r *root) SetAttr(*vfs.Context, *vfs.SetAttr) error { return abi.EPERM }

// Super implements vfs.Inode.
func (r *root) Super() *vfs.Super { return r.inst.super }

// Open implements vfs.Inode.
func (r *root) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) { return (*openRoot)(r), nil }

// Lookup implements vfs.Directory.
func (r *root) Lookup(_ *vfs.Context, name string) (vfs.Inode, error) {
	if name == "ptmx" {
		r.ptmx.inst = r.inst
		return &r.ptmx, nil
	}
	n, err := strconv.ParseUint(name, 10, 32)
	if err != nil || strconv.FormatUint(n, 10) != name {
		return nil, abi.ENOENT
	}
	r.inst.mu.Lock()
	defer r.inst.mu.Unlock()
	if p := r.inst.ptys[uint32(n)]; p != nil {
		return p, nil
	}
	return nil, abi.ENOENT
}

// Revalidate implements vfs.Revalidator: terminals come and go.
func (r *root) Revalidate(ctx *vfs.Context, name string, child vfs.Inode) bool {
	now, err := r.Lookup(ctx, name)
	return err == nil && now == child
}

// Make implements vfs.Directory.
func (r *root) Make(*vfs.Context, string, *vfs.MakeArgs) (vfs.Inode, error) { return nil, abi.EPERM }

// Link implements vfs.Directory.
func (r *root) Link(*vfs.Context, string, vfs.Inode) error { return abi.EPERM }

// Remove implements vfs.Directory.
func (r *root) Remove(*vfs.Context, string, vfs.Inode) error { return abi.EPERM }

// Rename implements vfs.Directory.
func (r *root) Rename(*vfs.Context, string, vfs.Inode, vfs.Directory, string, vfs.Inode, uint32) error {
	return abi.EPERM
}

// openRoot is the open directory.
type openRoot root

// Read implements vfs.FileOps.
func (o *openRoot) Read(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) {
	return 0, abi.EISDIR
}

// Write implements vfs.FileOps.
func (o *openRoot) Write(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) {
	return 0, abi.EISDIR
}

// Release implements vfs.FileOps.
func (o *openRoot) Release(*vfs.File) {}

// ReadDir implements vfs.DirReader. Positions: 0 ".", 1 "..", 2 ptmx, 3+n terminal n.
func (o *openRoot) ReadDir(ctx *vfs.Context, f *vfs.File, pos *int64, emit func(*vfs.Dirent) bool) error {
	o.inst.mu.Lock()
	var numbers []uint32
	for n := range o.inst.ptys {
		numbers = append(numbers, n)
	}
	o.inst.mu.Unlock()
	slices.Sort(numbers)
	all := []vfs.Dirent{
		{Name: ".", Ino: rootIno, Type: abi.DT_DIR, Next: 1},
		{Name: "..", Ino: vfs.ParentIno(ctx, f, rootIno), Type: abi.DT_DIR, Next: 2},
		{Name: "ptmx", Ino: ptmxIno, Type: abi.DT_CHR, Next: 3},
	}
	for _, n := range numbers {
		all = append(all, vfs.Dirent{Name: strconv.Itoa(int(n)), Ino: firstIno + uint64(n), Type: abi.DT_CHR, Next: int64(n) + 4})
	}
	for i := range all {
		if all[i].Next <= *pos {
			continue
		}
		if !emit(&all[i]) {
			return nil
		}
		*pos = all[i].Next
	}
	return nil
}

// ptmx is the file that makes terminals.
type ptmx struct {
	vfs.InodeState
	inst *Instance
}

// Attr implements vfs.Inode.
func (p *ptmx) Attr(*vfs.Context, int) (vfs.Attr, error) {
	p.inst.mu.Lock()
	mode := p.inst.opts.ptmx
	p.inst.mu.Unlock()
	t := p.inst.now
	return vfs.Attr{
		Ino: ptmxIno, Mode: abi.S_IFCHR | mode, Nlink: 1, RdevMajor: tty.AuxMajor, RdevMinor: tty.PTMXMinor,
		BlkSize: 1024, Atime: t, Mtime: t, Ctime: t,
	}, nil
}

// SetAttr implements vfs.Inode.
func (p *ptmx) SetAttr(_ *vfs.Context, set *vfs.SetAttr) error {
	if set.Valid&vfs.SetMode != 0 {
		p.inst.mu.Lock()
		p.inst.opts.ptmx = set.Mode & 0o7777
		p.inst.mu.Unlock()
	}
	return nil
}

// OpensSpecial implements vfs.SpecialOpener.
func (p *ptmx) OpensSpecial() bool { return true }

// Open implements vfs.Inode.
func (p *ptmx) Open(ctx *vfs.Context, f *vfs.File) (vfs.FileOps, error) {
	return p.inst.open(ctx, f, vfs.Path{Mount: f.Path.Mount, Dentry: p.inst.super.Root()})
}

// Super implements vfs.Inode.
func (p *ptmx) Super() *vfs.Super { return p.inst.super }

// pts is the file of a terminal.
type pts struct {
	vfs.InodeState
	inst *Instance
	n    uint32
	t    *tty.TTY
	acct *memfile.Account
	at   vfs.Path // root of the instance; pinned until the master closes

	mu   sync.Mutex
	mode uint32
	uid  auth.KUID
	gid  auth.KGID
	now  abi.Timespec
}

// Attr implements vfs.Inode.
func (p *pts) Attr(*vfs.Context, int) (vfs.Attr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return vfs.Attr{
		Ino: firstIno + uint64(p.n), Mode: p.mode, Nlink: 1, UID: p.uid, GID: p.gid,
		RdevMajor: tty.PTSMajor, RdevMinor: p.n, BlkSize: 1024, Atime: p.now, Mtime: p.now, Ctime: p.now,
	}, nil
}

// SetAttr implements vfs.Inode.
func (p *pts) SetAttr(_ *vfs.Context, set *vfs.SetAttr) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if set.Valid&vfs.SetMode != 0 {
		p.mode = abi.S_IFCHR | set.Mode&0o7777
	}
	if set.Valid&vfs.SetUID != 0 {
		p.uid = set.UID
	}
	if set.Valid&vfs.SetGID != 0 {
		p.gid = set.GID
	}
	if set.Valid&vfs.SetMtime != 0 {
		p.now = set.Mtime
	}
	return nil
}

// OpensSpecial implements vfs.SpecialOpener.
func (p *pts) OpensSpecial() bool { return true }

// Open implements vfs.Inode.
func (p *pts) Open(ctx *vfs.Context, f *vfs.File) (vfs.FileOps, error) {
	f.Mode |= vfs.ModeStream | vfs.ModeAsync
	return p.t.Open(ctx, f.Flags())
}

// Super implements vfs.Inode.
func (p *pts) Super() *vfs.Super { return p.inst.super }

// ReleasePTY implements tty.Releaser: the master was closed.
func (p *pts) ReleasePTY(*tty.TTY) {
	p.inst.mu.Lock()
	if p.inst.ptys[p.n] == p {
		delete(p.inst.ptys, p.n)
	}
	p.inst.mu.Unlock()
	if p.acct != nil {
		p.acct.Uncharge(ptyCost)
	}
	if p.at.OK() {
		p.at.DecRef()
	}
}

// OpenPeer implements tty.Peer.
func (p *pts) OpenPeer(ctx *vfs.Context, _ *tty.TTY, flags uint32) (*vfs.File, error) {
	if !p.at.OK() {
		return nil, abi.EIO
	}
	return vfs.OpenAt(ctx, p.at, strconv.Itoa(int(p.n)), vfs.OpenHow{Flags: flags})
}
