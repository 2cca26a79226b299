package gofer

import (
	"sync"

	"lazaret/gofer/proto"
	"lazaret/sentry/auth"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// inode is what all kinds of file have. It is embedded in the types that the VFS sees.
type inode struct {
	vfs.InodeState
	fs   *fileSystem
	key  key
	typ  uint32
	self vfs.Inode // the value that embeds this one

	mu      sync.Mutex
	attr    vfs.Attr
	trusted bool                // attr holds until somebody says otherwise
	events  uint32              // how often somebody did
	place                       // where a walk would find the file; no parent for the root
	others  []place             // further names of a file with several
	file    *proto.File         // nil: not asked for yet
	gone    bool                // removed, or replaced by another file
	dead    bool                // the VFS let go of it
	xattrs  map[string]struct{} // names; nil: not asked for yet
}

func (i *inode) common() *inode { return i }

// Super implements vfs.Inode.
func (i *inode) Super() *vfs.Super { return i.fs.super }

// Dev implements vfs.DeviceNumberer.
func (i *inode) Dev() uint64 { return i.fs.dev(i.key) }

// trust reports whether attributes with these flags stay true until an event comes.
func trust(flags uint32) bool {
	return flags&proto.FlagShared == 0 || flags&proto.FlagWatched != 0
}

// setAttr stores attributes that the Gofer sent. Those of a file with several names in a
// shared tree are not relied on: who uses one in a directory that is not watched is not
// reported.
func (i *inode) setAttr(fs *fileSystem, a *proto.Attr) {
	i.attr = fs.convert(a)
	i.trusted = trust(a.Flags) && (!fs.shared || i.typ == abi.S_IFDIR || a.Nlink <= 1)
	if d, ok := i.self.(*directory); ok {
		d.setReportedLocked(i.trusted)
	}
}

// update stores attributes that just came from the Gofer.
func (i *inode) update(fs *fileSystem, a *proto.Attr) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.setAttr(fs, a)
}

// eventCount is what updateSince takes, before the Gofer is asked.
func (i *inode) eventCount() uint32 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.events
}

// updateSince is update for an answer to what was asked when there had been n events: of what
// was reported since, it may not know.
func (i *inode) updateSince(n uint32, a *proto.Attr) {
	i.mu.Lock()
	defer i.mu.Unlock()
	d, ok := i.self.(*directory)
	reported := ok && d.reported
	i.setAttr(i.fs, a)
	if i.events == n {
		return
	}
	i.trusted = false
	if ok && !reported {
		d.unreportLocked()
	}
}

// compare notes that a listing has other attributes than we know: a link that others make is
// not reported where the file's first name is.
func (i *inode) compare(a *proto.Attr) {
	if !i.fs.shared {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	c := i.attr.Ctime
	if a.Nlink != i.attr.Nlink || a.Ctime.Sec != c.Sec || int64(a.Ctime.Nsec) != c.Nsec {
		i.trusted = false
	}
}

// sameFile reports whether a can describe this very file.
func (i *inode) sameFile(a *proto.Attr) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	b := i.attr.Btime
	return !i.gone && a.Mode&abi.S_IFMT == i.typ && b.Sec == a.Btime.Sec && b.Nsec == int64(a.Btime.Nsec)
}

func (i *inode) forget() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.gone = true
}

// cached returns the attributes if they are to be trusted.
func (i *inode) cached() (vfs.Attr, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.attr, i.trusted || i.gone
}

// Perms implements vfs.Perms.
func (i *inode) Perms() (uint32, auth.KUID, auth.KGID) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.attr.Mode, i.attr.UID, i.attr.GID
}

// Attr implements vfs.Inode.
func (i *inode) Attr(_ *vfs.Context, flags int) (vfs.Attr, error) {
	if a, ok := i.cached(); ok && flags&abi.AT_STATX_FORCE_SYNC == 0 {
		return a, nil
	}
	for {
		n := i.eventCount()
		start, chain, names, err := i.route()
		if err != nil {
			return vfs.Attr{}, err
		}
		a, err := i.ask(start, chain, names)
		if err == nil {
			i.updateSince(n, &a)
			got, _ := i.cached()
			return got, nil
		}
		if !i.strayed(start, err) {
			return vfs.Attr{}, err
		}
	}
}

// ask gets the attributes along a route.
func (i *inode) ask(start *proto.File, chain []*inode, names []string) (proto.Attr, error) {
	if len(chain) == 0 {
		return start.GetAttr()
	}
	steps, err := start.Walk(names)
	if _, err := i.arrive(chain, steps, err); err != nil {
		return proto.Attr{}, err
	}
	return steps[len(steps)-1].Attr, nil
}

// SetAttr implements vfs.Inode.
func (i *inode) SetAttr(_ *vfs.Context, set *vfs.SetAttr) error {
	req := proto.SetAttr{
		Mode: set.Mode, UID: uint32(set.UID), GID: uint32(set.GID), Size: set.Size,
		Atime: proto.Timespec{Sec: set.Atime.Sec, Nsec: uint32(set.Atime.Nsec)},
		Mtime: proto.Timespec{Sec: set.Mtime.Sec, Nsec: uint32(set.Mtime.Nsec)},
	}
	for _, b := range []struct {
		vfs uint32
		req proto.SetMask
	}{
		{vfs.SetMode, proto.SetMode}, {vfs.SetUID, proto.SetUID}, {vfs.SetGID, proto.SetGID}, {vfs.SetSize, proto.SetSize},
		{vfs.SetAtime, proto.SetAtime | proto.SetAtimeSet}, {vfs.SetMtime, proto.SetMtime | proto.SetMtimeSet},
	} {
		if set.Valid&b.vfs != 0 {
			req.Valid |= b.req
		}
	}
	if req.Valid == 0 {
		return nil
	}
	f, err := i.getFile()
	if err != nil {
		return err
	}
	i.expectContent()
	n := i.eventCount()
	a, err := f.SetAttr(req)
	if err != nil {
		return err
	}
	i.fs.changed(i.key)
	i.updateSince(n, &a)
	return nil
}

// ReleaseInode implements vfs.Releaser.
func (i *inode) ReleaseInode() {
	i.fs.drop(i.key, i.self)
	i.mu.Lock()
	f := i.file
	i.file, i.dead = nil, true
	p := i.place
	i.mu.Unlock()
	if d, ok := i.self.(*directory); ok {
		d.fs.unlist(d)
	}
	if p.parent != nil {
		p.parent.forgetChild(p.name, i.key)
	}
	if f != nil {
		f.Close()
	}
}

// symlink is a symbolic link.
type symlink struct {
	inode
	target string // guarded by inode.mu; empty: not asked for yet
}

// Open implements vfs.Inode.
func (l *symlink) Open(*vfs.Context, *vfs.File) (vfs.FileOps, error) { return nil, abi.ELOOP }

// Readlink implements vfs.Symlink. A link's target never changes.
func (l *symlink) Readlink(*vfs.Context) (string, error) {
	l.mu.Lock()
	t := l.target
	l.mu.Unlock()
	if t != "" {
		return t, nil
	}
	f, err := l.getFile()
	if err != nil {
		return "", err
	}
	t, err = f.Readlink()
	if err != nil {
		return "", err
	}
	l.leads(t)
	return t, nil
}

// leads notes the target, if it is not empty.
func (l *symlink) leads(target string) {
	if target == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = target
}
