package mm

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// modelPage is a page as the reference knows it: permissions and the byte that all of
// its content is. Shared pages are the same pointer in several places.
type modelPage struct {
	prot platform.Access
	data *byte
	priv bool
	anon bool
}

// model is one address space of the reference: page number in the arena -> page.
type model map[int]modelPage

const (
	arenaBase  abi.Addr = 0x10_0000_0000 - 40*page4k // crosses a leaf and a region border
	arenaPages          = 96
)

func at(page int) abi.Addr { return arenaBase + abi.Addr(page)*page4k }

// world is an address space and what it should be.
type world struct {
	m   *MM
	ref model
}

type modelRun struct {
	t      *testing.T
	rnd    *rand.Rand
	worlds []*world
	log    []string
	file   *hostFile    // mapped privately
	shm    *memfile.Shm // the same with pages of the memory file

	// Objects that are mapped shared, and their pages.
	sharedFile *hostFile
	sharedShm  *memfile.Shm
	filePages  [hostPages]byte
	shmPages   [hostPages]byte
	next       byte
}

func (x *modelRun) note(f string, a ...any) { x.log = append(x.log, fmt.Sprintf(f, a...)) }

func (x *modelRun) fail(f string, a ...any) {
	x.t.Helper()
	for _, l := range x.log[max(0, len(x.log)-40):] {
		x.t.Log(l)
	}
	x.t.Fatalf(f, a...)
}

func (x *modelRun) span() (int, int) {
	p := x.rnd.IntN(arenaPages)
	return p, 1 + x.rnd.IntN(min(arenaPages-p, 1<<x.rnd.IntN(7)))
}

// hostPages is the length of the test's file; the content of page i is 100+i.
const hostPages = arenaPages

func (x *modelRun) mmap(w *world) {
	p, n := x.span()
	kind := x.rnd.IntN(6)
	prot := []platform.Access{rw, rw, platform.Read, 0}[x.rnd.IntN(4)]
	o := MapOpts{Addr: at(p), Len: uint64(n) * page4k, Fixed: true, Prot: prot, Shared: kind == 1 || kind > 3, Populate: x.rnd.IntN(8) == 0}
	off := x.rnd.IntN(hostPages - n + 1)
	switch o.Off = uint64(off) * page4k; kind {
	case 2:
		o.Object = x.file
	case 3:
		o.Object = x.shm
	case 4:
		o.Object = x.sharedFile
	case 5:
		o.Object = x.sharedShm
	default:
		o.Off = 0
	}
	x.note("mmap page %d n %d kind %d prot %d off %d", p, n, kind, prot, off)
	if _, err := w.m.MMap(o); err != nil {
		x.fail("mmap: %v", err)
	}
	for i := range n {
		b := new(byte)
		switch kind {
		case 2, 3:
			*b = byte(100 + off + i)
		case 4:
			b = &x.filePages[off+i]
		case 5:
			b = &x.shmPages[off+i]
		}
		w.ref[p+i] = modelPage{prot: prot, data: b, priv: kind != 1 && kind < 4, anon: kind == 0}
	}
}

func (x *modelRun) munmap(w *world) {
	p, n := x.span()
	x.note("munmap page %d n %d", p, n)
	if err := w.m.Munmap(at(p), uint64(n)*page4k); err != nil {
		x.fail("munmap: %v", err)
	}
	for i := range n {
		delete(w.ref, p+i)
	}
}

func (x *modelRun) mprotect(w *world) {
	p, n := x.span()
	prot := []platform.Access{rw, platform.Read, 0, rw | platform.Exec}[x.rnd.IntN(4)]
	x.note("mprotect page %d n %d prot %d", p, n, prot)
	err := w.m.Mprotect(at(p), uint64(n)*page4k, prot, GrowsNot)
	for i := range n {
		g, ok := w.ref[p+i]
		if !ok {
			if err != abi.ENOMEM {
				x.fail("mprotect of a hole: %v", err)
			}
			return
		}
		g.prot = prot
		w.ref[p+i] = g
	}
	if err != nil {
		x.fail("mprotect: %v", err)
	}
}

