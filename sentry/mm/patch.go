package mm

import (
	"maps"
	"sync"
	"sync/atomic"

	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// Patched pages: where a system call instruction is executed often, a jump to a
// trampoline takes its place (platform.Patcher). The page table knows nothing of it: it
// has the original page, which is what the Sentry reads, forks, moves and shows to
// debuggers; only the AddressSpace has a copy with the jumps in it, mapped over the
// original (ptePatched). Whatever changes the page or its mapping puts the original back
// first, or drops the copy with the page.
//
// Copies and trampolines are never changed once the AddressSpace has them: a new patch
// makes a new copy, which replaces the old one as a whole.
type patches struct {
	patcher platform.Patcher

	// areas is not nil once there has been a patch.
	areas atomic.Pointer[[]*trampolines]
	// over are the sites whose patch reaches over the call, by their End.
	over atomic.Pointer[map[abi.Addr]*platform.Site]
	off  atomic.Bool

	mu    sync.Mutex
	pages map[abi.Addr]*patchedPage
	hot   [hotSites]hotSite
}

type patchedPage struct {
	off   int64 // of the copy, in the memory file
	sites []*platform.Site
}

// Bounds for one address space.
const (
	hotSites   = 64
	hotCalls   = 24 // calls of a site before it is patched: about what a patch costs
	maxPatched = 256
)

// hotSite counts the calls of one site.
type hotSite struct {
	end   abi.Addr
	count uint32
}

// refusedSite is the count of a site that is not patched however hot: it cannot be, or it
// has been, and perhaps its program changes its code all the time.
const refusedSite = 1 << 31

// NoteCall counts a system call that has trapped: end is the address after it. After
// enough of them it patches the instruction.
func (m *MM) NoteCall(end abi.Addr, nr uint64) {
	p := &m.patch
	if p.patcher == nil || p.off.Load() {
		return
	}
	p.mu.Lock()
	h := &p.hot[uint64(end)*0x9e3779b97f4a7c15>>58%hotSites]
	if h.end != end {
		*h = hotSite{end: end}
	}
	h.count++
	due := h.count == hotCalls
	if due {
		h.count = refusedSite
	}
	p.mu.Unlock()
	if due {
		m.lock()
		m.patchLocked(end, nr)
		m.unlock()
	}
}

// patchLocked patches the call that ends at end, if that is possible and safe.
func (m *MM) patchLocked(end abi.Addr, nr uint64) {
	if m.closed || m.patch.off.Load() || len(m.patch.pages) >= maxPatched {
		return
	}
	r := page(end - 1)
	v := m.findLocked(r.Start)
	l := m.pt.leaf(r.Start)
	if v == nil || l == nil || v.shared() || v.flags&vmKernel != 0 ||
		v.prot&(platform.Write|platform.Exec) != platform.Exec {
		return
	}
	p := l.ptes[leafIndex(r.Start)]
	if p&pteMapped == 0 || p&pteAnon != 0 && p&pteCOW == 0 && m.file.Refs(p.off()) != 1 {
		return // the latter may be the target of a read that has not ended
	}
	var text [abi.PageSize]byte
	if _, err := m.copyLocked(r.Start, text[:], peeking); err != nil {
		return
	}
	s, ok := m.patch.patcher.FindSite(text[:], int(end-r.Start), end, nr)
	if !ok || s.Start < r.Start || s.End+abi.Addr(overLen(&s)) > r.End || m.patch.siteAt(end) {
		return
	}
	jump, ok := m.trampolineLocked(&s)
	if !ok {
		return
	}
	m.installPatchLocked(v, &l.ptes[leafIndex(r.Start)], r, &s, text[:], jump)
}

// overLen is how far a site reaches beyond its End.
func overLen(s *platform.Site) uint8 {
	if s.Over {
		return s.Len
	}
	return 0
}

// installPatchLocked maps a copy of the page with one more jump in it.
func (m *MM) installPatchLocked(v *vma, p *pte, r abi.AddrRange, s *platform.Site, text, jump []byte) {
	off, err := m.file.Allocate(m.acct, abi.PageSize, memfile.AllocOpts{})
	if err != nil {
		return
	}
	old := m.patch.pages[r.Start]
	if old != nil {
		text = m.file.Bytes(old.off, abi.PageSize)
	}
	b := m.file.Bytes(off, abi.PageSize)
	copy(b, text)
	copy(b[s.Start-r.Start:], jump)
	// From here on a thread may be on its way.
	m.patch.enter(s)
	if err := m.as.Map(r, m.file.FD(), off, v.prot); err != nil {
		m.patch.forget(s)
		m.file.DecRef(off, abi.PageSize)
		return
	}
	m.patch.mu.Lock()
	defer m.patch.mu.Unlock()
	if old == nil {
		old = &patchedPage{}
		if m.patch.pages == nil {
			m.patch.pages = make(map[abi.Addr]*patchedPage)
		}
		m.patch.pages[r.Start] = old
	} else {
		m.file.DecRef(old.off, abi.PageSize)
	}
	old.off = off
	old.sites = append(old.sites, s)
	*p |= ptePatched
}

// siteAt reports whether the call that ends at end is patched.
func (p *patches) siteAt(end abi.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.pages[(end - 1).RoundDown()]; g != nil {
		for _, s := range g.sites {
			if s.End == end {
				return true
			}
		}
	}
	return false
}

// enter makes a site known to SkipPatched, if it is of that kind.
func (p *patches) enter(s *platform.Site) { p.setOver(s, true) }

func (p *patches) forget(s *platform.Site) { p.setOver(s, false) }

func (p *patches) setOver(s *platform.Site, on bool) {
	if !s.Over {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	next := make(map[abi.Addr]*platform.Site)
	if old := p.over.Load(); old != nil {
		maps.Copy(next, *old)
	}
	delete(next, s.End)
	if on {
		next[s.End] = s
	}
	p.over.Store(&next)
}

// unpatchLocked makes the AddressSpace lose the patched pages of r, which a fault brings
// back as they were. Preconditions: MM.mu is held for writing.
func (m *MM) unpatchLocked(r abi.AddrRange) error {
	if m.patch.areas.Load() == nil {
		return nil
	}
	var err error
	m.pt.walk(r, func(base abi.Addr, l *leaf, lo, hi int) {
		for i := lo; i < hi && err == nil; i++ {
			if l.ptes[i]&ptePatched != 0 {
				err = m.unpatchPage(&l.ptes[i], base+abi.Addr(i)<<abi.PageShift)
			}
		}
	})
	return err
}

// unpatchPage does it for one page. Preconditions: the lock of its leaf is held, or MM.mu
// for writing.
func (m *MM) unpatchPage(p *pte, a abi.Addr) error {
	if err := m.as.Unmap(page(a)); err != nil {
		return err
	}
	*p &^= ptePatched | pteMapped
	m.dropPatch(a)
	return nil
}

// dropPatch forgets the copy of the page at a, which the AddressSpace does not have any
// more, and which may go once that is so.
func (m *MM) dropPatch(a abi.Addr) {
	if off, ok := m.patch.take(a); ok {
		m.file.DecRef(off, abi.PageSize)
	}
}

// take removes the page at a and returns its copy.
func (p *patches) take(a abi.Addr) (int64, bool) {
	p.mu.Lock()
	g := p.pages[a]
	delete(p.pages, a)
	p.mu.Unlock()
	if g == nil {
		return 0, false
	}
	for _, s := range g.sites {
		p.forget(s)
	}
	return g.off, true
}

// StopPatching puts all original code back, for good: a debugger wants to see it, and to
// step through it.
func (m *MM) StopPatching() {
	if m.patch.patcher == nil || m.patch.off.Load() {
		return
	}
	m.lock()
	defer m.unlock()
	m.patch.off.Store(true)
	// A page that cannot be put back has an AddressSpace that is lost.
	_ = m.unpatchLocked(abi.AddrRange{Start: 0, End: m.user.End})
}

// SkipPatched is called before a thread runs: it does the instruction at its IP if a
// patch has overwritten that, and reports whether it did.
func (m *MM) SkipPatched(regs *platform.Regs) bool {
	over := m.patch.over.Load()
	if over == nil {
		return false
	}
	s := (*over)[regs.IP()]
	if s == nil {
		return false
	}
	m.patch.patcher.Skip(*s, regs)
	return true
}

// LatePatchFault reports whether an illegal instruction at addr may come from a patch that
// is there no more: what is there now is a system call and what a patch would have
// overwritten, and both are legal.
func (m *MM) LatePatchFault(addr abi.Addr) bool {
	if m.patch.areas.Load() == nil || addr < m.user.Start {
		return false
	}
	var b [16]byte
	n, _ := m.Peek(addr-2, b[:])
	if m.patch.patcher == nil {
		return false
	}
	s, ok := m.patch.patcher.FindSite(b[:n], 2, addr, 0)
	return ok && s.Over
}

// forkPatches gives the child the copies that its AddressSpace has inherited.
func (m *MM) forkPatches(c *MM) {
	areas := m.patch.areas.Load()
	if areas == nil {
		return
	}
	c.patch.off.Store(m.patch.off.Load())
	c.cloneAreas(areas)
	m.patch.mu.Lock()
	defer m.patch.mu.Unlock()
	c.patch.pages = make(map[abi.Addr]*patchedPage, len(m.patch.pages))
	over := make(map[abi.Addr]*platform.Site)
	for a, g := range m.patch.pages {
		l := c.pt.leaf(a)
		if l == nil || l.ptes[leafIndex(a)]&ptePatched == 0 {
			continue
		}
		m.file.IncRef(g.off, abi.PageSize)
		c.patch.pages[a] = &patchedPage{off: g.off, sites: g.sites[:len(g.sites):len(g.sites)]}
		for _, s := range g.sites {
			if s.Over {
				over[s.End] = s
			}
		}
	}
	c.patch.over.Store(&over)
	c.patch.hot = m.patch.hot
}
