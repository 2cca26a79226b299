package mm

import (
	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// MapOpts say what MMap maps.
type MapOpts struct {
	Addr    abi.Addr // where, or a hint
	Len     uint64   // bytes, rounded up to pages
	Prot    platform.Access
	MaxProt platform.Access // what mprotect may set; 0 is everything

	Fixed          bool // exactly at Addr, replacing what is there
	FixedNoReplace bool // exactly at Addr, EEXIST if something is there
	Shared         bool
	GrowsDown      bool
	Locked         bool
	Populate       bool
	NoReserve      bool
	Below32        bool // MAP_32BIT
	Kernel         bool // pages of the kernel itself, such as [vvar]
	Segment        bool // part of a program or library: a writable one is about to be written

	Object memfile.Mappable // nil: anonymous
	Off    uint64           // of the mapping in Object
	File   FileRef          // MMap takes a reference of its own
	Name   string           // "[stack]", "[vdso]"
}

// MMap maps memory and returns its address.
func (m *MM) MMap(o MapOpts) (abi.Addr, error) {
	if o.Len == 0 || uint64(o.Off)&abi.PageMask != 0 {
		return 0, abi.EINVAL
	}
	end, ok := abi.Addr(o.Len).RoundUp()
	if !ok || end == 0 || uint64(end) > m.user.Len() {
		return 0, abi.ENOMEM
	}
	o.Len = uint64(end)
	if o.Object != nil && (o.Off+o.Len < o.Off || o.Off+o.Len > 1<<63) {
		return 0, abi.EOVERFLOW
	}
	if o.MaxProt == 0 {
		o.MaxProt = platform.Read | platform.Write | platform.Exec
	}
	if o.Prot&^o.MaxProt != 0 {
		return 0, abi.EACCES
	}
	if r, ok := o.Addr.Range(o.Len); ok && (o.Fixed || o.FixedNoReplace) {
		m.clearAreas(r)
	}
	m.lock()
	defer m.unlock()
	return m.mmapLocked(&o)
}

func (m *MM) mmapLocked(o *MapOpts) (abi.Addr, error) {
	if m.closed {
		return 0, abi.ENOMEM
	}
	r, err := m.chooseLocked(o)
	if err != nil {
		return 0, err
	}
	v := m.newVMA(o, r)
	if err := m.allowLocked(v, m.overlapLocked(r)); err != nil {
		return 0, err
	}
	if o.Shared && o.Object == nil {
		shm := memfile.NewShm(m.file, m.acct, o.Len)
		defer shm.DecRef() // the mapping keeps it
		v.object = shm
	}
	if v.object != nil {
		if err := v.object.AddMapping(m, r, v.off, v.writable()); err != nil {
			return 0, err
		}
	}
	stale, err := m.evictLocked(r)
	if err != nil {
		if v.object != nil {
			v.object.RemoveMapping(m, r, v.off, v.writable())
		}
		return 0, err
	}
	if v.file != nil {
		v.file.IncRef()
	}
	m.insertLocked(v)
	covered := m.eagerLocked(v, r, o.Segment)
	if err := m.expelLocked(stale, abi.AddrRange{Start: covered, End: r.End}); err != nil {
		// The AddressSpace still shows old pages in r: the vma must not stay, and the
		// old pages are never given to anybody else.
		m.discardLocked(r)
		return 0, err
	}
	if o.Populate || v.flags&vmLocked != 0 {
		m.populateLocked(r)
	}
	m.mergeLocked(r)
	return r.Start, nil
}

func (m *MM) newVMA(o *MapOpts, r abi.AddrRange) *vma {
	v := &vma{
		AddrRange: r, prot: o.Prot, maxProt: o.MaxProt,
		object: o.Object, off: o.Off, file: o.File, name: o.Name,
		flags: m.lockFuture,
	}
	for _, f := range []struct {
		set  bool
		flag vmaFlags
	}{
		{o.Shared, vmShared}, {o.GrowsDown, vmGrowsDown},
		{o.Locked, vmLocked}, {o.NoReserve, vmNoReserve}, {o.Kernel, vmKernel},
	} {
		if f.set {
			v.flags |= f.flag
		}
	}
	if v.object == nil && !o.Shared {
		v.off = 0
	}
	return v
}

// chooseLocked decides where a mapping goes.
func (m *MM) chooseLocked(o *MapOpts) (abi.AddrRange, error) {
	if o.Fixed || o.FixedNoReplace {
		if o.Addr.PageOffset() != 0 {
			return abi.AddrRange{}, abi.EINVAL
		}
		r, ok := o.Addr.Range(o.Len)
		if !ok || r.End > m.user.End {
			return r, abi.ENOMEM
		}
		if r.Start < m.user.Start {
			return r, abi.EPERM
		}
		if o.FixedNoReplace && !m.freeLocked(r) {
			return r, abi.EEXIST
		}
		return r, nil
	}
	if hint, ok := o.Addr.RoundUp(); ok && o.Addr != 0 {
		hint = max(hint, m.user.Start)
		r, ok := hint.Range(o.Len)
		if ok && r.End <= m.user.End && m.clearOfStackLocked(r) && (!o.Below32 || r.End <= 1<<31) {
			return r, nil
		}
	}
	a := m.placeLocked(o.Len, o.Below32)
	if a == 0 {
		return abi.AddrRange{}, abi.ENOMEM
	}
	return abi.AddrRange{Start: a, End: a + abi.Addr(o.Len)}, nil
}

// clearOfStackLocked reports whether r is free and leaves the guard gap of a stack above.
func (m *MM) clearOfStackLocked(r abi.AddrRange) bool {
	i := m.indexLocked(r.Start)
	return (i == len(m.vmas) || m.vmas[i].freeEnd() >= r.End) && m.areaOf(r) == nil
}

// overlapLocked returns the bytes that are mapped in r.
func (m *MM) overlapLocked(r abi.AddrRange) uint64 {
	n := uint64(0)
	for i := m.indexLocked(r.Start); i < len(m.vmas) && m.vmas[i].Start < r.End; i++ {
		n += m.vmas[i].Intersect(r).Len()
	}
	return n
}

// allowLocked checks the limits for a new mapping v that replaces old bytes of others.
func (m *MM) allowLocked(v *vma, old uint64) error {
	if len(m.vmas) >= maxMapCount {
		return abi.ENOMEM
	}
	n := v.Len()
	if m.total-old+n > m.limits.AS {
		return abi.ENOMEM
	}
	if v.isData() && m.data+n > m.limits.Data {
		return abi.ENOMEM
	}
	if v.flags&vmLocked != 0 && !m.limits.LockUnlimited && m.locked+n > m.limits.Memlock {
		return abi.EAGAIN
	}
	// Heuristic overcommit refuses what could never be had.
	if v.flags&vmNoReserve == 0 && v.prot&platform.Write != 0 && (v.object == nil || !v.shared()) && n > m.file.TotalMemory() {
		return abi.ENOMEM
	}
	return nil
}

// stale is what evictLocked took out: pages that the AddressSpace still maps.
type stale struct {
	r      abi.AddrRange
	pages  []memfile.Extent
	mapped bool
}

// evictLocked removes the vmas and pages of r but leaves the AddressSpace as it is, so
// that one Map can replace them. The caller must call expelLocked.
func (m *MM) evictLocked(r abi.AddrRange) (stale, error) {
	s := stale{r: r}
	if m.freeLocked(r) {
		return s, nil
	}
	lo, hi, err := m.isolateLocked(r)
	if err != nil {
		return s, err
	}
	for _, v := range m.vmas[lo:hi] {
		m.forgetLocked(v)
		m.takePagesLocked(v, v.AddrRange, &s)
	}
	m.vmas = deleteRange(m.vmas, lo, hi)
	m.pt.prune(m.wholeLeafsLocked(r))
	return s, nil
}

// wholeLeafsLocked extends r, which is free, over the leafs at its ends that nothing else
// is mapped in.
func (m *MM) wholeLeafsLocked(r abi.AddrRange) abi.AddrRange {
	head := abi.AddrRange{Start: r.Start &^ (leafSize - 1), End: r.Start}
	if m.freeLocked(head) {
		r.Start = head.Start
	}
	tail := abi.AddrRange{Start: r.End, End: (r.End + leafSize - 1) &^ (leafSize - 1)}
	if m.freeLocked(tail) {
		r.End = tail.End
	}
	return r
}

// expelLocked ends an eviction: it unmaps left, the part of the range that has not been
// mapped over, and gives the pages back.
func (m *MM) expelLocked(s stale, left abi.AddrRange) error {
	if s.mapped && left.Start < left.End {
		if err := m.as.Unmap(left); err != nil {
			return err
		}
	}
	for _, e := range s.pages {
		m.file.DecRef(e.Off, e.Len)
	}
	return nil
}

// takePagesLocked empties the page table in r, a part of v, and adds what was there to s.
func (m *MM) takePagesLocked(v *vma, r abi.AddrRange, s *stale) {
	m.pt.runs(r, func(u run) {
		m.rss.add(v, u.p, -int64(u.Len()>>abi.PageShift))
		s.mapped = s.mapped || u.p&pteMapped != 0
		m.takePatches(u, s)
		if u.p&pteMem != 0 {
			s.pages = append(s.pages, memfile.Extent{Off: u.p.off(), Len: u.Len()})
		}
	})
	m.pt.walk(r, func(_ abi.Addr, l *leaf, lo, hi int) { clear(l.ptes[lo:hi]) })
}

// takePatches adds the copies of patched pages to s.
func (m *MM) takePatches(u run, s *stale) {
	if u.p&ptePatched == 0 {
		return
	}
	for a := u.Start; a < u.End; a += abi.PageSize {
		if off, ok := m.patch.take(a); ok {
			s.pages = append(s.pages, memfile.Extent{Off: off, Len: abi.PageSize})
		}
	}
}

// dropPagesLocked gives the pages of r back. Preconditions: no AddressSpace maps them
// any more; nobody asks for the resident set size again.
func (m *MM) dropPagesLocked(r abi.AddrRange) {
	m.pt.runs(r, func(u run) {
		if u.p&pteMem != 0 {
			m.file.DecRef(u.p.off(), u.Len())
		}
	})
}

// zapLocked drops the pages of r, a part of v: the next access asks for new ones.
func (m *MM) zapLocked(v *vma, r abi.AddrRange) error {
	s := stale{r: r}
	mapped := false
	m.pt.runs(r, func(u run) { mapped = mapped || u.p&pteMapped != 0 })
	if mapped {
		if err := m.as.Unmap(r); err != nil {
			return err
		}
	}
	m.takePagesLocked(v, r, &s)
	return m.expelLocked(s, abi.AddrRange{})
}

// Munmap unmaps [addr, addr+n).
func (m *MM) Munmap(addr abi.Addr, n uint64) error {
	end, ok := abi.Addr(n).RoundUp()
	if addr.PageOffset() != 0 || n == 0 || !ok {
		return abi.EINVAL
	}
	r, ok := addr.Range(uint64(end))
	if !ok || r.End > m.user.End {
		return abi.EINVAL
	}
	m.lock()
	defer m.unlock()
	return m.munmapLocked(r)
}

func (m *MM) munmapLocked(r abi.AddrRange) error {
	s, err := m.evictLocked(r)
	if err != nil {
		return err
	}
	return m.expelLocked(s, r)
}

// discardLocked removes the vmas of r after the AddressSpace has failed; pages that it
// may still show stay referenced for good.
func (m *MM) discardLocked(r abi.AddrRange) {
	lo, hi, err := m.isolateLocked(r)
	if err != nil {
		return
	}
	for _, v := range m.vmas[lo:hi] {
		m.forgetLocked(v)
		var s stale
		m.takePagesLocked(v, v.AddrRange, &s)
	}
	m.vmas = deleteRange(m.vmas, lo, hi)
}

func deleteRange(vs []*vma, lo, hi int) []*vma {
	n := copy(vs[lo:], vs[hi:])
	clear(vs[lo+n:])
	return vs[:lo+n]
}
