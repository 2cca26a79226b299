package memfile

import (
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lazaret/syscalls/abi"
)

const (
	pageSize  = abi.PageSize
	pageShift = abi.PageShift

	chunkPages = 1 << 14 // pages that one metaChunk describes: 64 MiB
	dirChunks  = 1 << 10 // chunks in one metaDir: 64 GiB
	minSize    = 1 << 30
	maxSize    = 1 << 46
)

// File is the memory file of a sandbox. Safe for concurrent use.
type File struct {
	fd    int
	size  uint64 // bytes, fixed
	total uint64 // bytes of memory that the host has
	mem   []byte // the Sentry's mapping of the whole file

	// By page number: two levels, so that the table of a large file, which the garbage
	// collector has to read, is as small as what is used of the file.
	meta []atomic.Pointer[metaDir]

	inUse atomic.Uint64 // pages with references

	mu     sync.Mutex
	clean  runSet // free runs that read as zeros
	dirty  runSet // free runs that hold old data and host memory
	owners []owner
	slots  map[*Account]uint32 // index into owners
	spare  []uint32            // free indexes of owners
}

// pageMeta is what is known about a page. owner is written before the first reference
// exists and read after the last has gone, or with one held.
type pageMeta struct {
	refs  atomic.Uint32
	owner uint32
}

type (
	metaChunk [chunkPages]pageMeta
	metaDir   [dirChunks]atomic.Pointer[metaChunk]
)

// owner is an account with pages in the file.
type owner struct {
	acct  *Account
	pages uint64
}

// New makes a memory file that can hold size bytes, or for 0 several times the host's
// memory. The size is address space, not memory.
func New(name string, size uint64) (*File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("create memory file: %w", err)
	}
	f, err := newFile(fd, size)
	if err != nil {
		unix.Close(fd)
	}
	return f, err
}

// NewFromFD takes over fd, an empty memory file. If that fails fd stays open.
func NewFromFD(fd int) (*File, error) { return newFile(fd, 0) }

func newFile(fd int, size uint64) (*File, error) {
	var si unix.Sysinfo_t
	if err := unix.Sysinfo(&si); err != nil {
		return nil, fmt.Errorf("ask for the host's memory size: %w", err)
	}
	total := uint64(si.Totalram) * uint64(si.Unit)
	if size == 0 {
		size = 8 * total
	}
	size = min(max(size, minSize), maxSize)
	size = 1 << bits.Len64(size-1)
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return nil, fmt.Errorf("size memory file: %w", err)
	}
	// A host with a small address space (or RLIMIT_AS) gets what it can map.
	var mem []byte
	var err error
	for ; size >= minSize; size /= 2 {
		mem, err = unix.Mmap(fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE,
			unix.MAP_SHARED|unix.MAP_NORESERVE)
		if err == nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("map memory file: %w", err)
	}
	f := &File{
		fd: fd, size: size, total: total, mem: mem,
		meta:  make([]atomic.Pointer[metaDir], (size>>pageShift/chunkPages+dirChunks-1)/dirChunks),
		slots: make(map[*Account]uint32),
	}
	f.clean.init()
	f.dirty.init()
	// Page 0 is never given out, so that offset 0 can mean none.
	f.clean.add(1, size>>pageShift-1)
	return f, nil
}

// Close unmaps and closes the file. Nothing of it may be used after that.
func (f *File) Close() {
	unix.Munmap(f.mem)
	unix.Close(f.fd)
}

// FD returns the host descriptor of the file.
func (f *File) FD() int { return f.fd }

// TotalMemory returns the size of the host's memory in bytes.
func (f *File) TotalMemory() uint64 { return f.total }

// InUse returns the bytes that have references.
func (f *File) InUse() uint64 { return f.inUse.Load() << pageShift }

// Bytes returns the Sentry's view of [off, off+n). It holds no reference: the caller does.
func (f *File) Bytes(off int64, n uint64) []byte {
	end := uint64(off) + n
	return f.mem[uint64(off):end:end]
}

// page returns what is known about page number n, which has been allocated once.
func (f *File) page(n uint64) *pageMeta {
	c := n / chunkPages
	return &f.meta[c/dirChunks].Load()[c%dirChunks].Load()[n%chunkPages]
}

// Refs returns the reference count of the page at off.
func (f *File) Refs(off int64) uint32 {
	return f.page(uint64(off) >> pageShift).refs.Load()
}

// IncRef takes a reference on each page of [off, off+n). The caller holds one on each.
func (f *File) IncRef(off int64, n uint64) {
	first := uint64(off) >> pageShift
	for p, end := first, first+n>>pageShift; p < end; p++ {
		f.page(p).refs.Add(1)
	}
}

// DecRef drops a reference on each page of [off, off+n); the pages whose last one goes
// are freed.
func (f *File) DecRef(off int64, n uint64) {
	first := uint64(off) >> pageShift
	end := first + n>>pageShift
	free := end // first page of the current run of freed pages, or end
	for p := first; p < end; p++ {
		if f.page(p).refs.Add(^uint32(0)) == 0 {
			if free == end {
				free = p
			}
			continue
		}
		if free != end {
			f.free(free, p-free)
			free = end
		}
	}
	if free != end {
		f.free(free, end-free)
	}
}

// Zero clears [off, off+n), whose pages the caller alone refers to, and gives host
// memory back when that is the cheaper way.
func (f *File) Zero(off int64, n uint64) {
	if n > maxClear {
		if f.punch(uint64(off)>>pageShift, n>>pageShift) {
			return
		}
	}
	clear(f.Bytes(off, n))
}

// punch gives the host memory of n pages from first on back; they then read as zeros.
func (f *File) punch(first, n uint64) bool {
	for {
		err := unix.Fallocate(f.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE,
			int64(first<<pageShift), int64(n<<pageShift))
		if err != unix.EINTR {
			return err == nil
		}
	}
}
