package memfile

import (
	"sync"
	"sync/atomic"

	"lazaret/syscalls/abi"
)

// Shm is a shared memory object without a name: anonymous shared mappings, System V
// segments. Its pages exist from their first use until the last mapping and the last
// reference have gone.
type Shm struct {
	f    *File
	acct *Account
	size uint64 // bytes, a multiple of the page size

	refs atomic.Int64 // IncRef

	mu     sync.Mutex
	mapped uint64           // bytes of mappings
	pages  map[uint64]int64 // page index -> offset in f
}

var _ Mappable = (*Shm)(nil)

// NewShm returns an object of size bytes with one reference. Its pages are charged to
// acct whoever touches them.
func NewShm(f *File, acct *Account, size uint64) *Shm {
	s := &Shm{f: f, acct: acct, size: size, pages: make(map[uint64]int64)}
	s.refs.Store(1)
	return s
}

// Size returns the size in bytes.
func (s *Shm) Size() uint64 { return s.size }

// Resident returns the bytes that the object's pages take.
func (s *Shm) Resident() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(len(s.pages)) * pageSize
}

// IncRef takes a reference that keeps the pages when nothing maps them.
func (s *Shm) IncRef() { s.refs.Add(1) }

// DecRef drops a reference.
func (s *Shm) DecRef() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refs.Add(-1)
	s.freeIfUnusedLocked()
}

func (s *Shm) freeIfUnusedLocked() {
	if s.refs.Load() > 0 || s.mapped > 0 {
		return
	}
	for _, at := range s.pages {
		s.f.DecRef(at, pageSize)
	}
	clear(s.pages)
}

// Extent implements Mappable. Missing pages are allocated together.
func (s *Shm) Extent(_ *Account, off, n uint64, _ bool) (Extent, error) {
	if off >= s.size || off%pageSize != 0 {
		return Extent{}, abi.EFAULT
	}
	n = min(n, s.size-off) &^ (pageSize - 1)
	if n == 0 {
		return Extent{}, abi.EFAULT
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	first := off >> pageShift
	at, have := s.pages[first]
	count := uint64(1)
	for ; count < n>>pageShift; count++ {
		next, ok := s.pages[first+count]
		if ok != have || ok && next != at+int64(count<<pageShift) {
			break
		}
	}
	if !have {
		var err error
		if at, count, err = s.fillLocked(first, count); err != nil {
			return Extent{}, err
		}
	}
	s.f.IncRef(at, count<<pageShift)
	return Extent{FD: s.f.FD(), Off: at, Len: count << pageShift}, nil
}

// fillLocked allocates count missing pages from first on, or when that is refused one.
func (s *Shm) fillLocked(first, count uint64) (int64, uint64, error) {
	at, err := s.f.Allocate(s.acct, count<<pageShift, AllocOpts{})
	if err != nil && count > 1 {
		count = 1
		at, err = s.f.Allocate(s.acct, pageSize, AllocOpts{})
	}
	if err != nil {
		return 0, 0, err
	}
	for i := range count {
		s.pages[first+i] = at + int64(i<<pageShift)
	}
	return at, count, nil
}

// AddMapping implements Mappable.
func (s *Shm) AddMapping(_ Mapper, r abi.AddrRange, _ uint64, _ bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mapped += r.Len()
	return nil
}

// RemoveMapping implements Mappable.
func (s *Shm) RemoveMapping(_ Mapper, r abi.AddrRange, _ uint64, _ bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mapped -= r.Len()
	s.freeIfUnusedLocked()
}

// Sync implements Mappable: there is nothing to write back to.
func (s *Shm) Sync(_, _ uint64) error { return nil }

// Punch makes [off, off+n) read as zeros (MADV_REMOVE). The pages stay: others map them.
func (s *Shm) Punch(off, n uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, end := off>>pageShift, (off+n)>>pageShift; i < end; i++ {
		if at, ok := s.pages[i]; ok {
			s.f.punch(uint64(at)>>pageShift, 1)
		}
	}
	return nil
}
