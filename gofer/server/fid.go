package server

import (
	"sync"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
)

// fid is a file number of the client.
type fid struct {
	node *node
	refs int // the table and running requests; guarded by session.mu

	mu    sync.Mutex
	file  int // open for Tread, Twrite, Treaddir; -1: not open
	mode  int // O_ACCMODE of file
	xattr *xattrIO
	sock  int // bound by Txbind; -1: none
}

// xattrIO is a fid that Txattrwalk or Txattrcreate turned into an attribute's value.
type xattrIO struct {
	name  string
	data  []byte
	size  uint64 // bytes announced by Txattrcreate
	flags int
	write bool
}

// addFIDs enters files under new numbers, all or none. It takes over one reference to
// each node, also when it fails.
func (s *session) addFIDs(nums []uint32, nodes []*node) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.checkFIDsLocked(nums)
	if err == nil && len(s.fids)+len(nums) > s.cfg.MaxFIDs {
		err = unix.ENFILE
	}
	if err != nil {
		for _, n := range nodes {
			s.putNodeLocked(n)
		}
		return err
	}
	for i, num := range nums {
		s.fids[num] = &fid{node: nodes[i], refs: 1, file: -1, sock: -1}
	}
	return nil
}

func (s *session) checkFIDsLocked(nums []uint32) error {
	for i, num := range nums {
		if num == proto.NoFID {
			return unix.EINVAL
		}
		if _, ok := s.fids[num]; ok {
			return unix.EBUSY
		}
		for _, before := range nums[:i] {
			if before == num {
				return unix.EBUSY
			}
		}
	}
	return nil
}

// checkFIDs reports an error if a number is in use. It costs less than to undo a change
// of the file system when addFIDs fails.
func (s *session) checkFIDs(nums ...uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fids)+len(nums) > s.cfg.MaxFIDs {
		return unix.ENFILE
	}
	return s.checkFIDsLocked(nums)
}

// clunk forgets a number.
func (s *session) clunk(num uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.fids[num]
	if f == nil {
		return unix.EBADF
	}
	delete(s.fids, num)
	s.putFIDLocked(f)
	return nil
}

func (s *session) putFIDLocked(f *fid) {
	if f.refs--; f.refs > 0 {
		return
	}
	if f.file >= 0 {
		closeFDs(f.file)
		s.open--
	}
	if f.xattr != nil {
		s.open--
	}
	if f.sock >= 0 {
		closeFDs(f.sock)
		s.open--
	}
	s.putNodeLocked(f.node)
}

// reserveOpen counts one more open file of a fid.
func (s *session) reserveOpen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= s.cfg.MaxOpen {
		return unix.ENFILE
	}
	s.open++
	return nil
}

func (s *session) unreserveOpen() {
	s.mu.Lock()
	s.open--
	s.mu.Unlock()
}
