package memfile

import (
	"math/rand/v2"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/syscalls/abi"
)

func newTestFile(t testing.TB) *File {
	t.Helper()
	f, err := New("memfile-test", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// TestRandom allocates, shares, writes and frees at random: pages must be zero, belong
// to one holder and be paid for.
func TestRandom(t *testing.T) {
	f := newTestFile(t)
	accts := []*Account{new(Account), new(Account)}
	rnd := rand.New(rand.NewPCG(1, 2))
	type piece struct {
		off  int64
		n    uint64
		mark byte
		acct *Account
	}
	var held []piece
	owner := map[int64]byte{}
	for i := range 2000 {
		if len(held) > 0 && (rnd.IntN(2) == 0 || len(held) > 200) {
			k := rnd.IntN(len(held))
			p := held[k]
			held = append(held[:k], held[k+1:]...)
			// Give back in two parts, the second by pages.
			half := p.n / 2 &^ (pageSize - 1)
			for o := int64(0); o < int64(p.n); o += pageSize {
				if b := f.Bytes(p.off+o, 1)[0]; b != p.mark {
					t.Fatalf("page %#x holds %d, should be %d", p.off+o, b, p.mark)
				}
				delete(owner, p.off+o)
			}
			if half > 0 {
				f.DecRef(p.off, half)
			}
			for o := half; o < p.n; o += pageSize {
				f.DecRef(p.off+int64(o), pageSize)
			}
			continue
		}
		p := piece{n: uint64(1+rnd.IntN(1<<rnd.IntN(9))) * pageSize, mark: byte(1 + i%250), acct: accts[rnd.IntN(2)]}
		opts := AllocOpts{Dir: Dir(rnd.IntN(2))}
		if rnd.IntN(4) == 0 {
			opts.Align = 2 << 20
		} else if len(held) > 0 {
			opts.Near = held[0].off + int64(held[0].n)
		}
		var err error
		if p.off, err = f.Allocate(p.acct, p.n, opts); err != nil {
			t.Fatal(err)
		}
		if opts.Align != 0 && uint64(p.off)%opts.Align != 0 {
			t.Fatalf("%#x is not aligned", p.off)
		}
		for o := int64(0); o < int64(p.n); o += pageSize {
			if owner[p.off+o] != 0 {
				t.Fatalf("page %#x given out twice", p.off+o)
			}
			owner[p.off+o] = p.mark
			b := f.Bytes(p.off+o, pageSize)
			if b[0] != 0 || b[pageSize-1] != 0 {
				t.Fatalf("page %#x is not zero", p.off+o)
			}
			b[0], b[pageSize-1] = p.mark, p.mark
		}
		held = append(held, p)
	}
	want := map[*Account]uint64{}
	for _, p := range held {
		want[p.acct] += p.n
	}
	for _, a := range accts {
		if a.Used() != want[a] {
			t.Fatalf("charged %d, should be %d", a.Used(), want[a])
		}
	}
	for _, p := range held {
		f.IncRef(p.off, p.n)
		f.DecRef(p.off, p.n)
		f.DecRef(p.off, p.n)
	}
	if f.InUse() != 0 || accts[0].Used()+accts[1].Used() != 0 || len(f.slots) != 0 {
		t.Fatalf("left: %d in use, %d owners", f.InUse(), len(f.slots))
	}
	if got := f.clean.pages + f.dirty.pages; got != f.size>>pageShift-1 {
		t.Fatalf("%d pages free, should be %d", got, f.size>>pageShift-1)
	}
	var st unix.Stat_t
	unix.Fstat(f.fd, &st)
	if st.Blocks*512 > (maxDirty+1)*pageSize {
		t.Fatalf("host still holds %d bytes", st.Blocks*512)
	}
}

func TestLimit(t *testing.T) {
	f := newTestFile(t)
	a := new(Account)
	a.SetLimit(10 * pageSize)
	off, err := f.Allocate(a, 8*pageSize, AllocOpts{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Allocate(a, 3*pageSize, AllocOpts{}); err != abi.ENOMEM {
		t.Fatalf("beyond the limit: %v", err)
	}
	if _, err := f.Allocate(new(Account), 1<<40, AllocOpts{}); err != abi.ENOMEM {
		t.Fatalf("beyond the file: %v", err)
	}
	f.DecRef(off, 8*pageSize)
	if a.Used() != 0 || a.Fails() != 1 {
		t.Fatalf("used %d fails %d", a.Used(), a.Fails())
	}
}

func TestConcurrent(t *testing.T) {
	f := newTestFile(t)
	a := new(Account)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 500 {
				n := uint64(1+i%100) * pageSize
				off, err := f.Allocate(a, n, AllocOpts{})
				if err != nil {
					t.Error(err)
					return
				}
				b := f.Bytes(off, n)
				if b[0] != 0 || b[n-1] != 0 {
					t.Error("not zero")
				}
				b[0], b[n-1] = byte(g+1), byte(g+1)
				f.IncRef(off, n)
				f.DecRef(off, n)
				f.DecRef(off, n)
			}
		})
	}
	wg.Wait()
	if f.InUse() != 0 || a.Used() != 0 {
		t.Fatalf("left: %d %d", f.InUse(), a.Used())
	}
}

func TestShm(t *testing.T) {
	f, a := newTestFile(t), new(Account)
	s := NewShm(f, a, 1<<20)
	s.AddMapping(nil, abi.AddrRange{Start: 0, End: 1 << 20}, 0, true)
	s.DecRef()
	e1, err := s.Extent(nil, 0, pageSize, true)
	if err != nil {
		t.Fatal(err)
	}
	e2, err := s.Extent(nil, 0, 8*pageSize, true)
	if err != nil || e2.Off != e1.Off {
		t.Fatalf("%+v %v", e2, err)
	}
	if _, err := s.Extent(nil, 1<<20, pageSize, true); err != abi.EFAULT {
		t.Fatalf("past the end: %v", err)
	}
	f.Bytes(e1.Off, 1)[0] = 1
	s.Punch(0, pageSize)
	if f.Bytes(e1.Off, 1)[0] != 0 {
		t.Fatal("not punched")
	}
	s.RemoveMapping(nil, abi.AddrRange{Start: 0, End: 1 << 20}, 0, true)
	f.DecRef(e1.Off, e1.Len)
	f.DecRef(e2.Off, e2.Len)
	if f.InUse() != 0 || a.Used() != 0 {
		t.Fatalf("left: %d %d", f.InUse(), a.Used())
	}
}

func BenchmarkAllocatePage(b *testing.B) {
	f, a := newTestFile(b), new(Account)
	for b.Loop() {
		off, _ := f.Allocate(a, pageSize, AllocOpts{})
		f.DecRef(off, pageSize)
	}
}

func BenchmarkAllocate64Pages(b *testing.B) {
	f, a := newTestFile(b), new(Account)
	for b.Loop() {
		off, _ := f.Allocate(a, 64*pageSize, AllocOpts{})
		f.DecRef(off, 64*pageSize)
	}
}
