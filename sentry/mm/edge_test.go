package mm

import (
	"sync"
	"testing"

	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

const huge = ^uint64(0)

// TestHostile gives every call addresses and lengths that wrap.
func TestHostile(t *testing.T) {
	m := newTestMM(t, newFile(t), new(memfile.Account))
	defer m.DecUsers()
	base := mmap(t, m, MapOpts{Len: 4 * page4k, Prot: rw})
	addrs := []abi.Addr{0, 1, page4k, base, base + 1, 1 << 46, 1 << 47, 1 << 63, ^abi.Addr(0), ^abi.Addr(0) &^ abi.PageMask, ^abi.Addr(0) - 2*page4k + 1}
	lens := []uint64{0, 1, page4k, 1 << 46, 1 << 47, 1 << 52, 1 << 63, huge, huge - page4k, huge &^ abi.PageMask}
	var b [64]byte
	for _, a := range addrs {
		for _, n := range lens {
			if a == base && n > 0 && n <= page4k {
				continue
			}
			for _, fixed := range []bool{false, true} {
				for _, o := range []MapOpts{
					{Addr: a, Len: n, Prot: rw, FixedNoReplace: fixed},
					{Addr: a, Len: n, Prot: rw, FixedNoReplace: fixed, Object: newHostFile(t, nil), Off: n &^ abi.PageMask},
				} {
					if got, err := m.MMap(o); err == nil {
						if err := m.Munmap(got, n); err != nil {
							t.Fatalf("munmap of mmap %#x+%#x: %v", got, n, err)
						}
					}
				}
			}
			if a != base {
				m.Munmap(a|1, n)
			}
			m.Mprotect(a, n, platform.Read, GrowsDown)
			m.Madvise(a, n, abi.MADV_DONTNEED)
			m.Msync(a, n, abi.MS_SYNC)
			m.Mlock(a, n, false)
			m.Munlock(a, n)
			m.Mincore(a, n, b[:])
			m.ZeroOut(a, min(n, 1<<20))
			m.Mremap(a, n, n, abi.MREMAP_MAYMOVE, a)
			m.Mremap(a, n, page4k, abi.MREMAP_MAYMOVE|abi.MREMAP_FIXED, a+1<<20)
			if p, err := m.Pin([]IOVec{{a, n}, {a, n}}, true, 1<<20); err == nil {
				p.Release()
			}
		}
		m.CopyIn(a, b[:])
		m.CopyOut(a, b[:])
		m.CopyInString(a, 4096)
		m.HandleFault(a, 0)
		m.HandleFault(a, platform.Write)
		m.LoadU32(a)
		m.FutexKey(a, true)
		m.Brk(a)
		m.SwapU32(a, 1)
	}
}

func TestErrors(t *testing.T) {
	m := newTestMM(t, newFile(t), new(memfile.Account))
	defer m.DecUsers()
	a := mmap(t, m, MapOpts{Len: 8 * page4k, Prot: rw})
	ro := mmap(t, m, MapOpts{Len: page4k, Prot: platform.Read, MaxProt: platform.Read, Object: newHostFile(t, []byte("x")), Shared: true})
	if err := m.Munmap(a+3*page4k, page4k); err != nil {
		t.Fatal(err)
	}
	_, noReplace := m.MMap(MapOpts{Addr: a, Len: page4k, Prot: rw, FixedNoReplace: true})
	_, low := m.MMap(MapOpts{Addr: page4k, Len: page4k, Prot: rw, Fixed: true})
	_, odd := m.MMap(MapOpts{Addr: a + 1, Len: page4k, Prot: rw, Fixed: true})
	_, absurd := m.MMap(MapOpts{Len: 1 << 45, Prot: rw})
	_, grow := m.Mremap(a+6*page4k, page4k, 2*page4k, 0, 0)
	_, span := m.Mremap(a, 8*page4k, 9*page4k, abi.MREMAP_MAYMOVE, 0)
	_, zero := m.Mremap(a, 0, page4k, abi.MREMAP_MAYMOVE, 0)
	_, flags := m.Mremap(a, page4k, page4k, abi.MREMAP_FIXED, 0)
	for _, c := range []struct {
		name string
		got  error
		want error
	}{
		{"no replace", noReplace, abi.EEXIST},
		{"below mmap_min_addr", low, abi.EPERM},
		{"unaligned fixed", odd, abi.EINVAL},
		{"more than there is", absurd, abi.ENOMEM},
		{"mremap grow in the middle", grow, abi.ENOMEM},
		{"mremap over a hole", span, abi.EFAULT},
		{"mremap duplicate private", zero, abi.EINVAL},
		{"mremap fixed alone", flags, abi.EINVAL},
		{"mprotect hole", m.Mprotect(a, 8*page4k, rw, GrowsNot), abi.ENOMEM},
		{"mprotect beyond max", m.Mprotect(ro, page4k, rw, GrowsNot), abi.EACCES},
		{"mprotect not a stack", m.Mprotect(a, page4k, rw, GrowsDown), abi.EINVAL},
		{"madvise unknown", m.Madvise(a, page4k, 77), abi.EINVAL},
		{"madvise hole", m.Madvise(a, 8*page4k, abi.MADV_DONTNEED), abi.ENOMEM},
		{"madvise free of a file", m.Madvise(ro, page4k, abi.MADV_FREE), abi.EINVAL},
		{"populate write of read-only", m.Madvise(ro, page4k, abi.MADV_POPULATE_WRITE), abi.EINVAL},
		{"wipe a file", m.Madvise(ro, page4k, abi.MADV_WIPEONFORK), abi.EINVAL},
		{"msync flags", m.Msync(a, page4k, abi.MS_SYNC|abi.MS_ASYNC), abi.EINVAL},
		{"msync hole", m.Msync(a, 8*page4k, abi.MS_SYNC), abi.ENOMEM},
		{"mincore hole", m.Mincore(a, 8*page4k, make([]byte, 8)), abi.ENOMEM},
		{"mlockall nothing", m.MlockAll(0), abi.EINVAL},
		{"munmap unaligned", m.Munmap(a+1, page4k), abi.EINVAL},
		{"munmap nothing", m.Munmap(a, 0), abi.EINVAL},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestLimits(t *testing.T) {
	acct := new(memfile.Account)
	m := newTestMM(t, newFile(t), acct)
	defer m.DecUsers()
	big := mmap(t, m, MapOpts{Len: 100 << 30, Prot: rw, NoReserve: true})
	if acct.Used() != 0 {
		t.Errorf("%d bytes charged for an untouched mapping", acct.Used())
	}
	store(t, m, big+50<<30, 1)
	if u := acct.Used(); u > 128<<10 {
		t.Errorf("%d bytes charged for one page", u)
	}
	if err := m.Munmap(big, 100<<30); err != nil || acct.Used() != 0 {
		t.Errorf("munmap: %v, %d left", err, acct.Used())
	}
	m.SetLimits(Limits{AS: 1 << 20, Data: 1 << 20, Stack: 1 << 20, Memlock: page4k})
	if _, err := m.MMap(MapOpts{Len: 2 << 20, Prot: 0}); err != abi.ENOMEM {
		t.Errorf("RLIMIT_AS: %v", err)
	}
	a := mmap(t, m, MapOpts{Len: 2 * page4k, Prot: rw})
	if err := m.Mlock(a, page4k, false); err != nil {
		t.Errorf("mlock: %v", err)
	}
	if err := m.Mlock(a, 2*page4k, false); err != abi.ENOMEM {
		t.Errorf("RLIMIT_MEMLOCK: %v", err)
	}
	if err := m.Madvise(a, page4k, abi.MADV_DONTNEED); err != abi.EINVAL {
		t.Errorf("dontneed of locked: %v", err)
	}
	// The container's limit: the last pages come one at a time, then no more.
	m.SetLimits(Limits{AS: Infinity, Data: Infinity, Stack: 1 << 20})
	acct.SetLimit(acct.Used() + 3*page4k + leafCharge)
	c := mmap(t, m, MapOpts{Len: 1 << 20, Prot: rw})
	got := 0
	var err error
	for err == nil {
		err = access(m, c+abi.Addr(got)*page4k, platform.Write, []byte{1}, true)
		got++
	}
	if err != abi.ENOMEM || got < 3 || got > 6 {
		t.Errorf("%d pages, then %v", got, err)
	}
}

func TestStackAndBrk(t *testing.T) {
	m := newTestMM(t, newFile(t), new(memfile.Account))
	defer m.DecUsers()
	top := m.Layout().StackTop
	mmap(t, m, MapOpts{Addr: top - 4*page4k, Len: 4 * page4k, Prot: rw, Fixed: true, GrowsDown: true, Name: "[stack]"})
	store(t, m, top-1, 1)
	store(t, m, top-1<<20, 2)
	if err := m.CopyOut(top-2<<20, []byte{1}); err != nil {
		t.Errorf("CopyOut below the stack: %v", err)
	}
	err := access(m, top-9<<20, platform.Write, []byte{1}, false)
	if f, ok := err.(*Fault); !ok || f.Code != abi.SEGV_MAPERR {
		t.Errorf("beyond RLIMIT_STACK: %v", err)
	}
	mmap(t, m, MapOpts{Addr: top - 5<<20, Len: page4k, Prot: rw, Fixed: true})
	if err := access(m, top-5<<20+100*page4k, platform.Write, []byte{1}, false); err == nil {
		t.Error("stack grew into its guard gap")
	}
	if n := m.Stats().VmStk; n < 2<<20 {
		t.Errorf("VmStk %d", n)
	}

	m.SetLayout(false, false, 8<<20)
	m.SetBrkStart(0x5000_0000)
	if b := m.Brk(0); b != 0x5000_0000 {
		t.Errorf("brk is %#x", b)
	}
	if b := m.Brk(0x5000_0000 + 100000); b != 0x5000_0000+100000 {
		t.Errorf("brk is %#x", b)
	}
	store(t, m, 0x5000_0000+100000, 3)
	m.Brk(0x5000_0000 + 300000)
	if load(t, m, 0x5000_0000+100000) != 3 {
		t.Error("heap lost")
	}
	heaps := 0
	m.MapsDetail(func(v *VMAInfo) {
		if v.Name == "[heap]" {
			heaps++
		}
	})
	if heaps != 1 {
		t.Errorf("%d heaps", heaps)
	}
	m.Brk(0x5000_0000)
	if err := m.CopyIn(0x5000_0000, make([]byte, 1)); err != abi.EFAULT {
		t.Errorf("heap is still there: %v", err)
	}
}

func TestWordsAndFutexKeys(t *testing.T) {
	m := newTestMM(t, newFile(t), new(memfile.Account))
	defer m.DecUsers()
	h := newHostFile(t, make([]byte, page4k+4))
	for _, o := range []MapOpts{
		{Len: page4k, Prot: rw},
		{Len: page4k, Prot: rw, Shared: true},
		{Len: page4k, Prot: rw, Shared: true, Object: h},
		{Len: page4k, Prot: rw, Object: h},
	} {
		a := mmap(t, m, o) + 8
		m.StoreU32(a, 5)
		if v, err := m.AddU32(a, 2); v != 5 || err != nil {
			t.Errorf("add: %d %v", v, err)
		}
		if v, err := m.CompareAndSwapU32(a, 7, 9); v != 7 || err != nil {
			t.Errorf("cas: %d %v", v, err)
		}
		if v, err := m.LoadU32(a); v != 9 || err != nil {
			t.Errorf("load: %d %v", v, err)
		}
		if load(t, m, a) != 9 {
			t.Error("the application does not see it")
		}
		if _, err := m.LoadU32(a + 1); err != abi.EINVAL {
			t.Errorf("unaligned: %v", err)
		}
	}
	s1 := mmap(t, m, MapOpts{Len: page4k, Prot: rw, Shared: true, Object: h})
	s2 := mmap(t, m, MapOpts{Len: 2 * page4k, Prot: rw, Shared: true, Object: h})
	k1, _ := m.FutexKey(s1+16, true)
	k2, _ := m.FutexKey(s2+16, true)
	k3, _ := m.FutexKey(s2+16, false)
	if k1 != k2 || k1 == k3 {
		t.Errorf("futex keys %v %v %v", k1, k2, k3)
	}
	own := mmap(t, m, MapOpts{Len: page4k, Prot: rw})
	k4, _ := m.FutexKey(own+8, true)
	k5, _ := m.FutexKey(own+8, false)
	if k6, _ := m.FutexKey(own+8, true); k4 != k6 || k4 == k5 {
		t.Errorf("futex keys of private memory %v %v %v", k4, k5, k6)
	}
	// The file loses the page under a word: EFAULT, not the end of the Sentry.
	far := mmap(t, m, MapOpts{Len: 4 * page4k, Prot: rw, Shared: true, Object: lying{h}})
	if _, err := m.AddU32(far+3*page4k, 1); err != abi.EFAULT {
		t.Errorf("word past the end: %v", err)
	}
}

// lying is a host file whose object does not know its size.
type lying struct{ *hostFile }

func (l lying) Extent(_ *memfile.Account, off, n uint64, _ bool) (memfile.Extent, error) {
	return memfile.Extent{FD: l.fd, Off: int64(off), Len: n}, nil
}

// TestPinnedFork checks that what arrives in a pinned page belongs to the parent.
func TestPinnedFork(t *testing.T) {
	m := newTestMM(t, newFile(t), new(memfile.Account))
	defer m.DecUsers()
	a := mmap(t, m, MapOpts{Len: 16 * page4k, Prot: rw})
	p, err := m.Pin([]IOVec{{a + 3*page4k, page4k}}, true, page4k)
	if err != nil {
		t.Fatal(err)
	}
	c, err := m.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer c.DecUsers()
	store(t, m, a+3*page4k+1, 1)
	p.Bufs.CopyFrom([]byte{42})
	p.Release()
	if got := load(t, m, a+3*page4k); got != 42 {
		t.Errorf("parent got %d", got)
	}
	if got := load(t, c, a+3*page4k); got != 0 {
		t.Errorf("child got %d", got)
	}
}

func TestForkAdvice(t *testing.T) {
	m := newTestMM(t, newFile(t), new(memfile.Account))
	defer m.DecUsers()
	wipe := mmap(t, m, MapOpts{Len: page4k, Prot: rw})
	dont := mmap(t, m, MapOpts{Len: page4k, Prot: rw})
	store(t, m, wipe, 1)
	store(t, m, dont, 1)
	m.Madvise(wipe, page4k, abi.MADV_WIPEONFORK)
	m.Madvise(dont, page4k, abi.MADV_DONTFORK)
	c, err := m.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer c.DecUsers()
	if got := load(t, c, wipe); got != 0 {
		t.Errorf("not wiped: %d", got)
	}
	if err := access(c, dont, platform.Read, make([]byte, 1), false); err == nil {
		t.Error("DONTFORK memory is in the child")
	}
	if load(t, m, wipe) != 1 || load(t, m, dont) != 1 {
		t.Error("parent changed")
	}
}

// TestConcurrent runs tasks that share one address space against each other.
func TestConcurrent(t *testing.T) {
	f, acct := newFile(t), new(memfile.Account)
	m := newTestMM(t, f, acct)
	common := mmap(t, m, MapOpts{Len: 4 << 20, Prot: rw})
	var wg sync.WaitGroup
	for g := range 8 {
		m.IncUsers()
		wg.Go(func() {
			defer m.DecUsers()
			own := common + abi.Addr(g)*64
			for i := range 60 {
				at := own + abi.Addr(i%32)*31*page4k
				if err := access(m, at, platform.Write, []byte{byte(g)}, false); err != nil {
					t.Errorf("store: %v", err)
					return
				}
				var b [1]byte
				if err := m.CopyIn(at, b[:]); err != nil || b[0] != byte(g) {
					t.Errorf("CopyIn: %v %d", err, b[0])
				}
				switch i % 6 {
				case 0:
					a, err := m.MMap(MapOpts{Len: 64 << 10, Prot: rw})
					if err == nil {
						m.CopyOut(a, b[:])
						m.Munmap(a, 64<<10)
					}
				case 1:
					if c, err := m.Fork(); err == nil {
						c.CopyOut(at, []byte{99})
						c.DecUsers()
					}
				case 2:
					if p, err := m.Pin([]IOVec{{at, 1}}, true, 1); err == nil {
						p.Bufs[0][0] = byte(g)
						p.Release()
					}
				case 3:
					m.AddU32(common+4<<20-4, 1)
				}
			}
		})
	}
	wg.Wait()
	if n, err := m.LoadU32(common + 4<<20 - 4); n != 80 || err != nil {
		t.Errorf("counter is %d, %v", n, err)
	}
	m.DecUsers()
	if acct.Used() != 0 || f.InUse() != 0 {
		t.Fatalf("left: %d bytes charged, %d in use", acct.Used(), f.InUse())
	}
}

func TestInvalidate(t *testing.T) {
	m := newTestMM(t, newFile(t), new(memfile.Account))
	defer m.DecUsers()
	data := make([]byte, 4*page4k)
	for i := range data {
		data[i] = byte(1 + i/page4k)
	}
	h := newHostFile(t, data)
	a := mmap(t, m, MapOpts{Len: 4 * page4k, Prot: rw, Object: h})
	anon := mmap(t, m, MapOpts{Len: 4 * page4k, Prot: rw})
	for i := range abi.Addr(4) {
		store(t, m, a+i*page4k, 50)
		store(t, m, anon+i*page4k, 60)
	}
	c, err := m.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer c.DecUsers()
	m.Invalidate(abi.AddrRange{Start: a, End: a + 4*page4k}, false)
	if load(t, m, a) != 50 || load(t, c, a) != 50 {
		t.Error("private copies dropped")
	}
	h.truncate(2 * page4k)
	all := abi.AddrRange{Start: min(a, anon), End: max(a, anon) + 4*page4k}
	m.Invalidate(all, true)
	for i := range abi.Addr(4) {
		if load(t, m, anon+i*page4k) != 60 {
			t.Error("anonymous memory dropped")
		}
		var b [1]byte
		err := access(m, a+i*page4k, platform.Read, b[:], false)
		if i < 2 && (err != nil || b[0] != 50) {
			t.Errorf("page %d: %v %d", i, err, b[0])
		}
		if f, ok := err.(*Fault); i >= 2 && (!ok || f.Signal != abi.SIGBUS) {
			t.Errorf("page %d: %v", i, err)
		}
	}
}
