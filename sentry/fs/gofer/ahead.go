package gofer

import (
	"lazaret/gofer/proto"
	"lazaret/syscalls/abi"
)

// Who walks through a tree lists a directory, then those in it, then its siblings. So the
// Gofer is asked for more directories than the one that is wanted. What comes is kept by
// file, without inodes, until somebody reads those directories.

// ahead is what was read ahead. fileSystem.mu guards it.
type ahead struct {
	aheadLists map[key]*proto.Listing
	aheadOrder []key // oldest first; some may be gone from aheadLists
	nAhead     int   // entries in aheadLists

	lists window // directories to ask for

	// running counts requests for listings. What changes meanwhile is noted in raced, so
	// that it is not kept as it was before.
	running  int
	raced    map[key]struct{}
	allRaced bool
}

const (
	minWindow = 8
	maxWindow = 512
	// maxListAhead and maxNamesAhead are how many directories read ahead, and entries of
	// them, stay while other listings are dropped.
	maxListAhead  = 2 * maxWindow
	maxNamesAhead = maxListed / 2
	// maxAhead bounds aheadOrder.
	maxAhead = 1 << 14
	maxRaced = 1 << 10
)

// maxUnused is after how many directories whose entries nobody looked at only names are
// asked for.
const maxUnused = 8

// attrsUsed notes that somebody who lists directories looks at what is in them.
func (fs *fileSystem) attrsUsed() { fs.unused.Store(0) }

// wasRead notes that a directory was read.
func (fs *fileSystem) wasRead() {
	if fs.unused.Load() < maxUnused {
		fs.unused.Add(1)
	}
}

// begin notes that a listing is being asked for.
func (fs *fileSystem) begin() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.running++
}

func (fs *fileSystem) end() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.running--; fs.running == 0 {
		clear(fs.raced)
		fs.allRaced = false
	}
}

// racedLocked notes that k changes.
func (fs *fileSystem) racedLocked(k key) {
	fs.dropAheadLocked(k)
	fs.dropFDLocked(k)
	switch {
	case fs.running == 0 || fs.allRaced:
	case len(fs.raced) >= maxRaced:
		fs.allRaced = true
	default:
		fs.raced[k] = struct{}{}
	}
}

func (fs *fileSystem) dropAheadLocked(k key) {
	if l := fs.aheadLists[k]; l != nil {
		fs.nEntries -= l.Len()
		fs.nAhead -= l.Len()
		delete(fs.aheadLists, k)
	}
}

// takeAhead returns what was read ahead of d, nil if that is not enough.
func (fs *fileSystem) takeAhead(d *directory, p purpose) *proto.Listing {
	fs.mu.Lock()
	l := fs.aheadLists[d.key]
	if l != nil {
		fs.dropAheadLocked(d.key)
		fs.lists.hits++
	}
	fs.mu.Unlock()
	if l == nil || !d.is(&l.Dir) || p == forLookup && l.Plain() {
		return nil
	}
	return l
}

// isID reports whether id is this very file.
func (i *inode) isID(id *proto.FileID) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	b := i.attr.Btime
	return !i.gone && i.key == (key{id.DevMajor, id.DevMinor, id.Ino}) &&
		b.Sec == id.Btime.Sec && b.Nsec == int64(id.Btime.Nsec)
}

// is reports whether a describes this very file.
func (i *inode) is(a *proto.Attr) bool {
	id := proto.IDOf(a)
	return i.isID(&id)
}

// store keeps listings of directories that nobody asked for yet.
func (fs *fileSystem) store(lists []proto.Listing) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i := range lists {
		l := &lists[i]
		k := keyOf(&l.Dir)
		if _, raced := fs.raced[k]; raced || fs.allRaced || !trust(l.Dir.Flags) {
			continue
		}
		fs.dropAheadLocked(k)
		own := *l // not all of lists is kept alive
		fs.aheadLists[k] = &own
		fs.aheadOrder = append(fs.aheadOrder, k)
		fs.nEntries += l.Len()
		fs.nAhead += l.Len()
		fs.lists.got++
	}
	fs.shrinkLocked(nil)
	if len(fs.aheadOrder) > maxAhead {
		kept := fs.aheadOrder[:0]
		for _, k := range fs.aheadOrder[len(fs.aheadOrder)-maxAhead/2:] {
			if fs.aheadLists[k] != nil {
				kept = append(kept, k)
			}
		}
		fs.aheadOrder = kept
		fs.sweepAheadLocked()
	}
}