// mremap moves a range inside the arena.
func (x *modelRun) mremap(w *world) {
	p, n := x.span()
	to, n2 := x.span()
	x.note("mremap page %d n %d to %d n %d", p, n, to, n2)
	_, err := w.m.Mremap(at(p), uint64(n)*page4k, uint64(n2)*page4k, abi.MREMAP_MAYMOVE|abi.MREMAP_FIXED, at(to))
	if err != nil {
		if err == abi.EFAULT && to+n2 <= p || err == abi.EFAULT && p+n <= to {
			// The destination may have been unmapped before the failure: look.
			for i := range n2 {
				if !w.m.coveredLocked(abi.AddrRange{Start: at(to + i), End: at(to+i) + 1}) {
					delete(w.ref, to+i)
				}
			}
		}
		return
	}
	moved := make([]modelPage, n2)
	for i := range n2 {
		if g, ok := w.ref[p+i]; ok && i < n {
			moved[i] = g
		} else {
			moved[i] = modelPage{prot: w.ref[p].prot, data: nil, priv: w.ref[p].priv, anon: w.ref[p].anon}
			if w.ref[p].anon {
				moved[i].data = new(byte)
			}
		}
	}
	for i := range n {
		delete(w.ref, p+i)
	}
	for i := range n2 {
		delete(w.ref, to+i)
		if moved[i].data != nil {
			w.ref[to+i] = moved[i]
		} else {
			// What lies behind the object's end or was never looked at: forget it.
			w.m.Munmap(at(to+i), page4k)
		}
	}
}

func (x *modelRun) dontneed(w *world) {
	p, n := x.span()
	for i := range n {
		if g, ok := w.ref[p+i]; !ok || !g.anon {
			return
		}
	}
	x.note("dontneed page %d n %d", p, n)
	if err := w.m.Madvise(at(p), uint64(n)*page4k, abi.MADV_DONTNEED); err != nil {
		x.fail("madvise: %v", err)
	}
	for i := range n {
		g := w.ref[p+i]
		g.data = new(byte)
		w.ref[p+i] = g
	}
}

func (x *modelRun) fork(w *world) {
	if len(x.worlds) > 3 {
		i := x.rnd.IntN(len(x.worlds))
		x.note("exit of %d", i)
		x.worlds[i].m.DecUsers()
		x.worlds = append(x.worlds[:i], x.worlds[i+1:]...)
		return
	}
	x.note("fork")
	c, err := w.m.Fork()
	if err != nil {
		x.fail("fork: %v", err)
	}
	ref := make(model, len(w.ref))
	for i, g := range w.ref {
		if g.priv {
			b := *g.data
			g.data = &b
		}
		ref[i] = g
	}
	x.worlds = append(x.worlds, &world{c, ref})
}

// touch writes or reads a page by an application access or by the Sentry's.
func (x *modelRun) touch(w *world) {
	p := x.rnd.IntN(arenaPages)
	g, ok := w.ref[p]
	write, sentry, tell := x.rnd.IntN(2) == 0, x.rnd.IntN(2) == 0, x.rnd.IntN(2) == 0
	x.next++
	b := []byte{x.next}
	x.note("touch page %d write %v sentry %v tell %v", p, write, sentry, tell)
	a := at(p) + abi.Addr(x.rnd.IntN(page4k))
	if write {
		// All of the page, so that one byte speaks for it.
		a = at(p)
	}
	var err error
	switch {
	case write && sentry:
		err = w.m.ZeroOut(a, page4k)
		if err == nil {
			err = w.m.CopyOut(a+7, b)
		}
		if err == nil {
			b2 := make([]byte, page4k)
			for i := range b2 {
				b2[i] = b[0]
			}
			err = w.m.CopyOut(a, b2)
		}
	case write:
		for i := 0; i < page4k && err == nil; i += 512 {
			err = access(w.m, a+abi.Addr(i), platform.Write, b, tell)
		}
		if err == nil {
			b2 := make([]byte, page4k)
			for i := range b2 {
				b2[i] = b[0]
			}
			err = w.m.CopyOut(a, b2)
		}
	case sentry:
		err = w.m.CopyIn(a, b)
	default:
		err = access(w.m, a, platform.Read, b, tell)
	}
	allowed := ok && g.prot != 0 && (!write || g.prot&platform.Write != 0)
	if allowed != (err == nil) {
		x.fail("page %d: allowed %v, got %v", p, allowed, err)
	}
	if err != nil {
		return
	}
	if write {
		*g.data = b[0]
	} else if b[0] != *g.data {
		x.fail("page %d holds %d, should be %d (sentry %v)", p, b[0], *g.data, sentry)
	}
}

