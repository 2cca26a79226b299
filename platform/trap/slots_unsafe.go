//go:build amd64

package trap

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazaret/syscalls/abi"
)

// slots is the memory that the Sentry shares with its stubs: a sparse memory file, all of
// which the Sentry maps, and of which each stub maps what its own threads use.
type slots struct {
	fd  int
	mem []byte

	mu   sync.Mutex
	free []int32 // returned slots, all zero again
	next int32   // slots from here on were never used
}

func newSlots() (*slots, error) {
	fd, err := unix.MemfdCreate("stubs", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make the file of shared pages: %w", err)
	}
	const size = maxSlots * slotLen
	if err := unix.Ftruncate(fd, size); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("size the file of shared pages: %w", err)
	}
	mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_NORESERVE)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("map the file of shared pages: %w", err)
	}
	return &slots{fd: fd, mem: mem}, nil
}

func (s *slots) close() {
	_ = unix.Munmap(s.mem)
	_ = unix.Close(s.fd)
}

// populateSlots is how many new slots get their pages at once.
const populateSlots = 4

// alloc returns a slot of zeros.
func (s *slots) alloc() (slot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return s.at(int(i)), nil
	}
	if s.next >= maxSlots {
		return slot{}, abi.EAGAIN
	}
	i := int(s.next)
	s.next++
	if i%populateSlots == 0 {
		// One call instead of a fault for each page; without it they fault.
		_ = unix.Madvise(s.mem[i*slotLen:(i+populateSlots)*slotLen], unix.MADV_POPULATE_WRITE)
	}
	return s.at(i), nil
}

func (s *slots) at(i int) slot {
	return slot{index: i, mem: s.mem[i*slotLen : (i+1)*slotLen : (i+1)*slotLen]}
}

// keepSlots is how many free slots keep their memory.
const keepSlots = 128

// release takes a slot back that no stub can reach any more, without what is in it.
func (s *slots) release(sl slot) {
	const punch = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	s.mu.Lock()
	keep := len(s.free) < keepSlots
	s.mu.Unlock()
	if keep || unix.Fallocate(s.fd, punch, int64(sl.index)*slotLen, slotLen) != nil {
		clear(sl.mem)
	}
	s.mu.Lock()
	s.free = append(s.free, int32(sl.index))
	s.mu.Unlock()
}

// slot is one part of the slots. Whoever reads from it checks what he reads: all of a
// thread's slot is the application's to write, at any time.
type slot struct {
	index int
	mem   []byte
}

// addr returns where offset off of the slot is in the stub.
func (s slot) addr(off int) uint64 { return areaBase + uint64(s.index)*slotLen + uint64(off) }

// offset turns an address in the stub into an offset, if n bytes there are in the slot.
func (s slot) offset(addr uint64, n int) (int, bool) {
	off := addr - s.addr(0)
	return int(off), off <= uint64(slotLen-n)
}

// word returns a word that both sides use at the same time.
func (s slot) word(off int) *atomic.Uint32 {
	// SAFETY: off is a constant of layout_amd64.go, a multiple of four inside the slot,
	// whose mapping lasts as long as the platform.
	return (*atomic.Uint32)(unsafe.Pointer(&s.mem[off]))
}

// futex returns the address of a word for futexWait and futexWake.
func (s slot) futex(off int) *uint32 {
	// SAFETY: as in word.
	return (*uint32)(unsafe.Pointer(&s.mem[off]))
}

func (s slot) put(off int, v uint64) {
	// SAFETY: as in word, with multiples of eight.
	*(*uint64)(unsafe.Pointer(&s.mem[off])) = v
}

func (s slot) get(off int) uint64 {
	// SAFETY: as in put.
	return *(*uint64)(unsafe.Pointer(&s.mem[off]))
}

func (s slot) put32(off int, v uint32) { s.word(off).Store(v) }
