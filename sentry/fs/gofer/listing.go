package gofer

import (
	"slices"

	"lazaret/gofer/proto"
	"lazaret/syscalls/abi"
)

// purpose is what a directory is fetched for.
type purpose uint8

const (
	forLookup  purpose = iota // to look names up: with all attributes
	forNames                  // to know what is not there
	forReading                // to be read by an application, which may want names only
)

// fetch returns the directory's entries: those that are remembered, or what the Gofer
// reads, which is then remembered, unless the replies are longer than limit bytes (E2BIG).
func (d *directory) fetch(limit int, p purpose) (*proto.Listing, error) {
	d.mu.Lock()
	if p == forReading {
		d.read = true
	}
	if d.list != nil && d.reported && (p != forLookup || !d.list.Plain()) {
		defer d.mu.Unlock()
		d.used = true
		return d.list, nil
	}
	gen := d.gen
	d.mu.Unlock()
	l := d.fs.takeAhead(d, p)
	if l == nil {
		d.fs.begin()
		defer d.fs.end()
		var err error
		if l, err = d.readList(limit, p); err != nil {
			return nil, err
		}
	}
	d.remember(l, gen)
	return l, nil
}

// readList asks the Gofer for the whole directory.
func (d *directory) readList(limit int, p purpose) (*proto.Listing, error) {
	if l, err := d.readAhead(limit, p); err == nil || err == abi.E2BIG {
		return l, err
	}
	f, part, err := d.firstPart()
	if err != nil {
		return nil, err
	}
	parts := []proto.Listing{part.Listing()}
	for !part.EOF {
		if limit -= proto.MaxMessage; limit <= 0 {
			return nil, abi.E2BIG
		}
		if part.Entries, part.Next, part.EOF, err = f.ReadDirPlus(part.Next, 0); err != nil {
			return nil, err
		}
		parts = append(parts, part.Listing())
	}
	l := proto.Join(parts)
	return &l, nil
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
func (d *directory) remember(l *proto.Listing, gen uint64) {
	d.mu.Lock()
	if d.gen != gen {
		d.mu.Unlock()
		return
	}
	d.describedLocked(l)
	if !d.reported || d.list != nil && (l.Plain() || !d.list.Plain()) {
		d.mu.Unlock()
		return
	}
	n := l.Len() - d.held
	d.list, d.known, d.misses, d.cursor = l, nil, 0, 0
	d.held, d.used = l.Len(), true
	d.mu.Unlock()
	d.fs.listingAdded(d, n)
}

// describedLocked notes what a listing that just came says of the directory itself.
func (d *directory) describedLocked(l *proto.Listing) {
	if l.Dir.Mode != 0 {
		if d.fs.shared && !d.trusted {
			d.setAttr(d.fs, &l.Dir)
		}
		d.setReportedLocked(trust(l.Dir.Flags))
		return
	}
	for i := range l.Len() {
		// The flags of a file speak for its directory.
		if a := l.Attr(i); a != nil && a.Mode&abi.S_IFMT != abi.S_IFDIR {
			d.setReportedLocked(trust(a.Flags))
			return
		}
	}
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
	fs.shrinkLocked(d)
}

// shrinkLocked drops listings until what is left is within bounds: those read ahead that
// nobody came for, then those not used for longest. keep stays in any case.
func (fs *fileSystem) shrinkLocked(keep *directory) {
	for fs.nEntries > maxListed && len(fs.aheadOrder) > 0 &&
		(len(fs.aheadOrder) > maxListAhead || fs.nAhead > maxNamesAhead) {
		fs.dropAheadLocked(fs.aheadOrder[0])
		fs.aheadOrder = fs.aheadOrder[1:]
	}
	spared := len(fs.listings) // each may be spared once
	for turns := 2 * spared; turns > 0 && fs.nEntries > maxListed && len(fs.listings) > 1; turns-- {
		v := fs.listings[0]
		fs.listings = fs.listings[1:]
		if _, ok := fs.holders[v]; !ok {
			continue
		}
		v.mu.Lock()
		spare := v == keep || v.used && turns > spared
		v.used = false
		v.mu.Unlock()
		if spare {
			fs.listings = append(fs.listings, v)
		} else {
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
