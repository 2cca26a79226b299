package mm

import (
	"slices"

	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// Fork returns a copy of the address space with one user. Private pages are shared until
// one side writes them.
func (m *MM) Fork() (*MM, error) {
	m.lock()
	defer m.unlock()
	if m.closed {
		return nil, abi.ENOMEM
	}
	f := fork{m: m}
	if err := f.protect(); err != nil {
		return nil, err
	}
	as, err := f.space()
	if err != nil {
		return nil, err
	}
	c := newMM(m.plat, m.file, m.acct, as)
	c.hot = m.hot
	c.marks.Store(m.marks.Load())
	c.SetBarrier(m.barrier)
	c.limits, c.layout, c.ranges = m.limits, m.layout, m.ranges
	c.brkStart, c.brk = m.brkStart, m.brk
	for _, v := range m.vmas {
		if err := f.copyVMA(c, v); err != nil {
			c.DecUsers()
			return nil, err
		}
	}
	m.forkPatches(c)
	if err := f.install(c); err != nil {
		c.DecUsers()
		return nil, err
	}
	return c, nil
}

// fork is one Fork of m, whose lock is held for writing.
type fork struct {
	m *MM
	// pinned are pages that the Sentry is writing to right now: the child gets copies
	// at once, so that what arrives belongs to the parent. So are those that will be
	// written soon (hotPages).
	pinned map[abi.Addr]bool

	// group is a range of the AddressSpace that gets read-only (or whatever prot is)
	// with one call: pages between its parts have those permissions already.
	group  abi.AddrRange
	prot   platform.Access
	groups []platform.Op // finished ones

	runs   int           // mapped runs of pages with the same flags
	fresh  bool          // the child's AddressSpace begins empty
	copies []platform.Op // if not: what it has to map besides what it has inherited
}

// copied reports whether fork copies the private pages of v.
func (v *vma) copied() bool {
	return !v.shared() && v.flags&(vmDontFork|vmWipeOnFork) == 0
}

// protect write-protects and marks COW what the two address spaces will share.
func (f *fork) protect() error {
	if f.m.hot == nil {
		f.m.hot = new(hotPages)
	}
	hot := f.m.hot.take()
	for _, v := range f.m.vmas {
		f.m.pt.runs(v.AddrRange, func(u run) { f.addRun(v, u, hot) })
	}
	f.flush()
	if len(f.groups) == 0 {
		return nil
	}
	err := platform.Do(f.m.as, f.groups)
	// Also after an error: who writes to a page that is marked for nothing gets it back.
	for _, g := range f.groups {
		for i := f.m.indexLocked(g.Range.Start); i < len(f.m.vmas) && f.m.vmas[i].Start < g.Range.End; i++ {
			if v := f.m.vmas[i]; v.copied() {
				f.mark(v.Intersect(g.Range))
			}
		}
	}
	return err
}

// addRun takes a run of pages with the same flags into the group, in parts where some
// of them are pinned or hot.
func (f *fork) addRun(v *vma, u run, hot []abi.Addr) {
	if u.p&pteMapped != 0 {
		f.runs++
	}
	if u.p&pteMem == 0 || u.p&pteCOW != 0 || !v.copied() {
		f.add(u, v.asProt(u.p), v.asProt(u.p))
		for _, a := range hot {
			if u.Contains(a) && u.p&(pteMem|ptePatched) == pteMem && v.copied() && v.prot&platform.Write != 0 {
				f.copyOf(a) // shared already, and the child will write to it
			}
		}
		return
	}
	for a := u.Start; a < u.End; {
		end := a
		for end < u.End && f.m.file.Refs(u.p.off()+int64(end-u.Start)) == 1 && !slices.Contains(hot, end) {
			end += abi.PageSize
		}
		if end > a {
			f.add(run{abi.AddrRange{Start: a, End: end}, u.p}, v.asProt(u.p), v.asProt(u.p|pteCOW))
		}
		if a = end; a < u.End {
			f.copyOf(a)
			f.add(run{page(a), u.p}, v.asProt(u.p), v.asProt(u.p))
			a += abi.PageSize
		}
	}
}

// copyOf makes the child have a copy of its own of the page at a.
func (f *fork) copyOf(a abi.Addr) {
	if f.pinned == nil {
		f.pinned = make(map[abi.Addr]bool)
	}
	f.pinned[a] = true
	f.runs += 2
}

// add notes that the pages of u have permissions was and shall have will.
func (f *fork) add(u run, was, will platform.Access) {
	if f.group.Start != f.group.End && f.m.areaOf(abi.AddrRange{Start: f.group.End, End: u.Start}) != nil {
		f.flush()
	}
	if u.p&pteMapped == 0 || was == will && (f.group.Start == f.group.End || will == f.prot) {
		return
	}
	if f.group.Start != f.group.End && will != f.prot {
		f.flush()
	}
	if was == will {
		return
	}
	if f.group.Start == f.group.End {
		f.group.Start, f.prot = u.Start, will
	}
	f.group.End = u.End
}

// flush ends the group.
func (f *fork) flush() {
	if f.group.Start != f.group.End {
		f.groups = append(f.groups, platform.Op{Range: f.group, FD: -1, Prot: f.prot})
	}
	f.group = abi.AddrRange{}
}

// mark sets the COW bit of the memory file pages in r that are not pinned.
func (f *fork) mark(r abi.AddrRange) {
	f.m.pt.walk(r, func(base abi.Addr, l *leaf, lo, hi int) {
		for i := lo; i < hi; i++ {
			if l.ptes[i]&pteMem == 0 || f.pinned[base+abi.Addr(i)<<abi.PageShift] {
				continue
			}
			l.ptes[i] |= pteCOW
		}
	})
}

// copyVMA gives the child c its copy of v.
func (f *fork) copyVMA(c *MM, v *vma) error {
	if v.flags&vmDontFork != 0 {
		return f.unmapChild(c, v)
	}
	w := *v
	w.flags &^= vmLocked
	if w.object != nil {
		if err := w.object.AddMapping(c, w.AddrRange, w.off, w.writable()); err != nil {
			return err
		}
	}
	if w.file != nil {
		w.file.IncRef()
	}
	c.vmas = append(c.vmas, &w)
	c.countLocked(&w, w.Len())
	if v.flags&vmWipeOnFork != 0 {
		return f.unmapChild(c, v)
	}
	if v.copied() {
		f.mark(v.AddrRange)
	}
	if err := f.copyPages(c, &w); err != nil {
		return err
	}
	return nil
}

// unmapChild removes what the platform has copied of v.
func (f *fork) unmapChild(c *MM, v *vma) error {
	if f.fresh {
		return nil
	}
	mapped := false
	f.m.pt.runs(v.AddrRange, func(u run) { mapped = mapped || u.p&pteMapped != 0 })
	if !mapped {
		return nil
	}
	return c.as.Unmap(v.AddrRange)
}

// copyPages copies the page table entries of w.
func (f *fork) copyPages(c *MM, w *vma) error {
	var err error
	f.m.pt.walk(w.AddrRange, func(base abi.Addr, l *leaf, lo, hi int) {
		if err != nil {
			return
		}
		var cl *leaf
		if cl, err = c.pt.ensure(base); err == nil {
			copy(cl.ptes[lo:hi], l.ptes[lo:hi])
		}
	})
	if err != nil {
		// Entries without references must not be released.
		c.pt.walk(w.AddrRange, func(_ abi.Addr, l *leaf, lo, hi int) { clear(l.ptes[lo:hi]) })
		return err
	}
	c.pt.runs(w.AddrRange, func(u run) {
		if u.p&pteMem != 0 {
			f.m.file.IncRef(u.p.off(), u.Len())
		}
		c.rss.add(w, u.p, int64(u.Len()>>abi.PageShift))
	})
	if f.pinned == nil || w.shared() {
		return nil
	}
	return f.copyPinned(c, w)
}

// copyPinned gives the child its own copies of pinned pages of w.
func (f *fork) copyPinned(c *MM, w *vma) error {
	var at []abi.Addr
	for a := range f.pinned {
		if w.Contains(a) {
			at = append(at, a)
		}
	}
	if len(at) == 0 {
		return nil
	}
	slices.Sort(at) // what is next to each other can be mapped together
	off, err := c.file.Allocate(c.acct, uint64(len(at))<<abi.PageShift, memfile.AllocOpts{})
	if err != nil {
		return err
	}
	c.copied += int64(len(at))
	for _, a := range at {
		e := &c.pt.leaf(a).ptes[leafIndex(a)]
		copy(c.file.Bytes(off, abi.PageSize), c.file.Bytes(e.off(), abi.PageSize))
		c.file.DecRef(e.off(), abi.PageSize)
		*e = pte(off) | pteMem | pteAnon | pteMapped
		f.copies = addMap(f.copies, platform.Op{Range: page(a), FD: c.file.FD(), Off: off, Prot: w.prot})
		off += abi.PageSize
	}
	return nil
}
