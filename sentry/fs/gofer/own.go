package gofer

import (
	"time"

	"lazaret/syscalls/abi"
)

// ownEvent is an event that the Gofer will report for something we did ourselves: the VFS
// knows already, and so do those who watch inside.
type ownEvent struct {
	mask  uint32
	name  string
	until time.Time
}

const (
	// ownWait is how long a change of ours may take to be reported.
	ownWait = 2 * time.Second
	// maxOwn bounds what one directory waits for; of more, the oldest count as others'.
	maxOwn = 64
)

// expect notes that we change name in d (d itself if name is empty), which will be reported as mask: perhaps also if
// we were not told that changes in d are, since the Gofer watches the directories of files
// that it opens.
func (d *directory) expect(mask uint32, name string) {
	if !d.fs.shared {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now, old := time.Now(), 0
	for old < len(d.own) && (now.After(d.own[old].until) || len(d.own)-old >= maxOwn) {
		old++
	}
	d.own = append(append(d.own[:0], d.own[old:]...), ownEvent{mask, name, now.Add(ownWait)})
}

// isOwn reports whether an event was expected, and ends waiting for it. Changes of
// contents are reported once or many times: that wait ends by itself.
func (d *directory) isOwn(mask uint32, name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.own) == 0 {
		return false
	}
	now := time.Now()
	found := -1
	kept := d.own[:0]
	for _, o := range d.own {
		if now.After(o.until) {
			continue
		}
		if found < 0 && o.mask&mask != 0 && o.name == name {
			found = len(kept)
		}
		kept = append(kept, o)
	}
	d.own = kept
	if found < 0 {
		return false
	}
	if mask&renames != 0 {
		d.own = append(d.own[:found], d.own[found+1:]...)
	}
	if len(d.own) == 0 {
		d.own = nil
	}
	return true
}

// expectContent notes that we change the file itself.
func (i *inode) expectContent() {
	if !i.fs.shared {
		return
	}
	i.mu.Lock()
	p := i.place
	i.mu.Unlock()
	if p.parent != nil {
		p.parent.expect(abi.IN_MODIFY|abi.IN_ATTRIB, p.name)
	}
	if d, ok := i.self.(*directory); ok {
		d.expect(abi.IN_ATTRIB, "")
	}
}

// failed ends the wait for a change that was not made: the event may have been taken for
// ours and be another's, so that name is asked for again.
func (d *directory) failed(mask uint32, name string) {
	if !d.fs.shared || name == "" {
		return
	}
	d.isOwn(mask, name)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.staleLocked(name)
	d.list, d.known = nil, nil
	d.gen++
}
