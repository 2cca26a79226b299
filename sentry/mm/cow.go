package mm

import (
	"lazaret/syscalls/abi"
)

// breakCOWLocked makes the page at addr of the private vma v ours alone: pages that
// nobody else refers to any more become ours as they are, with their neighbours; others
// are copied. Preconditions: l.mu is held; the page is COW or of a host file.
func (m *MM) breakCOWLocked(v *vma, l *leaf, addr abi.Addr) error {
	base := addr &^ (leafSize - 1)
	lim := v.Intersect(abi.AddrRange{Start: base, End: base + leafSize})
	lo, hi := int((lim.Start-base)>>abi.PageShift), int((lim.End-base)>>abi.PageShift)
	i := leafIndex(addr)
	if m.hot != nil && l.ptes[i]&pteMem != 0 {
		m.hot.note(addr)
	}
	if m.lone(l.ptes[i]) {
		a, z := i, i+1
		for a > lo && m.lone(l.ptes[a-1]) {
			a--
		}
		for z < hi && m.lone(l.ptes[z]) {
			z++
		}
		return m.reclaim(v, l, base, a, z)
	}
	n := copyPages
	if l.ptes[i]&pteHost != 0 {
		n = l.block(lo, hi)
	}
	lo, hi = max(lo, i&^(n-1)), min(hi, i&^(n-1)+n)
	a, z := i, i+1
	for a > lo && m.mustCopy(l.ptes[a-1]) {
		a--
	}
	for z < hi && m.mustCopy(l.ptes[z]) {
		z++
	}
	r := abi.AddrRange{Start: base + abi.Addr(a)<<abi.PageShift, End: base + abi.Addr(z)<<abi.PageShift}
	return m.copyPages(v, l, r, addr)
}

// lone reports whether p is a COW page that only this MM refers to. Nobody else can
// gain a reference: that takes one of ours.
func (m *MM) lone(p pte) bool {
	return p&(pteMem|pteCOW|ptePatched) == pteMem|pteCOW && m.file.Refs(p.off()) == 1
}

// mustCopy reports whether p is a page that a write copies.
func (m *MM) mustCopy(p pte) bool {
	return p&ptePatched == 0 && (p&pteHost != 0 || p&pteCOW != 0 && m.file.Refs(p.off()) != 1)
}

// reclaim clears the COW bit of entries [a, z).
func (m *MM) reclaim(v *vma, l *leaf, base abi.Addr, a, z int) error {
	mapped := false
	for i := a; i < z; i++ {
		mapped = mapped || l.ptes[i]&pteMapped != 0
	}
	r := abi.AddrRange{Start: base + abi.Addr(a)<<abi.PageShift, End: base + abi.Addr(z)<<abi.PageShift}
	if p := l.ptes[a]; mapped && v.asProt(p) != v.asProt(p&^pteCOW) {
		if err := m.as.Protect(r, v.prot); err != nil {
			return err
		}
	}
	for i := a; i < z; i++ {
		l.ptes[i] = l.ptes[i]&^pteCOW | pteAnon
	}
	return nil
}

// copyPages replaces the pages of r by copies of ours.
func (m *MM) copyPages(v *vma, l *leaf, r abi.AddrRange, addr abi.Addr) error {
	off, r, err := m.allocate(v, r, addr)
	if err != nil {
		return err
	}
	for a := r.Start; a < r.End; a += abi.PageSize {
		dst := m.file.Bytes(off+int64(a-r.Start), abi.PageSize)
		if p := l.ptes[leafIndex(a)]; p&pteMem != 0 {
			copy(dst, m.file.Bytes(p.off(), abi.PageSize))
			continue
		}
		// A run of pages of a host file is read in one go.
		end := a + abi.PageSize
		for end < r.End && l.ptes[leafIndex(end)]&pteHost != 0 {
			end += abi.PageSize
		}
		n, err := m.copyObject(v, abi.AddrRange{Start: a, End: end}, min(addr.RoundDown(), end-1), off+int64(a-r.Start))
		if err == nil && n < uint64(end-a) {
			// The file ends inside r: keep what there is.
			if a+abi.Addr(n) <= addr {
				err = abi.EFAULT
			}
			m.file.DecRef(off+int64(a-r.Start)+int64(n), uint64(r.End-a)-n)
			r.End = a + abi.Addr(n)
		}
		if err != nil {
			m.file.DecRef(off, r.Len())
			return err
		}
		a = end - abi.PageSize
	}
	if err := m.as.Map(r, m.file.FD(), off, v.prot); err != nil {
		m.file.DecRef(off, r.Len())
		return err
	}
	for a := r.Start; a < r.End; a += abi.PageSize {
		e := &l.ptes[leafIndex(a)]
		old := *e
		*e = pte(off+int64(a-r.Start)) | pteMem | pteAnon | pteMapped
		m.rss.add(v, old, -1)
		m.rss.add(v, *e, 1)
		if old&pteMem != 0 {
			m.file.DecRef(old.off(), abi.PageSize)
		}
	}
	return nil
}
