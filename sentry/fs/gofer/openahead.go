package gofer

import (
	"lazaret/gofer/proto"
	"lazaret/syscalls/abi"
)

// Who reads the files of a directory that it listed goes on to the next. So the Gofer is
// asked to open more than the one that is wanted, in the order of a walk through the tree.

// openAhead is what was opened ahead. fileSystem.mu guards it.
type openAhead struct {
	openFDs   map[key]aheadFD
	openOrder []key // oldest first; some may be gone from openFDs

	opens window // files to ask for
}

// aheadFD is a descriptor for reading.
type aheadFD struct {
	fd int
	id proto.FileID
}

const (
	minOpens  = 2
	maxOpens  = proto.MaxFDs
	maxOpened = 4 * proto.MaxFDs // descriptors that are kept
	// maxLook bounds the entries that are looked at for files to open, and how far up.
	maxLook   = 1 << 10
	maxLookUp = 4
	maxDeep   = 8
)

// takeFD returns the descriptor that was opened ahead for r, or -1.
func (fs *fileSystem) takeFD(r *regular) int {
	fs.mu.Lock()
	o, ok := fs.openFDs[r.key]
	if ok {
		delete(fs.openFDs, r.key)
		fs.opens.hits++
	}
	fs.mu.Unlock()
	if !ok {
		return -1
	}
	if !r.isID(&o.id) {
		closeFD(o.fd)
		return -1
	}
	return o.fd
}

// dropFDLocked closes what was opened ahead for k.
func (fs *fileSystem) dropFDLocked(k key) {
	if o, ok := fs.openFDs[k]; ok {
		delete(fs.openFDs, k)
		closeFD(o.fd)
	}
}

// dropFDs closes everything that was opened ahead.
func (fs *fileSystem) dropFDs() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for k := range fs.openFDs {
		fs.dropFDLocked(k)
	}
	fs.openOrder = nil
}

// storeFDs keeps descriptors that nobody asked for yet.
func (fs *fileSystem) storeFDs(files []proto.Opened) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i := range files {
		k := keyOf(&files[i].Attr)
		fs.dropFDLocked(k)
		fs.openFDs[k] = aheadFD{files[i].FD, proto.IDOf(&files[i].Attr)}
		fs.openOrder = append(fs.openOrder, k)
		fs.opens.got++
	}
	for len(fs.openFDs) > maxOpened || len(fs.openOrder) > 4*maxOpened {
		fs.dropFDLocked(fs.openOrder[0])
		fs.openOrder = fs.openOrder[1:]
	}
}

// nextOpens returns how many files to ask for.
func (fs *fileSystem) nextOpens() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.opens.next(minOpens, maxOpens)
}

// openNext opens r for reading, and what is likely to be opened after it. -1: nothing says
// what that is, or r must be opened alone.
func (r *regular) openNext() int {
	r.mu.Lock()
	at := r.place
	r.mu.Unlock()
	if at.parent == nil {
		return -1
	}
	s := search{fs: r.fs}
	if !s.begin(at) {
		return -1
	}
	s.most = r.fs.nextOpens()
	s.files[0].Names = append(s.files[0].Names, at.name)
	s.count = 1
	s.run(at)
	start, _, path, err := s.top.route()
	if err != nil {
		return -1
	}
	for i := range s.files {
		s.files[i].Path = append(path[:len(path):len(path)], s.files[i].Path...)
	}
	files, err := start.OpenMany(s.files)
	if err != nil {
		return -1
	}
	if id := proto.IDOf(&files[0].Attr); !r.isID(&id) {
		closeFD(files[0].FD)
		files[0].FD = -1
	}
	r.fs.storeFDs(files[1:])
	return files[0].FD
}

// search finds the files that come after one in a walk through what is listed.
type search struct {
	fs    *fileSystem
	top   *directory // paths begin there
	files []proto.FilesIn
	most  int
	count int // of files
	look  int // entries looked at
}

// begin reports whether at is in a directory that an application has read, and sets where
// paths begin: some directories above it, which were read too.
func (s *search) begin(at place) bool {
	if l, _ := at.parent.readBy(at.name); l == nil {
		return false
	}
	s.top = at.parent
	var path []string
	for range maxLookUp {
		up := s.top.at()
		if up.parent == nil {
			break
		}
		if l, _ := up.parent.readBy(up.name); l == nil {
			break
		}
		path = append([]string{up.name}, path...)
		s.top = up.parent
	}
	s.files = []proto.FilesIn{{Path: path}}
	return true
}

// run adds the files after at, in its directory and then in those above it.
func (s *search) run(at place) {
	path := s.files[0].Path
	for {
		l, i := at.parent.readBy(at.name)
		if l == nil || !s.dir(l, i+1, path, 0) || at.parent == s.top || len(path) == 0 {
			return
		}
		path = path[:len(path)-1]
		at = at.parent.at()
		if at.parent == nil {
			return
		}
	}
}

// dir adds the files of the listing l of path from the i-th entry on, and of what is in its
// directories as far as that is known. It returns false when there are enough.
func (s *search) dir(l *proto.Listing, i int, path []string, depth int) bool {
	in := -1 // in s.files
	if n := len(s.files) - 1; i > 0 && equal(s.files[n].Path, path) {
		in = n
	}
	for ; i < l.Len(); i++ {
		if s.look++; s.look > maxLook || s.count >= s.most || len(s.files) >= maxOpens {
			return false
		}
		a := l.Attr(i)
		if a == nil {
			continue
		}
		switch a.Mode & abi.S_IFMT {
		case abi.S_IFREG:
			if a.Size == 0 || s.fs.openedAhead(keyOf(a)) {
				continue
			}
			if in < 0 {
				in = len(s.files)
				s.files = append(s.files, proto.FilesIn{Path: path})
			}
			s.files[in].Names = append(s.files[in].Names, l.Name(i))
			s.count++
		case abi.S_IFDIR:
			below := s.fs.listedAhead(keyOf(a))
			if below == nil || depth == maxDeep {
				continue
			}
			if !s.dir(below, 0, append(path[:len(path):len(path)], l.Name(i)), depth+1) {
				return false
			}
		}
	}
	return true
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// at returns the place of d.
func (d *directory) at() place {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.place
}

// readBy returns the listing of d if an application has read it, and the index of name in
// it.
func (d *directory) readBy(name string) (*proto.Listing, int) {
	d.mu.Lock()
	l, read, at := d.list, d.read, d.cursor-1
	d.mu.Unlock()
	if l == nil || !read {
		return nil, 0
	}
	if at >= 0 && at < l.Len() && l.Name(at) == name {
		return l, at
	}
	for at = range l.Len() {
		if l.Name(at) == name {
			return l, at
		}
	}
	return nil, 0
}

// listedAhead returns what was read ahead of the directory k.
func (fs *fileSystem) listedAhead(k key) *proto.Listing {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.aheadLists[k]
}

// openedAhead reports whether there is a descriptor for k already.
func (fs *fileSystem) openedAhead(k key) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	_, ok := fs.openFDs[k]
	return ok
}
