package gofer

import (
	"slices"

	"lazaret/gofer/proto"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// names is what is remembered of the names in a directory. inode.mu guards it.
type names struct {
	// reported: changes in the directory are reported, or nobody else can make any.
	reported bool
	asked    bool // names were looked up while reported was not set

	list   *listing               // as it was read; nil: not known, or no longer true
	known  map[string]*proto.Attr // all names, from list and what was done since; an attr of nil must be asked for
	held   int                    // entries that count against maxListed
	misses int                    // lookups that had to ask, since the last listing
	gen    uint64                 // counts changes, so that a listing that raced is not kept

	// stale are names that changed on the host since they were looked up. When doubt is
	// set, events were lost or were not there to be had: all are, but those in certain.
	stale   map[string]struct{}
	doubt   bool
	certain map[string]struct{}

	own []ownEvent // changes of ours that will be reported

	children map[string]key // shared trees: who had the name when it was last looked up
}

// listing is a complete directory as the Gofer read it. It does not change.
type listing struct{ entries []proto.DirEntry }

// A directory is fetched whole after a number of lookups that had to ask: one, and one
// more for each so many bytes of the directory's size, since a long listing costs as much
// as many questions. maxFetch is the size in bytes of a listing above which it is given up.
const (
	fetchAfter   = 2
	bytesPerMiss = 1 << 12
	maxFetch     = 1 << 20
)

// maxStale bounds the names that a directory remembers as changed; above it all are.
const maxStale = 1024

// maxCertain bounds certain; above it all are asked for again.
const maxCertain = 1 << 16

// missed counts a lookup that has to ask, and says whether to fetch the directory.
func (d *directory) missed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.misses++
	return d.reported && d.misses == fetchAfter+int(min(d.attr.Size, maxFetch)/bytesPerMiss)
}

// fromListing looks name up in what is remembered of the directory.
func (d *directory) fromListing(name string) (vfs.Inode, error, bool) {
	d.mu.Lock()
	if !d.reported || d.list == nil && d.known == nil {
		d.mu.Unlock()
		return nil, nil, false
	}
	d.indexLocked()
	a, ok := d.known[name]
	if !ok {
		delete(d.stale, name)
	}
	d.mu.Unlock()
	switch {
	case !ok:
		return nil, abi.ENOENT, true
	case a == nil:
		return nil, nil, false
	}
	d.verified(name)
	i := d.fs.listed(d, name, a)
	return i, nil, i != nil
}

// indexLocked makes known from list.
func (d *directory) indexLocked() {
	if d.known != nil {
		return
	}
	d.known = make(map[string]*proto.Attr, len(d.list.entries))
	for i := range d.list.entries {
		e := &d.list.entries[i]
		d.known[e.Name] = e.Attr
	}
}

// fetch returns the directory's entries: those that are remembered, or what the Gofer
// reads, which is then remembered, unless the replies are longer than limit bytes (E2BIG).
func (d *directory) fetch(limit int) (*listing, error) {
	d.mu.Lock()
	if d.list != nil && d.reported {
		defer d.mu.Unlock()
		return d.list, nil
	}
	gen := d.gen
	d.mu.Unlock()
	f, part, err := d.firstPart()
	if err != nil {
		return nil, err
	}
	all := part.Entries
	for !part.EOF {
		if limit -= proto.MaxMessage; limit <= 0 {
			return nil, abi.E2BIG
		}
		if part.Entries, part.Next, part.EOF, err = f.ReadDirPlus(part.Next, 0); err != nil {
			return nil, err
		}
		all = append(all, part.Entries...)
	}
	l := &listing{all}
	d.remember(l, gen)
	return l, nil
}

// firstPart reads the beginning of the directory, and walks to it in the same exchange
// if it must.
func (d *directory) firstPart() (*proto.File, proto.DirList, error) {
	var part proto.DirList
	start, chain, names, err := d.route()
	if err != nil {
		return nil, part, err
	}
	if len(chain) == 0 {
		part.Entries, part.Next, part.EOF, err = start.ReadDirPlus(0, 0)
		return start, part, err
	}
	steps, part, listErr, err := start.WalkReadDir(names)
	f, err := d.arrive(chain, steps, err)
	if err != nil {
		return nil, part, err
	}
	return f, part, listErr
}

