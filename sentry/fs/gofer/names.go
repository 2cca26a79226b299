package gofer

import (
	"lazaret/gofer/proto"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// names is what is remembered of the names in a directory. inode.mu guards it.
type names struct {
	// reported: changes in the directory are reported, or nobody else can make any.
	reported bool
	asked    bool // names were looked up while reported was not set

	list   *proto.Listing   // as it was read; nil: not known, or no longer true
	known  map[string]entry // all names, from list and what was done since; with an attr of nil it must be asked for
	cursor int              // who looks up what is listed does so in its order: the next
	held   int              // entries that count against maxListed
	used   bool             // list or known gave an answer since they were to be dropped last
	read   bool             // the listing was read by an application
	misses int              // lookups that had to ask, since the last listing
	gen    uint64           // counts changes, so that a listing that raced is not kept

	// stale are names that changed on the host since they were looked up. When doubt is
	// set, events were lost or were not there to be had: all are, but those in certain.
	stale   map[string]struct{}
	doubt   bool
	certain map[string]struct{}

	own []ownEvent // changes of ours that will be reported

	children map[string]key // shared trees: who had the name when it was last looked up
}

// entry is what is known of a name.
type entry struct {
	attr   *proto.Attr
	target string // of a symbolic link, or "" if that is not known
}

// A directory is fetched whole after a number of lookups that had to ask: some, and one
// more for each so many bytes of the directory's size, since a long listing costs as much
// as many questions. The names alone, which answer for all that is not there, cost less.
// maxFetch is the size in bytes of a listing above which it is given up.
const (
	fetchAfter   = 2
	bytesPerMiss = 1 << 12
	namesPerMiss = 1 << 14 // bytes, if only names are fetched
	smallDir     = 1 << 13 // bytes of a directory that is fetched with attributes at once
	maxFetch     = 1 << 20
)

// maxStale bounds the names that a directory remembers as changed; above it all are.
const maxStale = 1024

// maxCertain bounds certain; above it all are asked for again.
const maxCertain = 1 << 16

// missed counts a lookup that has to ask, and says whether to fetch the directory, and what
// for.
func (d *directory) missed() (p purpose, fetch bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.misses++
	p, size, per := forLookup, int(min(d.attr.Size, maxFetch)), bytesPerMiss
	if d.list == nil && d.known == nil && size > smallDir {
		p, per = forNames, namesPerMiss
	}
	return p, d.reported && d.misses == fetchAfter+size/per
}

// fromListing looks name up in what is remembered of the directory.
func (d *directory) fromListing(name string) (vfs.Inode, error, bool) {
	d.mu.Lock()
	if !d.reported || d.list == nil && d.known == nil {
		d.mu.Unlock()
		return nil, nil, false
	}
	e, ok := d.findLocked(name)
	a := e.attr
	if !ok {
		delete(d.stale, name)
	}
	d.used = true
	read, then := d.read, d.nowLocked()
	d.mu.Unlock()
	if !ok {
		return nil, abi.ENOENT, true
	}
	if read && (a == nil || a.Mode&abi.S_IFMT != abi.S_IFDIR) {
		d.fs.attrsUsed()
	}
	if a == nil {
		return nil, nil, false
	}
	d.verified(name)
	i := d.fs.listed(d, name, a)
	d.doubtSince(then, i)
	if l, ok := i.(*symlink); ok {
		l.leads(e.target)
	}
	return i, nil, i != nil
}

// moment is when something is asked of the Gofer, or was known.
type moment struct{ gen, ends uint64 }

func (d *directory) now() moment {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.nowLocked()
}

func (d *directory) nowLocked() moment { return moment{d.gen, d.fs.ends.Load()} }

// doubtSince is called when i, in d, was made of what was known at m: an event may have
// passed when nobody knew yet that i is in d, or that i is.
func (d *directory) doubtSince(m moment, i vfs.Inode) {
	if i == nil || !d.fs.shared {
		return
	}
	now := d.now()
	if now != m {
		base(i).distrust()
	}
	if c, ok := i.(*directory); ok && now.ends != m.ends {
		c.mu.Lock()
		c.unreportLocked()
		c.mu.Unlock()
	}
}

// unreportLocked notes that changes in d may not be reported.
func (d *directory) unreportLocked() { d.reported, d.asked = false, true }

// maxScan is how many entries are compared before an index is made.
const maxScan = 256

// findLocked looks name up in list or known, of which there is one.
func (d *directory) findLocked(name string) (e entry, ok bool) {
	if d.known == nil {
		for i, end := d.cursor, min(d.cursor+maxScan, d.list.Len()); i < end; i++ {
			if d.list.Name(i) == name {
				d.cursor = i + 1
				return entry{d.list.Attr(i), d.list.Target(i)}, true
			}
		}
		d.indexLocked()
	}
	e, ok = d.known[name]
	return e, ok
}

// indexLocked makes known from list.
func (d *directory) indexLocked() {
	if d.known != nil {
		return
	}
	d.known = make(map[string]entry, d.list.Len())
	for i := range d.list.Len() {
		d.known[d.list.Name(i)] = entry{d.list.Attr(i), d.list.Target(i)}
	}
}

// searched notes the flags of the files in d that came when a name was looked up, which was
// asked at m.
func (d *directory) searched(flags uint32, m moment) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.setReportedLocked(trust(flags) && (d.reported || !d.fs.shared || d.fs.ends.Load() == m.ends))
	d.asked = !d.reported
}

