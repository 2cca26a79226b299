package mm

import (
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

const page4k = abi.PageSize

// fakePlatform is a platform whose address spaces are tables: application accesses are
// made through the host descriptors, as a processor would.
type fakePlatform struct{}

// keepers counts forks; every other one finds an AddressSpace at hand.
var keepers atomic.Int64

func (p fakePlatform) KeptAddressSpace() platform.AddressSpace {
	if keepers.Add(1)%2 == 0 {
		return nil
	}
	as, _ := p.NewAddressSpace()
	return as
}

func (fakePlatform) NewAddressSpace() (platform.AddressSpace, error) {
	return &fakeAS{pages: make(map[abi.Addr]fakePage)}, nil
}
func (fakePlatform) NewContext() platform.Context { return nil }
func (fakePlatform) UserRange() abi.AddrRange {
	return abi.AddrRange{Start: 1 << 16, End: 0x7ffffffff000}
}
func (fakePlatform) Close() {}

type fakePage struct {
	fd   int
	off  int64
	prot platform.Access
}

type fakeAS struct {
	mu                     sync.Mutex
	pages                  map[abi.Addr]fakePage
	maps, unmaps, protects int
	fail                   bool
	released               bool
}

func (a *fakeAS) Map(r abi.AddrRange, fd int, off int64, prot platform.Access) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail {
		return abi.ENOMEM
	}
	if r.Len() == 0 || r.Start.PageOffset() != 0 || r.End.PageOffset() != 0 || off&(page4k-1) != 0 {
		panic("bad Map")
	}
	a.maps++
	for p := r.Start; p < r.End; p += page4k {
		a.pages[p] = fakePage{fd, off + int64(p-r.Start), prot}
	}
	return nil
}

func (a *fakeAS) Unmap(r abi.AddrRange) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unmaps++
	if r.Len()/page4k > uint64(len(a.pages)) {
		for p := range a.pages {
			if r.Contains(p) {
				delete(a.pages, p)
			}
		}
		return nil
	}
	for p := r.Start; p < r.End; p += page4k {
		delete(a.pages, p)
	}
	return nil
}

func (a *fakeAS) Protect(r abi.AddrRange, prot platform.Access) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.protects++
	for p, g := range a.pages {
		if r.Contains(p) {
			g.prot = prot
			a.pages[p] = g
		}
	}
	return nil
}

func (a *fakeAS) Fork() (platform.AddressSpace, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := &fakeAS{pages: make(map[abi.Addr]fakePage, len(a.pages))}
	for p, g := range a.pages {
		b.pages[p] = g
	}
	return b, nil
}

func (a *fakeAS) Release() { a.released = true; a.pages = nil }

// try accesses one byte as a processor: false is a fault.
func (a *fakeAS) try(addr abi.Addr, access platform.Access, b []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	g, ok := a.pages[addr.RoundDown()]
	if !ok || g.prot == 0 || access == platform.Write && g.prot&platform.Write == 0 {
		return false
	}
	off := g.off + int64(addr.PageOffset())
	var n int
	if access == platform.Write {
		n, _ = unix.Pwrite(g.fd, b, off)
	} else {
		n, _ = unix.Pread(g.fd, b, off)
		var st unix.Stat_t
		unix.Fstat(g.fd, &st)
		if n == 0 && off < (st.Size+page4k-1)&^(page4k-1) {
			b[0], n = 0, 1
		}
	}
	return n == 1
}

// access runs one application access to its end: nil or the fault.
func access(m *MM, addr abi.Addr, how platform.Access, b []byte, tell bool) error {
	for range 50 {
		if m.as.(*fakeAS).try(addr, how, b) {
			return nil
		}
		hint := how
		if !tell {
			hint = 0
		}
		if err := m.HandleFault(addr, hint); err != nil {
			return err
		}
	}
	return abi.ELOOP
}

func load(t testing.TB, m *MM, addr abi.Addr) byte {
	t.Helper()
	var b [1]byte
	if err := access(m, addr, platform.Read, b[:], false); err != nil {
		t.Fatalf("load %#x: %v", addr, err)
	}
	return b[0]
}

func store(t testing.TB, m *MM, addr abi.Addr, c byte) {
	t.Helper()
	if err := access(m, addr, platform.Write, []byte{c}, false); err != nil {
		t.Fatalf("store %#x: %v", addr, err)
	}
}

func newFile(t testing.TB) *memfile.File {
	t.Helper()
	f, err := memfile.New("mm-test", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func newTestMM(t testing.TB, f *memfile.File, acct *memfile.Account) *MM {
	t.Helper()
	m, err := New(fakePlatform{}, f, acct)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// hostFile is a Mappable over a host file.
type hostFile struct {
	fd int
}

func newHostFile(t testing.TB, content []byte) *hostFile {
	t.Helper()
	fd, err := unix.MemfdCreate("host", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if _, err := unix.Write(fd, content); err != nil {
		t.Fatal(err)
	}
	return &hostFile{fd}
}

func (h *hostFile) Extent(_ *memfile.Account, off, n uint64, _ bool) (memfile.Extent, error) {
	var st unix.Stat_t
	unix.Fstat(h.fd, &st)
	if off >= uint64(st.Size) {
		return memfile.Extent{}, abi.EFAULT
	}
	return memfile.Extent{FD: h.fd, Off: int64(off), Len: n}, nil
}
func (h *hostFile) AddMapping(memfile.Mapper, abi.AddrRange, uint64, bool) error { return nil }
func (h *hostFile) RemoveMapping(memfile.Mapper, abi.AddrRange, uint64, bool)    {}
func (h *hostFile) Sync(_, _ uint64) error                                       { return nil }

func (h *hostFile) truncate(n int64) { unix.Ftruncate(h.fd, n) }