// remember keeps a complete listing, unless the directory changed since generation gen.
func (d *directory) remember(l *listing, gen uint64) {
	d.mu.Lock()
	for i := range l.entries {
		// The flags of a file speak for its directory.
		if a := l.entries[i].Attr; a != nil && a.Mode&abi.S_IFMT != abi.S_IFDIR {
			d.setReportedLocked(trust(a.Flags))
			break
		}
	}
	if d.gen != gen || !d.reported || d.list != nil {
		d.mu.Unlock()
		return
	}
	n := len(l.entries) - d.held
	d.list, d.known, d.misses = l, nil, 0
	d.held = len(l.entries)
	d.mu.Unlock()
	d.fs.listingAdded(d, n)
}

// walked notes what the attributes of a file that was just looked up in d say of d.
func (d *directory) walked(a *proto.Attr) {
	if a.Mode&abi.S_IFMT == abi.S_IFDIR && !trust(a.Flags) {
		return // it may be the child that is not watched
	}
	d.mu.Lock()
	d.setReportedLocked(trust(a.Flags))
	d.asked = !d.reported
	d.mu.Unlock()
}

// missing notes that a name was looked up in vain: nothing told whether that is reported.
func (d *directory) missing() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = d.asked || !d.reported
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

// listingAdded bounds what all listings of the tree hold; d holds n entries more.
func (fs *fileSystem) listingAdded(d *directory, n int) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if _, ok := fs.holders[d]; !ok {
		fs.holders[d] = struct{}{}
		fs.listings = append(fs.listings, d)
	}
	fs.nEntries += n
	for fs.nEntries > maxListed && len(fs.listings) > 1 {
		v := fs.listings[0]
		fs.listings = fs.listings[1:]
		if v == d {
			fs.listings = append(fs.listings, v)
		} else if _, ok := fs.holders[v]; ok {
			fs.unlistLocked(v)
		}
	}
}

// unlist drops the listing of a directory that is let go of.
func (fs *fileSystem) unlist(d *directory) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if _, ok := fs.holders[d]; ok {
		fs.unlistLocked(d)
	}
	if len(fs.listings) > 2*len(fs.holders)+64 {
		fs.listings = slices.DeleteFunc(fs.listings, func(d *directory) bool {
			_, ok := fs.holders[d]
			return !ok
		})
	}
}

func (fs *fileSystem) unlistLocked(d *directory) {
	delete(fs.holders, d)
	d.mu.Lock()
	fs.nEntries -= d.held
	d.list, d.known, d.held = nil, nil, 0
	d.gen++
	d.mu.Unlock()
}

// changed forgets the listing: names in the directory changed in ways not known.
func (d *directory) changed() {
	d.mu.Lock()
	d.list, d.known = nil, nil
	d.gen++
	d.misses = 0
	d.trusted = false // times and link count
	d.mu.Unlock()
	d.fs.changed(d.key)
}

// set notes that we changed what has name: a is what it is now, if that is known;
// with a mode of 0 there is nothing.
func (d *directory) set(name string, a *proto.Attr) {
	d.mu.Lock()
	if d.list != nil {
		d.indexLocked()
		d.list = nil
	}
	switch {
	case d.known == nil:
	case a != nil && a.Mode == 0:
		delete(d.known, name)
	default:
		d.known[name] = a
	}
	if len(d.known) > d.held+maxAdded {
		d.known = nil
	}
	d.gen++
	d.trusted = false
	d.mu.Unlock()
	d.fs.changed(d.key)
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
	d.verified(name)
	steps, err := f.Walk([]string{name})
	if err != nil {
		d.missing()
		if child == nil && err == abi.ENOENT {
			return true
		}
		d.suspect(name)
		return false
	}
	st := steps[0]
	if child == nil || base(child).key != keyOf(&st.Attr) || !base(child).sameFile(&st.Attr) {
		st.File.Close()
		d.suspect(name)
		return false
	}
	d.walked(&st.Attr)
	base(child).update(d.fs, &st.Attr)
	base(child).offer(d, name, st.File)
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
