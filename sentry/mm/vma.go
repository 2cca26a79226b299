package mm

import (
	"slices"
	"sort"

	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// FileRef is the open file that a mapping was made from. DecRef is called with no lock
// of this package held.
type FileRef interface {
	IncRef()
	DecRef()
	MapName() string
	MapIDs() (dev, ino uint64)
}

// vmaFlags are properties of a vma.
type vmaFlags uint16

const (
	vmShared vmaFlags = 1 << iota
	vmGrowsDown
	vmLocked
	vmNoReserve
	vmDontFork
	vmWipeOnFork
	vmDontDump
	vmHuge
	vmNoHuge
	vmSeq
	vmRand
	vmKernel // VM_PFNMAP: the pages are the kernel's
)

// vma is a mapping: a range of addresses with one set of permissions and one source.
// It changes only with MM.mu held for writing.
type vma struct {
	abi.AddrRange
	prot, maxProt platform.Access
	flags         vmaFlags
	object        memfile.Mappable // nil: private anonymous memory
	off           uint64           // of Start in object
	file          FileRef
	name          string
}

func (v *vma) shared() bool { return v.flags&vmShared != 0 }

// offOf returns the offset in the object of address a.
func (v *vma) offOf(a abi.Addr) uint64 { return v.off + uint64(a-v.Start) }

// writable reports whether the vma counts as a writable mapping of its object.
func (v *vma) writable() bool { return v.shared() && v.maxProt&platform.Write != 0 }

// isData reports whether the vma counts against RLIMIT_DATA.
func (v *vma) isData() bool {
	return v.prot&platform.Write != 0 && v.flags&(vmShared|vmGrowsDown) == 0
}

// asProt returns the permissions that page p of v has in the AddressSpace.
func (v *vma) asProt(p pte) platform.Access {
	if !v.shared() && p&(pteCOW|pteHost) != 0 {
		return v.prot &^ platform.Write
	}
	return v.prot
}

// continues reports whether w, which starts where v ends, can be joined to v.
func (v *vma) continues(w *vma) bool {
	if v.End != w.Start || v.prot != w.prot || v.maxProt != w.maxProt || v.flags != w.flags ||
		v.object != w.object || v.file != w.file || v.name != w.name {
		return false
	}
	return v.object == nil || v.off+v.Len() == w.off
}

// indexLocked returns the index of the first vma that ends above a.
func (m *MM) indexLocked(a abi.Addr) int {
	return sort.Search(len(m.vmas), func(i int) bool { return m.vmas[i].End > a })
}

// findLocked returns the vma that contains a, or nil.
func (m *MM) findLocked(a abi.Addr) *vma {
	if v := m.last.Load(); v != nil && v.Contains(a) {
		return v
	}
	vs := m.vmas
	lo, hi := 0, len(vs)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if vs[mid].End > a {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	if lo == len(vs) || vs[lo].Start > a {
		return nil
	}
	m.last.Store(vs[lo])
	return vs[lo]
}

// coveredLocked reports whether every address of r is mapped.
func (m *MM) coveredLocked(r abi.AddrRange) bool {
	for i := m.indexLocked(r.Start); i < len(m.vmas) && m.vmas[i].Start <= r.Start; i++ {
		if r.Start = m.vmas[i].End; r.Start >= r.End {
			return true
		}
	}
	return false
}

// splitLocked makes a the border of two vmas if it lies inside one. It fails with
// ENOMEM at the limit of mappings.
func (m *MM) splitLocked(a abi.Addr) error {
	i := m.indexLocked(a)
	if i == len(m.vmas) || m.vmas[i].Start >= a {
		return nil
	}
	if len(m.vmas) >= maxMapCount {
		return abi.ENOMEM
	}
	v := m.vmas[i]
	w := *v
	w.off = v.offOf(a)
	w.Start, v.End = a, a
	if w.file != nil {
		w.file.IncRef()
	}
	m.vmas = slices.Insert(m.vmas, i+1, &w)
	return nil
}

// isolateLocked splits so that r begins and ends at borders, and returns the indexes
// [lo, hi) of the vmas in it.
func (m *MM) isolateLocked(r abi.AddrRange) (lo, hi int, err error) {
	if err := m.splitLocked(r.Start); err != nil {
		return 0, 0, err
	}
	if err := m.splitLocked(r.End); err != nil {
		m.mergeLocked(r)
		return 0, 0, err
	}
	lo = m.indexLocked(r.Start)
	hi = lo
	for hi < len(m.vmas) && m.vmas[hi].Start < r.End {
		hi++
	}
	return lo, hi, nil
}

// mergeLocked joins what can be joined in r and at its borders.
func (m *MM) mergeLocked(r abi.AddrRange) {
	out := max(m.indexLocked(r.Start)-1, 0)
	i := out + 1
	for ; i < len(m.vmas) && m.vmas[i].Start <= r.End; i++ {
		v, w := m.vmas[out], m.vmas[i]
		if !v.continues(w) {
			out++
			m.vmas[out] = w
			continue
		}
		v.End = w.End
		if w.file != nil {
			m.dead = append(m.dead, w.file)
		}
	}
	if out+1 < i {
		m.vmas = slices.Delete(m.vmas, out+1, min(i, len(m.vmas)))
	}
}

// insertLocked adds v, whose range is free, and counts it.
func (m *MM) insertLocked(v *vma) {
	m.vmas = slices.Insert(m.vmas, m.indexLocked(v.Start), v)
	m.countLocked(v, v.Len())
}

// countLocked adds n bytes (n may be negative in two's complement) of v to the totals.
func (m *MM) countLocked(v *vma, n uint64) {
	m.total += n
	m.totalPeak = max(m.totalPeak, m.total)
	if v.isData() {
		m.data += n
	}
	if v.flags&vmLocked != 0 {
		m.locked += n
	}
}
