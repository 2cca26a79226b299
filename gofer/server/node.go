package server

import (
	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
)

// node is a file that a client knows, by its place in the tree: one for each parent and
// name. Its descriptor is a cache: it is opened when first needed, closed when too many
// are open and opened again from its parent, checking that it is still the same file.
type node struct {
	root *root
	id   identity

	// Guarded by session.tree (written only while that is held for writing, or by a
	// lookup that finds the name replaced, under session.mu as well).
	parent *node // nil for an attach point
	name   string

	// Guarded by session.mu.
	children   map[string]*node
	refs       int   // fids, children and requests that use it
	fd         int   // O_PATH, or O_RDONLY for a removed file; -1: none
	uses       int   // requests that use fd right now
	orphan     bool  // its name was removed or now belongs to another file
	pinned     bool  // orphan whose fd must stay: nothing else leads to the file
	prev, next *node // in session.lru while fd may be closed
	watched    *watch
}

// nodeList is a list of nodes through their own links.
type nodeList struct{ head node }

func (l *nodeList) init() { l.head.prev, l.head.next = &l.head, &l.head }

func (l *nodeList) pushBack(n *node) {
	n.prev, n.next = l.head.prev, &l.head
	n.prev.next, l.head.prev = n, n
}

func (l *nodeList) remove(n *node) {
	if n.next != nil {
		n.prev.next, n.next.prev = n.next, n.prev
		n.prev, n.next = nil, nil
	}
}

func (s *session) addRoot(r Root) error {
	if _, ok := s.roots[r.Name]; ok {
		return unix.EEXIST
	}
	if r.File != "" && !proto.ValidName(r.File) {
		return unix.EINVAL
	}
	var st unix.Statx_t
	if err := statAt(r.FD, r.File, &st); err != nil {
		return err
	}
	rt := &root{Root: r}
	rt.node = &node{root: rt, id: identityOf(&st), fd: -1, refs: 1}
	s.roots[r.Name] = rt
	return nil
}

// putNode drops a reference.
func (s *session) putNode(n *node) {
	s.mu.Lock()
	s.putNodeLocked(n)
	s.mu.Unlock()
}

func (s *session) putNodeLocked(n *node) {
	for n != nil {
		if n.refs--; n.refs > 0 {
			return
		}
		s.closeNodeFDLocked(n)
		s.watch.drop(n.watched)
		n.watched = nil
		p := n.parent
		if p != nil && p.children[n.name] == n {
			delete(p.children, n.name)
		}
		s.nodes--
		n = p
	}
}

func (s *session) closeNodeFDLocked(n *node) {
	if n.fd < 0 {
		return
	}
	s.lru.remove(n)
	closeFDs(n.fd)
	n.fd = -1
	s.fds--
	if n.pinned {
		n.pinned = false
		s.pinned--
	}
}

// orphanLocked takes n out of the tree: its name does not lead to it any more.
func (s *session) orphanLocked(n *node) {
	if n == nil || n.parent == nil || n.orphan {
		return
	}
	n.orphan = true
	if n.parent.children[n.name] == n {
		delete(n.parent.children, n.name)
	}
}

// childLocked returns the node for name in p, whose file is id, with a new reference.
func (s *session) childLocked(p *node, name string, id identity) (*node, error) {
	if c := p.children[name]; c != nil {
		if c.id == id {
			c.refs++
			return c, nil
		}
		s.orphanLocked(c) // replaced behind our back
	}
	if s.nodes >= 2*s.cfg.MaxFIDs {
		return nil, unix.ENFILE
	}
	n := &node{root: p.root, id: id, parent: p, name: name, fd: -1, refs: 1}
	if p.children == nil {
		p.children = make(map[string]*node)
	}
	p.children[name] = n
	p.refs++
	s.nodes++
	return n, nil
}

// lookup finds name in the directory p and returns its node with a reference.
func (s *session) lookup(p *node, name string, st *unix.Statx_t) (*node, error) {
	dir, err := s.hold(p)
	if err != nil {
		return nil, err
	}
	defer s.drop(p)
	if err := statAt(dir, name, st); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.childLocked(p, name, identityOf(st))
}