// sweepAheadLocked drops what aheadOrder does not name any more.
func (fs *fileSystem) sweepAheadLocked() {
	named := make(map[key]struct{}, len(fs.aheadOrder))
	for _, k := range fs.aheadOrder {
		named[k] = struct{}{}
	}
	for k := range fs.aheadLists {
		if _, ok := named[k]; !ok {
			fs.dropAheadLocked(k)
		}
	}
}

// window is how many things to ask for at once.
type window struct {
	size      int
	got, hits int // things in the last answers, and those of them that were wanted
}

// next returns how many to ask for now: more when most of the last ones were wanted.
func (w *window) next(least, most int) int {
	switch {
	case w.size == 0:
		w.size = least
	case w.got == 0:
	case 2*w.hits >= w.got:
		w.size = min(4*w.size, most)
	default:
		w.size = max(w.size/4, least)
	}
	w.got, w.hits = 0, 0
	return w.size
}

// nextWindow returns how many directories to ask for.
func (fs *fileSystem) nextWindow() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.lists.next(minWindow, maxWindow)
}

// readAhead is readList by the request that brings other directories along.
func (d *directory) readAhead(limit int, p purpose) (*proto.Listing, error) {
	start, path, parent, names, err := d.aheadRoute()
	if err != nil {
		return nil, err
	}
	how := proto.ListHow{Dirs: 1, Attrs: p == forLookup, Watch: p == forReading && d.fs.shared}
	if p == forReading && d.fs.unused.Load() < maxUnused {
		how.Attrs = true
	}
	if p == forReading && parent != nil {
		if next := parent.following(names[0]); next != nil {
			how.Dirs = d.fs.nextWindow()
			names = append(names, d.fs.notAhead(next, how.Dirs-1)...)
		}
	}
	var parts []proto.Listing
	for {
		lists, err := start.List(path, names, how)
		if err != nil {
			return nil, err
		}
		if !d.is(&lists[0].Dir) {
			return nil, abi.ESTALE
		}
		d.fs.store(lists[1:])
		parts = append(parts, lists[0])
		if lists[0].EOF {
			l := proto.Join(parts)
			return &l, nil
		}
		if limit -= proto.MaxMessage; limit <= 0 {
			return nil, abi.E2BIG
		}
		how.Offset, how.Dirs = lists[0].Next, 1
	}
}

// aheadRoute returns a file and a path that lead to d's parent, and d's name in it; for a
// root, what leads to d itself.
func (d *directory) aheadRoute() (start *proto.File, path []string, parent *directory, names []string, err error) {
	d.mu.Lock()
	parent, name, gone := d.parent, d.name, d.gone
	d.mu.Unlock()
	if gone {
		return nil, nil, nil, nil, abi.ESTALE
	}
	if parent == nil {
		start, _, path, err = d.route()
	} else {
		start, _, path, err = parent.route()
		names = []string{name}
	}
	return start, path, parent, names, err
}

// sibling is a directory in the same directory.
type sibling struct {
	name string
	key  key
}

// following returns the directories that come after name in d, if an application has read
// d: it may go on to them. nil: nothing says so.
func (d *directory) following(name string) []sibling {
	l, at := d.readBy(name)
	if l == nil {
		return nil
	}
	next := []sibling{}
	for at++; at < l.Len() && len(next) < 2*maxWindow; at++ {
		if typ, _ := l.Type(at); typ != abi.DT_DIR {
			continue
		}
		if a := l.Attr(at); a != nil {
			next = append(next, sibling{l.Name(at), keyOf(a)})
		}
	}
	return next
}

// notAhead returns the first names of directories that were not read ahead yet.
func (fs *fileSystem) notAhead(next []sibling, most int) []string {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	var names []string
	for _, s := range next {
		if len(names) >= most {
			break
		}
		if fs.aheadLists[s.key] == nil {
			names = append(names, s.name)
		}
	}
	return names
}