// setReportedLocked notes whether changes are reported. What was looked up before they
// were is doubtful.
func (d *directory) setReportedLocked(is bool) {
	if is && !d.reported && d.asked {
		d.asked = false
		d.doubtLocked()
	}
	d.reported = is
}

func (d *directory) doubtLocked() {
	d.doubt, d.certain, d.stale = true, nil, nil
	d.gen++
}

// changed forgets the listing: names in the directory changed in ways not known.
func (d *directory) changed() {
	d.fs.changed(d.key) // first: what was read ahead must not come with the new generation
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list, d.known = nil, nil
	d.gen++
	d.misses = 0
	d.trusted = false // times and link count
}

// set notes that we changed what has name: a is what it is now, if that is known;
// with a mode of 0 there is nothing.
func (d *directory) set(name string, a *proto.Attr) {
	d.fs.changed(d.key) // first, as in changed
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.list != nil {
		d.indexLocked()
		d.list = nil
	}
	switch {
	case d.known == nil:
	case a != nil && a.Mode == 0:
		delete(d.known, name)
	default:
		d.known[name] = entry{attr: a}
	}
	if len(d.known) > d.held+maxAdded {
		d.known = nil
	}
	d.gen++
	d.trusted = false
}

// maxAdded bounds the names that a directory remembers beyond those that were counted.
const maxAdded = 4096

// nothing is what set takes for a name that is gone.
var nothing proto.Attr

// verified notes that name is being asked for.
func (d *directory) verified(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.stale, name)
	if !d.doubt {
		return
	}
	if d.certain == nil || len(d.certain) >= maxCertain {
		d.certain = map[string]struct{}{}
	}
	d.certain[name] = struct{}{}
}

// Revalidate implements vfs.Revalidator: in a tree that others change, a cached name
// holds while the directory is watched and no event has named it.
func (d *directory) Revalidate(_ *vfs.Context, name string, child vfs.Inode) bool {
	d.mu.Lock()
	_, stale := d.stale[name]
	holds := d.reported && !stale
	if holds && d.doubt {
		_, holds = d.certain[name]
	}
	d.mu.Unlock()
	return holds || d.check(name, child)
}

// check asks whether name is still child. If not, the VFS looks it up again: until then
// the name stays stale.
func (d *directory) check(name string, child vfs.Inode) bool {
	f, err := d.getFile()
	if err != nil {
		return false
	}
	then := d.now()
	d.verified(name)
	st, flags, err := f.Find(name)
	d.searched(flags, then)
	if err != nil {
		if child == nil && err == abi.ENOENT {
			return true
		}
		d.suspect(name)
		return false
	}
	if child == nil || base(child).key != keyOf(&st.Attr) || !base(child).sameFile(&st.Attr) {
		st.File.Close()
		d.suspect(name)
		return false
	}
	base(child).update(d.fs, &st.Attr)
	base(child).offer(d, name, st.File)
	d.doubtSince(then, child)
	return true
}

func (d *directory) suspect(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.staleLocked(name)
}

// staleLocked notes that name may be something else now.
func (d *directory) staleLocked(name string) {
	if len(d.stale) >= maxStale {
		d.doubtLocked()
		return
	}
	if d.stale == nil {
		d.stale = map[string]struct{}{}
	}
	d.stale[name] = struct{}{}
	delete(d.certain, name)
}
