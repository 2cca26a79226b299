package gofer

import (
	"lazaret/gofer/proto"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// watched reports whether the Gofer reports changes in d, or nobody else can make any.
func (d *directory) watched() bool { return d.trusted || d.listing != nil }

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
	const content = abi.IN_MODIFY | abi.IN_ATTRIB | abi.IN_ACCESS | abi.IN_OPEN | abi.IN_CLOSE_WRITE | abi.IN_CLOSE_NOWRITE
	if e.Name != "" {
		if e.Mask&^content != 0 {
			d.markStale(e.Name)
		}
		fs.distrustChild(d, e.Name)
	}
	if e.Mask&(abi.IN_CREATE|abi.IN_DELETE|abi.IN_MOVED_FROM|abi.IN_MOVED_TO|abi.IN_DELETE_SELF|abi.IN_MOVE_SELF) != 0 {
		d.changed()
	} else if e.Name == "" {
		d.distrust()
	}
	vfs.NotifyHost(d, e.Mask, e.Cookie, e.Name)
}

// maxStale bounds the names a directory remembers as changed; above it all are.
const maxStale = 1024

func (d *directory) markStale(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stale == nil || len(d.stale) >= maxStale {
		d.stale = map[string]struct{}{}
	}
	d.stale[name] = struct{}{}
}

func (i *inode) distrust() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.trusted = false
}

// distrustChild makes the attributes of the file that is name in d be asked for again.
func (fs *fileSystem) distrustChild(d *directory, name string) {
	d.mu.Lock()
	delete(d.listing, name)
	if d.listing != nil {
		d.listing[name] = nil // exists, but what it is must be asked
	}
	d.mu.Unlock()
	fs.mu.Lock()
	var found *inode
	for _, i := range fs.inodes {
		b := base(i)
		b.mu.Lock()
		if b.parent == d && b.name == name {
			found = b
		}
		b.mu.Unlock()
		if found != nil {
			break
		}
	}
	fs.mu.Unlock()
	if found != nil {
		found.distrust()
	}
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
		if d, ok := i.(*directory); ok {
			d.changed()
		} else {
			base(i).distrust()
		}
	}
}
