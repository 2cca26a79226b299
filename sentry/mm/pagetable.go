package mm

import (
	"sort"
	"sync"
	"sync/atomic"

	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// pte is what is known about a page: flags, and for pteMem the offset in the memory file.
type pte uint64

const (
	pteMem     pte = 1 << iota // a page of the memory file; the table holds a reference
	pteHost                    // a page of a host file
	pteMapped                  // the AddressSpace has it
	pteCOW                     // others may refer to it: copy before a write
	ptePatched                 // the AddressSpace has a copy with patches instead (patch.go)
	pteAnon                    // with pteMem: private memory, not the object's page

	pteFlags pte = abi.PageMask
)

func (p pte) off() int64 { return int64(p &^ pteFlags) }

const (
	leafShift = 21
	leafSize  = 1 << leafShift
	leafPages = leafSize >> abi.PageShift

	regionShift = 30
	regionLeafs = 1 << (regionShift - leafShift)

	// leafCharge is what a leaf and its share of a region cost the account: page tables
	// are memory that applications can make us spend.
	leafCharge = 8 << 10
)

// leaf holds the ptes of 2 MiB of addresses. They are guarded by mu with MM.mu held for
// reading, or by MM.mu held for writing.
type leaf struct {
	mu   sync.RWMutex
	ptes [leafPages]pte

	// gained is when an application last gained access to a page here, for idleFaults.
	gained atomic.Int64
}

// region is the directory of 1 GiB of addresses.
type region struct {
	start abi.Addr
	leafs [regionLeafs]atomic.Pointer[leaf]
}

// pageTable finds leafs. Lookups take no lock; growth happens under mu; leafs are only
// removed with MM.mu held for writing.
type pageTable struct {
	acct    *memfile.Account
	mu      sync.Mutex
	regions atomic.Pointer[[]*region] // sorted; the slice is never changed
}

func leafIndex(a abi.Addr) int { return int(a>>abi.PageShift) & (leafPages - 1) }

func (t *pageTable) all() []*region {
	if p := t.regions.Load(); p != nil {
		return *p
	}
	return nil
}

// search returns the index of the first region that ends above a.
func search(rs []*region, a abi.Addr) int {
	return sort.Search(len(rs), func(i int) bool { return rs[i].start+1<<regionShift > a })
}

// leaf returns the leaf of a, or nil.
func (t *pageTable) leaf(a abi.Addr) *leaf {
	rs := t.all()
	for lo, hi := 0, len(rs); lo < hi; {
		m := (lo + hi) / 2
		switch s := rs[m].start; {
		case a < s:
			hi = m
		case a-s >= 1<<regionShift:
			lo = m + 1
		default:
			return rs[m].leafs[(a-s)>>leafShift].Load()
		}
	}
	return nil
}

// ensure returns the leaf of a, made if it is missing.
func (t *pageTable) ensure(a abi.Addr) (*leaf, error) {
	if l := t.leaf(a); l != nil {
		return l, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	rs := t.all()
	i := search(rs, a)
	var r *region
	if i < len(rs) && rs[i].start <= a {
		r = rs[i]
	} else {
		r = &region{start: a &^ (1<<regionShift - 1)}
		grown := make([]*region, 0, len(rs)+1)
		grown = append(append(append(grown, rs[:i]...), r), rs[i:]...)
		t.regions.Store(&grown)
	}
	slot := &r.leafs[(a-r.start)>>leafShift]
	if l := slot.Load(); l != nil {
		return l, nil
	}
	if err := t.acct.Charge(leafCharge); err != nil {
		return nil, err
	}
	l := new(leaf)
	slot.Store(l)
	return l, nil
}

// walk calls f for each leaf that exists in r with its base address and the part
// [lo, hi) of its entries that lie in r.
func (t *pageTable) walk(r abi.AddrRange, f func(base abi.Addr, l *leaf, lo, hi int)) {
	if r.Start >= r.End {
		return
	}
	rs := t.all()
	for i := search(rs, r.Start); i < len(rs) && rs[i].start < r.End; i++ {
		g := rs[i]
		part := r.Intersect(abi.AddrRange{Start: g.start, End: g.start + 1<<regionShift})
		for j := (part.Start - g.start) >> leafShift; g.start+j<<leafShift < part.End; j++ {
			l := g.leafs[j].Load()
			if l == nil {
				continue
			}
			base := g.start + j<<leafShift
			p := part.Intersect(abi.AddrRange{Start: base, End: base + leafSize})
			lo := int((p.Start - base) >> abi.PageShift)
			f(base, l, lo, lo+int(p.Len()>>abi.PageShift))
		}
	}
}

// prune removes the leafs that lie in r as a whole. Preconditions: MM.mu is held for
// writing and their entries are clear.
func (t *pageTable) prune(r abi.AddrRange) {
	rs := t.all()
	gone := false
	for i := search(rs, r.Start); i < len(rs) && rs[i].start < r.End; i++ {
		g := rs[i]
		for j := range g.leafs {
			base := g.start + abi.Addr(j)<<leafShift
			if base >= r.Start && base+leafSize <= r.End && g.leafs[j].Load() != nil {
				g.leafs[j].Store(nil)
				t.acct.Uncharge(leafCharge)
			}
		}
		if g.start >= r.Start && g.start+1<<regionShift <= r.End {
			gone = true
		}
	}
	if !gone {
		return
	}
	kept := make([]*region, 0, len(rs))
	for _, g := range rs {
		if g.start < r.Start || g.start+1<<regionShift > r.End {
			kept = append(kept, g)
		}
	}
	t.regions.Store(&kept)
}

// run is a range of pages with the same flags, and for pteMem contiguous in the file.
type run struct {
	abi.AddrRange
	p pte
}

// runs calls f for the maximal runs of present pages in r. Preconditions: as for walk's
// entries, MM.mu is held for writing.
func (t *pageTable) runs(r abi.AddrRange, f func(run)) {
	var cur run
	t.walk(r, func(base abi.Addr, l *leaf, lo, hi int) {
		for i := lo; i < hi; i++ {
			p := l.ptes[i]
			a := base + abi.Addr(i)<<abi.PageShift
			if p != 0 && a == cur.End && cur.p != 0 && p == cur.p.next(cur.Len()) {
				cur.End += abi.PageSize
				continue
			}
			if cur.p != 0 {
				f(cur)
			}
			cur = run{abi.AddrRange{Start: a, End: a + abi.PageSize}, p}
		}
	})
	if cur.p != 0 {
		f(cur)
	}
}

// next returns the pte that continues p after n bytes.
func (p pte) next(n uint64) pte {
	if p&pteMem != 0 {
		return p + pte(n)
	}
	return p
}