// hold returns a descriptor of n that stays open until drop.
func (s *session) hold(n *node) (int, error) {
	if fd, ok := s.holdCached(n); ok {
		return fd, nil
	}
	if n.parent == nil {
		return s.holdRoot(n)
	}
	// Climb to an ancestor with a descriptor (by a loop: the depth is the client's), then
	// open one name after the other.
	chain := []*node{n}
	var cur *node
	var dir int
	for {
		top := chain[len(chain)-1]
		s.mu.Lock()
		orphan := top.orphan
		s.mu.Unlock()
		if orphan {
			return -1, unix.ESTALE
		}
		p := top.parent
		if fd, ok := s.holdCached(p); ok {
			cur, dir = p, fd
			break
		}
		if p.parent == nil {
			fd, err := s.holdRoot(p)
			if err != nil {
				return -1, err
			}
			cur, dir = p, fd
			break
		}
		chain = append(chain, p)
	}
	for i := len(chain) - 1; i >= 0; i-- {
		fd, err := s.openPath(chain[i], dir)
		s.drop(cur)
		if err != nil {
			return -1, err
		}
		cur, dir = chain[i], fd
	}
	return dir, nil
}

// holdCached is hold for a node whose descriptor is open.
func (s *session) holdCached(n *node) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.fd < 0 {
		return -1, false
	}
	if n.uses++; n.uses == 1 {
		s.lru.remove(n)
	}
	return n.fd, true
}

// holdRoot opens an attach point's own descriptor, which is then like any other.
func (s *session) holdRoot(n *node) (int, error) {
	r := n.root
	if r.File != "" {
		return s.openPath(n, r.FD)
	}
	fd, err := unix.FcntlInt(uintptr(r.FD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	return s.install(n, fd), nil
}

// openPath opens n by its name in dir and holds it.
func (s *session) openPath(n *node, dir int) (int, error) {
	name := n.name
	if n.parent == nil {
		name = n.root.File
	}
	fd, err := openBeneath(dir, name, unix.O_PATH, 0)
	if err == unix.ENOENT || err == unix.ELOOP || err == unix.ENOTDIR {
		err = unix.ESTALE
	}
	if err != nil {
		return -1, err
	}
	var st unix.Statx_t
	if err := statAt(fd, "", &st); err != nil || identityOf(&st) != n.id {
		closeFDs(fd)
		return -1, unix.ESTALE
	}
	return s.install(n, fd), nil
}

// install gives n the descriptor fd, unless another request was faster, and holds it.
func (s *session) install(n *node, fd int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.fd >= 0 {
		closeFDs(fd)
		if n.uses++; n.uses == 1 {
			s.lru.remove(n)
		}
		return n.fd
	}
	n.fd, n.uses = fd, 1
	s.fds++
	for s.fds > s.cfg.MaxFDs && s.lru.head.next != &s.lru.head {
		s.closeNodeFDLocked(s.lru.head.next)
	}
	return fd
}

// drop ends a hold.
func (s *session) drop(n *node) {
	s.mu.Lock()
	if n.uses--; n.uses == 0 && n.fd >= 0 && !n.pinned {
		s.lru.pushBack(n)
	}
	s.mu.Unlock()
}

// pin makes a file reachable that is about to lose its name: by a descriptor that stays
// open. It is open for reading if it may be, because nothing can reopen it later. Failure
// is no error: the client then gets ESTALE for that file.
func (s *session) pin(n *node, dir int) {
	flags := unix.O_PATH
	if n.id.typ == unix.S_IFREG {
		flags = unix.O_RDONLY | openFlags
	}
	s.mu.Lock()
	stop := n.pinned || s.pinned >= s.cfg.MaxPinned
	if !stop && n.fd >= 0 && n.id.typ != unix.S_IFREG {
		// What is open is as good. It may be in use: rename can replace a directory that
		// it moves something out of.
		s.lru.remove(n)
		n.pinned = true
		s.pinned++
		stop = true
	}
	s.mu.Unlock()
	if stop {
		return
	}
	fd, err := openBeneath(dir, n.name, flags, 0)
	if err != nil && flags != unix.O_PATH {
		fd, err = openBeneath(dir, n.name, unix.O_PATH, 0)
	}
	if err != nil {
		return
	}
	var st unix.Statx_t
	if err := statAt(fd, "", &st); err != nil || identityOf(&st) != n.id {
		closeFDs(fd)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lru.remove(n)
	if n.fd >= 0 {
		// The tree is locked for writing and n is no directory: nobody holds the old one.
		closeFDs(n.fd)
	} else {
		s.fds++
	}
	n.fd = fd
	n.pinned = true
	s.pinned++
}

// unpin undoes pin when the name was not removed after all.
func (s *session) unpin(n *node) {
	s.mu.Lock()
	s.unpinLocked(n)
	s.mu.Unlock()
}

func (s *session) unpinLocked(n *node) {
	if n.pinned && !n.orphan {
		n.pinned = false
		s.pinned--
		if n.uses == 0 {
			s.lru.pushBack(n)
		}
	}
}
