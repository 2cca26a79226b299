package vfs

import (
	"sync/atomic"

	"lazaret/syscalls/abi"
)

// Events, with the values of inotify(7).
const (
	inAccess       = abi.IN_ACCESS
	inModify       = abi.IN_MODIFY
	inAttrib       = abi.IN_ATTRIB
	inCloseWrite   = abi.IN_CLOSE_WRITE
	inCloseNoWrite = abi.IN_CLOSE_NOWRITE
	inOpen         = abi.IN_OPEN
	inMovedFrom    = abi.IN_MOVED_FROM
	inMovedTo      = abi.IN_MOVED_TO
	inCreate       = abi.IN_CREATE
	inDelete       = abi.IN_DELETE
	inDeleteSelf   = abi.IN_DELETE_SELF
	inMoveSelf     = abi.IN_MOVE_SELF
	inUnmount      = abi.IN_UNMOUNT
	inIgnored      = abi.IN_IGNORED
	inIsDir        = abi.IN_ISDIR
)

// watches counts all marks of all inotify instances: without any, events cost one load.
var watches atomic.Int64

var lastCookie atomic.Uint32

// marksOf returns the marks on d's inode, nil if there are none.
func marksOf(d *Dentry) *markList {
	if d == nil || d.state == nil {
		return nil
	}
	e := d.state.ext.Load()
	if e == nil || e.marks.count.Load() == 0 {
		return nil
	}
	return &e.marks
}

func dirBit(d *Dentry) uint32 {
	if d.IsDir() {
		return inIsDir
	}
	return 0
}

// notifyName tells watchers of dir about an event on its entry name, which is d.
func notifyName(dir, d *Dentry, event uint32, name string, cookie uint32) {
	if watches.Load() == 0 {
		return
	}
	marksOf(dir).send(event|dirBit(d), cookie, name, d.Deleted())
}

// notifyInode tells watchers of d, and those of its directory, about an event on d.
func notifyInode(d *Dentry, event uint32) {
	if watches.Load() == 0 {
		return
	}
	event |= dirBit(d)
	if n := d.node.Load(); n.parent != nil {
		marksOf(n.parent).send(event, 0, n.name, d.Deleted())
	}
	marksOf(d).send(event, 0, "", false)
}

// notifySelf tells watchers of d, not those of its directory, about an event on d.
func notifySelf(d *Dentry, event uint32) {
	if watches.Load() != 0 {
		marksOf(d).send(event|dirBit(d), 0, "", false)
	}
}

// notifyFile is notifyInode for an event on an open file.
func notifyFile(f *File, event uint32) {
	if watches.Load() != 0 {
		notifyInode(f.Path.Dentry, event)
	}
}

// notifyRemoved tells watchers of d that a name of it is gone, and that it is gone
// itself if that was the last. d is pinned.
func notifyRemoved(d *Dentry) {
	if watches.Load() == 0 {
		return
	}
	if m := marksOf(d); m != nil && !d.IsDir() {
		m.send(inAttrib, 0, "", false) // the link count changed
	}
}

// notifyRename tells watchers of both directories and of what moved.
func notifyRename(r *renaming) {
	if watches.Load() == 0 {
		return
	}
	cookie := lastCookie.Add(1)
	notifyName(r.oldDir, r.src, inMovedFrom, r.from.last, cookie)
	notifyName(r.newDir, r.src, inMovedTo, r.to.last, cookie)
	marksOf(r.src).send(inMoveSelf, 0, "", false) // without IN_ISDIR, as all events on oneself
	if r.flags&abi.RENAME_EXCHANGE != 0 {
		cookie = lastCookie.Add(1)
		notifyName(r.newDir, r.dst, inMovedFrom, r.to.last, cookie)
		notifyName(r.oldDir, r.dst, inMovedTo, r.from.last, cookie)
		marksOf(r.dst).send(inMoveSelf, 0, "", false)
	}
}

// NotifyHost reports an event that a file system saw by itself, such as a change that
// was made on the host: mask is IN_* bits, on inode or, if name is not empty, on its
// entry of that name.
func NotifyHost(inode Inode, mask, cookie uint32, name string) {
	h, ok := inode.(StateHolder)
	if !ok || watches.Load() == 0 {
		return
	}
	if e := h.VFSState().ext.Load(); e != nil {
		e.marks.send(mask, cookie, name, false)
	}
}
