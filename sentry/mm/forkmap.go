package mm

import (
	"slices"
	"sync"

	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// maxForkMaps is up to how many mappings a child's are made one by one in an AddressSpace
// that the platform has at hand. The host copies more than that faster than it makes them.
const maxForkMaps = 180

// Copied returns how many pages the fork that made m has copied: faults that will not be.
func (m *MM) Copied() int64 { return m.copied }

// space returns the child's AddressSpace.
func (f *fork) space() (platform.AddressSpace, error) {
	if k, ok := f.m.plat.(platform.Keeper); ok && f.runs <= maxForkMaps {
		if as := k.KeptAddressSpace(); as != nil {
			f.fresh = true
			return as, nil
		}
	}
	return f.m.as.Fork()
}

// install maps what the AddressSpace of the child c does not have.
func (f *fork) install(c *MM) error {
	if !f.fresh {
		return platform.Do(c.as, f.copies)
	}
	ops := make([]platform.Op, 0, f.runs+8)
	for _, v := range c.vmas {
		c.pt.runs(v.AddrRange, func(u run) {
			switch {
			case u.p&pteMapped == 0:
			case u.p&ptePatched != 0:
				ops = c.patchedOps(v, u, ops)
			case u.p&pteMem != 0:
				ops = addMap(ops, platform.Op{Range: u.AddrRange, FD: c.file.FD(), Off: u.p.off(), Prot: v.asProt(u.p)})
			default:
				ops = c.hostOps(v, u, ops)
			}
		})
	}
	return platform.Do(c.as, c.areaOps(ops))
}

// addMap adds o, or makes the last one longer.
func addMap(ops []platform.Op, o platform.Op) []platform.Op {
	if n := len(ops); n > 0 {
		p := &ops[n-1]
		if p.Range.End == o.Range.Start && p.FD == o.FD && p.Off+int64(p.Range.Len()) == o.Off && p.Prot == o.Prot {
			p.Range.End = o.Range.End
			return ops
		}
	}
	return append(ops, o)
}

// hostOps adds what maps the pages u of a host file. Pages that the object does not give
// now wait for a fault.
func (m *MM) hostOps(v *vma, u run, ops []platform.Op) []platform.Op {
	write := v.shared() && v.prot&platform.Write != 0
	at := u.Start
	for at < u.End {
		e, err := m.extent(v, at, uint64(u.End-at), write)
		if err != nil {
			break
		}
		if m.isMem(e) {
			m.putExtent(e)
			break
		}
		r := abi.AddrRange{Start: at, End: at + abi.Addr(e.Len)}
		ops = addMap(ops, platform.Op{Range: r, FD: e.FD, Off: e.Off, Prot: v.asProt(u.p)})
		at = r.End
	}
	m.pt.walk(abi.AddrRange{Start: at, End: u.End}, func(_ abi.Addr, l *leaf, lo, hi int) {
		for i := lo; i < hi; i++ {
			l.ptes[i] &^= pteMapped
		}
	})
	return ops
}

// patchedOps adds what maps the copies of the patched pages u.
func (m *MM) patchedOps(v *vma, u run, ops []platform.Op) []platform.Op {
	for a := u.Start; a < u.End; a += abi.PageSize {
		if g := m.patch.pages[a]; g != nil {
			ops = append(ops, platform.Op{Range: page(a), FD: m.file.FD(), Off: g.off, Prot: v.prot})
		}
	}
	return ops
}

// areaOps adds what maps the trampolines.
func (m *MM) areaOps(ops []platform.Op) []platform.Op {
	areas := m.patch.areas.Load()
	if areas == nil {
		return ops
	}
	for _, a := range *areas {
		for n, off := range a.pages {
			if off >= 0 {
				r := page(a.Start + abi.Addr(n)<<abi.PageShift)
				ops = append(ops, platform.Op{Range: r, FD: m.file.FD(), Off: off, Prot: platform.Read | platform.Exec})
			}
		}
	}
	return ops
}

// hotPages are the private pages that a process and the children that it forks write to
// soon after a fork: stacks, and what the C library notes. A fork copies them for the child
// at once instead of protecting them, which saves two faults for each.
type hotPages struct {
	mu    sync.Mutex
	pages [maxHotPages]hotPage
}

type hotPage struct {
	addr abi.Addr
	uses int // forks that may still copy it
}

const (
	// maxHotPages bounds what a fork copies.
	maxHotPages = 32

	// hotUses is for how many forks a page counts as hot: after them it must prove
	// itself anew.
	hotUses = 32
)

// note says that a page which a fork has shared had to be copied, or to be taken back.
func (h *hotPages) note(a abi.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	best := &h.pages[0]
	for i := range h.pages {
		p := &h.pages[i]
		if p.addr == a.RoundDown() {
			best = p
			break
		}
		if p.uses < best.uses {
			best = p
		}
	}
	*best = hotPage{a.RoundDown(), hotUses}
}

// take returns the hot pages, for one more fork.
func (h *hotPages) take() []abi.Addr {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]abi.Addr, 0, maxHotPages)
	for i := range h.pages {
		if p := &h.pages[i]; p.uses > 0 {
			p.uses--
			all = append(all, p.addr)
		}
	}
	slices.Sort(all)
	return all
}
