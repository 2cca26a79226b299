package vfs

import (
	"sync"
	"sync/atomic"

	"lazaret/sentry/auth"
	"lazaret/syscalls/abi"
)

// InodeState is what the VFS keeps for an inode. A file system embeds one in its inode
// type and returns it from VFSState (saving a map entry for each inode); otherwise the
// VFS keeps it beside.
type InodeState struct {
	refs    atomic.Int32 // dentries that hold the inode
	writers atomic.Int32 // > 0: files open for writing; < 0: being executed

	noCaps atomic.Bool // the file is known to have no file capabilities (S_NOSEC)

	// mu is i_rwsem: changes of a directory's names, writes and truncations of a file.
	mu sync.RWMutex

	ext atomic.Pointer[inodeExt]
}

// VFSState returns s; it makes an inode that embeds an InodeState a StateHolder.
func (s *InodeState) VFSState() *InodeState { return s }

// StateHolder is an Inode that holds its own InodeState.
type StateHolder interface {
	VFSState() *InodeState
}

// inodeExt is the part that few inodes need.
type inodeExt struct {
	locks fileLocks
	marks markList
	fifo  FIFOSlot
}

// extension returns the rarely used part, made on first use.
func (s *InodeState) extension() *inodeExt {
	if e := s.ext.Load(); e != nil {
		return e
	}
	e := &inodeExt{}
	if s.ext.CompareAndSwap(nil, e) {
		return e
	}
	return s.ext.Load()
}

// denyWrite begins an execution: ETXTBSY while the file is open for writing.
func (s *InodeState) denyWrite() error {
	for {
		w := s.writers.Load()
		if w > 0 {
			return abi.ETXTBSY
		}
		if s.writers.CompareAndSwap(w, w-1) {
			return nil
		}
	}
}

func (s *InodeState) allowWrite() { s.writers.Add(1) }

// getWrite begins writing: ETXTBSY while the file is executed.
func (s *InodeState) getWrite() error {
	for {
		w := s.writers.Load()
		if w < 0 {
			return abi.ETXTBSY
		}
		if s.writers.CompareAndSwap(w, w+1) {
			return nil
		}
	}
}

func (s *InodeState) putWrite() { s.writers.Add(-1) }

// stateOf returns inode's state with a reference for one dentry.
func (s *Super) stateOf(inode Inode) *InodeState {
	if h, ok := inode.(StateHolder); ok {
		st := h.VFSState()
		st.refs.Add(1)
		return st
	}
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	st := s.states[inode]
	if st == nil {
		st = &InodeState{}
		if s.states == nil {
			s.states = make(map[Inode]*InodeState)
		}
		s.states[inode] = st
	}
	st.refs.Add(1)
	return st
}

// putState drops a dentry's reference; the last one releases the inode.
func (s *Super) putState(inode Inode, st *InodeState) {
	if _, ok := inode.(StateHolder); ok {
		if st.refs.Add(-1) != 0 {
			return
		}
	} else {
		s.stateMu.Lock()
		last := st.refs.Add(-1) == 0
		if last {
			delete(s.states, inode)
		}
		s.stateMu.Unlock()
		if !last {
			return
		}
	}
	if e := st.ext.Load(); e != nil {
		e.marks.inodeGone(inode, s.dead.Load())
	}
	if r, ok := inode.(Releaser); ok {
		r.ReleaseInode()
	}
}

// Perms is an Inode that tells mode (with type) and owner quicker than Attr does. It
// makes path walks and writes faster.
type Perms interface {
	Perms() (mode uint32, uid auth.KUID, gid auth.KGID)
}

// perms returns what permission checks need.
func perms(ctx *Context, inode Inode) (uint32, auth.KUID, auth.KGID, error) {
	if p, ok := inode.(Perms); ok {
		m, u, g := p.Perms()
		return m, u, g, nil
	}
	a, err := inode.Attr(ctx, abi.AT_STATX_DONT_SYNC)
	return a.Mode, a.UID, a.GID, err
}

// HoldInode keeps inode for a file system that is stacked on another (overlay), as a
// dentry would; PutInode ends that.
func HoldInode(inode Inode) { inode.Super().stateOf(inode) }

// PutInode ends HoldInode; the last user gone, the inode is released.
func PutInode(inode Inode) {
	s := inode.Super()
	if h, ok := inode.(StateHolder); ok {
		s.putState(inode, h.VFSState())
		return
	}
	s.stateMu.Lock()
	st := s.states[inode]
	s.stateMu.Unlock()
	if st != nil {
		s.putState(inode, st)
	}
}

// OpenInode opens an inode of a file system below, without any check and without a
// place in a tree. The caller holds the inode.
func OpenInode(ctx *Context, inode Inode, flags uint32) (*File, error) {
	d := &Dentry{super: inode.Super(), id: lastDentry.Add(1)}
	d.self = dnode{d: d, name: "/"}
	d.node.Store(&d.self)
	if err := d.instantiate(ctx, inode); err != nil {
		return nil, err
	}
	d.refs.Store(1)
	p := Path{nil, d}
	f, err := openPinned(ctx, p, flags)
	if err != nil {
		p.DecRef()
	}
	return f, err
}
