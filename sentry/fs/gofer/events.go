package gofer

import (
	"lazaret/gofer/proto"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// HostEvents implements proto.EventSink: others changed something in a shared tree.
func (c *Client) HostEvents(events []proto.Event) {
	c.mu.Lock()
	trees := append([]*fileSystem(nil), c.trees...)
	c.mu.Unlock()
	for i := range events {
		for _, fs := range trees {
			fs.hostEvent(&events[i])
		}
	}
}

func (fs *fileSystem) hostEvent(e *proto.Event) {
	if e.Mask&abi.IN_Q_OVERFLOW != 0 {
		fs.distrustAll()
		return
	}
	if e.Mask&(abi.IN_DELETE_SELF|abi.IN_IGNORED) != 0 {
		fs.ends.Add(1)
	}
	k := key{e.DevMajor, e.DevMinor, e.Ino}
	fs.mu.Lock()
	fs.racedLocked(k) // what was read ahead of it
	i := fs.inodes[k]
	fs.mu.Unlock()
	d, ok := i.(*directory)
	if !ok {
		if e.Name == "" || e.Mask&renames != 0 {
			fs.changed(k) // listings that it is in say what was
		}
		return
	}
	own := d.isOwn(e.Mask, e.Name) || e.Name != "" && e.Mask&abi.IN_MODIFY != 0 && d.isWriting(e.Name)
	if own && e.Mask&renames != 0 {
		return // the names are known
	}
	var child vfs.Inode
	if e.Name != "" {
		child = d.hostChanged(e.Name, e.Mask, own)
	}
	switch {
	case e.Mask&(abi.IN_DELETE_SELF|abi.IN_IGNORED) != 0:
		d.unwatched()
	case e.Mask&renames != 0:
		d.changed()
	case e.Name == "":
		fs.changed(k) // listings that it is in
		d.distrust()
	}
	if own || e.Mask&abi.IN_IGNORED != 0 {
		return
	}
	vfs.NotifyHost(d, e.Mask, e.Cookie, e.Name)
	if child != nil {
		if m := selfMask(e.Mask); m != 0 {
			vfs.NotifyHost(child, m, 0, "")
		}
	}
}

// selfMask is what an event on a name is to those who watch the file itself.
func selfMask(mask uint32) uint32 {
	m := mask & (abi.IN_MODIFY | abi.IN_ATTRIB)
	if mask&abi.IN_DELETE != 0 {
		m |= abi.IN_ATTRIB // the link count
	}
	if mask&abi.IN_MOVED_FROM != 0 {
		m |= abi.IN_MOVE_SELF
	}
	return m
}

// isWriting reports whether name is a file that is open for writing here.
func (d *directory) isWriting(name string) bool {
	d.mu.Lock()
	k, ok := d.children[name]
	d.mu.Unlock()
	if !ok {
		return false
	}
	d.fs.mu.Lock()
	r, ok := d.fs.inodes[k].(*regular)
	d.fs.mu.Unlock()
	if !ok {
		return false
	}
	r.fdMu.Lock()
	defer r.fdMu.Unlock()
	return r.writers > 0
}

const renames = abi.IN_CREATE | abi.IN_DELETE | abi.IN_MOVED_FROM | abi.IN_MOVED_TO

// unwatched notes that changes in d are not reported any more: nothing that is remembered of
// it and of what is in it is to be relied on.
func (d *directory) unwatched() {
	d.changed()
	d.distrust()
	d.mu.Lock()
	d.unreportLocked()
	children := make([]key, 0, len(d.children))
	for _, k := range d.children {
		children = append(children, k)
	}
	d.mu.Unlock()
	for _, k := range children {
		d.fs.mu.Lock()
		i := d.fs.inodes[k]
		d.fs.mu.Unlock()
		if i != nil {
			base(i).distrust()
		}
	}
}

// hostChanged notes an event on name: it is another file now, or the file changed, by us if
// own is set. It returns the file that was known by the name, if it is in use.
func (d *directory) hostChanged(name string, mask uint32, own bool) vfs.Inode {
	d.mu.Lock()
	k, ok := d.children[name]
	if mask&renames != 0 {
		d.staleLocked(name)
	}
	if d.list != nil {
		d.indexLocked()
		d.list = nil // its entry says what was
	}
	if _, listed := d.known[name]; listed {
		d.known[name] = entry{} // exists, but what it is must be asked
	}
	d.gen++
	d.mu.Unlock()
	if !ok {
		return nil
	}
	d.fs.mu.Lock()
	i := d.fs.inodes[k]
	d.fs.mu.Unlock()
	if i != nil {
		base(i).distrust()
	}
	if i != nil && mask&(abi.IN_MOVED_FROM|abi.IN_DELETE) != 0 {
		base(i).left(place{d, name})
	}
	if r, ok := i.(*regular); ok && !own {
		r.closeIdle()
	}
	d.fs.changed(k) // listings of other directories may have it too
	return i
}

// gave notes that name was found to be the file k. Only events need it.
func (d *directory) gave(name string, k key, a *proto.Attr) {
	if d == nil || a.Flags&proto.FlagShared == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.children == nil {
		d.children = map[string]key{}
	}
	d.children[name] = k
}

// forgetChild ends gave when the inode is released.
func (d *directory) forgetChild(name string, k key) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.children[name] == k {
		delete(d.children, name)
	}
}

func (i *inode) distrust() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.trusted = false
	i.xattrs = nil
	if d, ok := i.self.(*directory); ok {
		d.gen++ // what is on its way here may be older
	}
	i.events++
}

// distrustAll forgets everything: events were lost.
func (fs *fileSystem) distrustAll() {
	fs.mu.Lock()
	all := make([]vfs.Inode, 0, len(fs.inodes))
	for _, i := range fs.inodes {
		all = append(all, i)
	}
	fs.mu.Unlock()
	for _, i := range all {
		base(i).distrust()
		if d, ok := i.(*directory); ok {
			d.changed()
			d.mu.Lock()
			d.doubtLocked()
			d.mu.Unlock()
		}
	}
}