// check compares everything that can be read.
func (x *modelRun) check() {
	for n, w := range x.worlds {
		for p := range arenaPages {
			g, ok := w.ref[p]
			var b [1]byte
			how := x.rnd.IntN(2)
			var err error
			if how == 0 {
				err = w.m.CopyIn(at(p)+99, b[:])
			} else {
				err = access(w.m, at(p)+99, platform.Read, b[:], false)
			}
			if (err == nil) != (ok && g.prot != 0) {
				x.fail("world %d page %d: %v, reference has %v %v", n, p, err, ok, g.prot)
			}
			if err == nil && b[0] != *g.data {
				x.fail("world %d page %d holds %d, should be %d", n, p, b[0], *g.data)
			}
		}
		x.invariants(w.m)
	}
}

// invariants compares the page table with the AddressSpace.
func (x *modelRun) invariants(m *MM) {
	m.lock()
	defer m.unlock()
	as := m.as.(*fakeAS)
	seen := 0
	for i, v := range m.vmas {
		if i > 0 && m.vmas[i-1].End > v.Start || v.Start >= v.End {
			x.fail("vmas overlap or are empty")
		}
		if i > 0 && m.vmas[i-1].continues(v) {
			x.fail("vmas at %#x are not merged", v.Start)
		}
		m.pt.runs(v.AddrRange, func(u run) {
			if u.p&pteMapped == 0 {
				return
			}
			for a := u.Start; a < u.End; a += page4k {
				seen++
				g, ok := as.pages[a]
				if !ok || g.prot != v.asProt(u.p) || u.p&pteMem != 0 && (g.fd != m.file.FD() || g.off != u.p.off()+int64(a-u.Start)) {
					x.fail("page %#x: pte %#x vma prot %d, address space has %v %+v", a, uint64(u.p), v.prot, ok, g)
				}
			}
		})
	}
	if seen != len(as.pages) {
		x.fail("address space has %d pages, page table %d", len(as.pages), seen)
	}
	if m.rss.total() < int64(seen) {
		x.fail("resident set is %d pages, %d are mapped", m.rss.total(), seen)
	}
	total := uint64(0)
	for _, v := range m.vmas {
		total += v.Len()
	}
	if total != m.total {
		x.fail("total is %d, should be %d", m.total, total)
	}
}

func TestModel(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runModel(t, seed, 1500) })
	}
}

func runModel(t *testing.T, seed uint64, steps int) {
	f, acct := newFile(t), new(memfile.Account)
	content := make([]byte, hostPages*page4k)
	for i := range content {
		content[i] = byte(100 + i/page4k)
	}
	x := &modelRun{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), file: newHostFile(t, content)}
	x.sharedFile = newHostFile(t, make([]byte, len(content)))
	x.sharedShm = memfile.NewShm(f, acct, uint64(len(content)))
	x.shm = memfile.NewShm(f, acct, uint64(len(content)))
	for done := 0; done < len(content); {
		e, err := x.shm.Extent(acct, uint64(done), uint64(len(content)-done), true)
		if err != nil {
			t.Fatal(err)
		}
		done += copy(f.Bytes(e.Off, e.Len), content[done:])
		f.DecRef(e.Off, e.Len)
	}
	x.worlds = []*world{{newTestMM(t, f, acct), make(model)}}
	for i := range steps {
		w := x.worlds[x.rnd.IntN(len(x.worlds))]
		switch n := x.rnd.IntN(20); {
		case n < 3:
			x.mmap(w)
		case n < 4:
			x.munmap(w)
		case n < 6:
			x.mprotect(w)
		case n < 7:
			x.mremap(w)
		case n < 8:
			x.dontneed(w)
		case n < 9:
			x.fork(w)
		case n < 10:
			p, k := x.span()
			x.note("invalidate page %d n %d", p, k)
			w.m.Invalidate(abi.AddrRange{Start: at(p), End: at(p + k)}, k%2 == 0)
		default:
			x.touch(w)
		}
		if i%50 == 0 {
			x.check()
		}
		if len(x.worlds) == 0 {
			x.worlds = []*world{{newTestMM(t, f, acct), make(model)}}
		}
	}
	x.check()
	for _, w := range x.worlds {
		w.m.DecUsers()
	}
	x.shm.DecRef()
	x.sharedShm.DecRef()
	if acct.Used() != 0 || f.InUse() != 0 {
		t.Fatalf("left: %d bytes charged, %d in use", acct.Used(), f.InUse())
	}
}
