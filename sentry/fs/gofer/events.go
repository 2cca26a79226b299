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
	fs.mu.Lock()
	i := fs.inodes[key{e.DevMajor, e.DevMinor, e.Ino}]
	fs.mu.Unlock()
	d, ok := i.(*directory)
	if !ok {
		return
	}
	if e.Name != "" {
		d.hostChanged(e.Name, e.Mask)
	}
	switch {
	case e.Mask&(abi.IN_DELETE_SELF|abi.IN_MOVE_SELF) != 0:
		d.changed()
		d.mu.Lock()
		d.reported = false
		d.mu.Unlock()
	case e.Mask&renames != 0:
		d.changed()
	case e.Name == "":
		d.distrust()
	}
	vfs.NotifyHost(d, e.Mask, e.Cookie, e.Name)
}

const renames = abi.IN_CREATE | abi.IN_DELETE | abi.IN_MOVED_FROM | abi.IN_MOVED_TO

// hostChanged notes an event on name: it is another file now, or the file changed.
func (d *directory) hostChanged(name string, mask uint32) {
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
		d.known[name] = nil // exists, but what it is must be asked
	}
	d.gen++
	d.mu.Unlock()
	if !ok {
		return
	}
	d.fs.mu.Lock()
	i := d.fs.inodes[k]
	d.fs.mu.Unlock()
	if i != nil {
		base(i).distrust()
	}
	d.fs.changed(k) // listings of other directories may have it too
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
