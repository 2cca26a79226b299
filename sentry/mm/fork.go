package mm

import (
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
	as, err := m.as.Fork()
	if err != nil {
		return nil, err
	}
	c := newMM(m.plat, m.file, m.acct, as)
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
	return c, nil
}

// fork is one Fork of m, whose lock is held for writing.
type fork struct {
	m *MM
	// pinned are pages that the Sentry is writing to right now: the child gets copies
	// at once, so that what arrives belongs to the parent.
	pinned map[abi.Addr]bool

	// group is a range of the AddressSpace that gets read-only (or whatever prot is)
	// with one call: pages between its parts have those permissions already.
	group abi.AddrRange
	prot  platform.Access
}

// copied reports whether fork copies the private pages of v.
func (v *vma) copied() bool {
	return !v.shared() && v.flags&(vmDontFork|vmWipeOnFork) == 0
}

// protect write-protects and marks COW what the two address spaces will share.
func (f *fork) protect() error {
	for _, v := range f.m.vmas {
		var err error
		f.m.pt.runs(v.AddrRange, func(u run) {
			if err == nil {
				err = f.addRun(v, u)
			}
		})
		if err != nil {
			return err
		}
	}
	return f.flush()
}

// addRun takes a run of pages with the same flags into the group, in parts where some
// of them are pinned.
func (f *fork) addRun(v *vma, u run) error {
	if u.p&pteMem == 0 || u.p&pteCOW != 0 || !v.copied() {
		return f.add(u, v.asProt(u.p), v.asProt(u.p))
	}
	for a := u.Start; a < u.End; {
		end := a
		for end < u.End && f.m.file.Refs(u.p.off()+int64(end-u.Start)) == 1 {
			end += abi.PageSize
		}
		if end > a {
			part := run{abi.AddrRange{Start: a, End: end}, u.p}
			if err := f.add(part, v.asProt(u.p), v.asProt(u.p|pteCOW)); err != nil {
				return err
			}
		}
		if a = end; a < u.End {
			if f.pinned == nil {
				f.pinned = make(map[abi.Addr]bool)
			}
			f.pinned[a] = true
			if err := f.add(run{page(a), u.p}, v.asProt(u.p), v.asProt(u.p)); err != nil {
				return err
			}
			a += abi.PageSize
		}
	}
	return nil
}

// add notes that the pages of u have permissions was and shall have will.
func (f *fork) add(u run, was, will platform.Access) error {
	if f.group.Start != f.group.End && f.m.areaOf(abi.AddrRange{Start: f.group.End, End: u.Start}) != nil {
		if err := f.flush(); err != nil {
			return err
		}
	}
	if u.p&pteMapped == 0 || was == will && (f.group.Start == f.group.End || will == f.prot) {
		return nil
	}
	if f.group.Start != f.group.End && will != f.prot {
		if err := f.flush(); err != nil {
			return err
		}
	}
	if was == will {
		return nil
	}
	if f.group.Start == f.group.End {
		f.group.Start, f.prot = u.Start, will
	}
	f.group.End = u.End
	return nil
}

// flush protects the group and marks its pages.
func (f *fork) flush() error {
	g := f.group
	f.group = abi.AddrRange{}
	if g.Start == g.End {
		return nil
	}
	if err := f.m.as.Protect(g, f.prot); err != nil {
		return err
	}
	for i := f.m.indexLocked(g.Start); i < len(f.m.vmas) && f.m.vmas[i].Start < g.End; i++ {
		if v := f.m.vmas[i]; v.copied() {
			f.mark(v.Intersect(g))
		}
	}
	return nil
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
	for a := range f.pinned {
		if !w.Contains(a) {
			continue
		}
		e := &c.pt.leaf(a).ptes[leafIndex(a)]
		off, err := c.file.Allocate(c.acct, abi.PageSize, memfile.AllocOpts{})
		if err != nil {
			return err
		}
		copy(c.file.Bytes(off, abi.PageSize), c.file.Bytes(e.off(), abi.PageSize))
		if err := c.as.Map(page(a), c.file.FD(), off, w.prot); err != nil {
			c.file.DecRef(off, abi.PageSize)
			return err
		}
		c.file.DecRef(e.off(), abi.PageSize)
		*e = pte(off) | pteMem | pteAnon | pteMapped
	}
	return nil
}
