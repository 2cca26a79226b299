package mm

import (
	"slices"

	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

const (
	// areaLen is the length of an area: all trampolines of a program and its libraries
	// go into one or two, and every site finds a place that serves it.
	areaLen = 64 << 10

	// areaReach is how far from its sites an area may be.
	areaReach = 1<<31 - 1<<20

	maxAreas = 4

	areaPages = areaLen >> abi.PageShift
	pageSlots = abi.PageSize / platform.TrampolineLen
	areaSlots = areaPages * pageSlots
)

// trampolines are an area of addresses that has trampolines. It is in no vma: /proc does
// not show it, and no system call of the application acts on it. Mappings are placed
// elsewhere; one that insists removes it.
//
// It is never changed: another takes its place.
//
// A trampoline stays, with its site, as long as the area does: a thread may be inside
// when its site is unpatched.
type trampolines struct {
	abi.AddrRange
	pages [areaPages]int64          // offset in the memory file, -1 for none
	sites [areaSlots]*platform.Site // by slot; nil: free
}

// trampolineLocked makes a trampoline for s, and returns the jump to it.
func (m *MM) trampolineLocked(s *platform.Site) ([]byte, bool) {
	areas := m.patch.areas.Load()
	if areas != nil {
		for i, a := range *areas {
			if jump, ok := m.trampolineInLocked(i, a, s); ok {
				return jump, true
			}
		}
		if len(*areas) >= maxAreas {
			return nil, false
		}
	}
	r, ok := m.placeAreaLocked(s.Start)
	if !ok {
		return nil, false
	}
	a := &trampolines{AddrRange: r}
	for i := range a.pages {
		a.pages[i] = -1
	}
	var next []*trampolines
	if areas != nil {
		next = slices.Clone(*areas)
	}
	next = append(next, a)
	m.patch.areas.Store(&next)
	return m.trampolineInLocked(len(next)-1, a, s)
}

// trampolineInLocked makes a trampoline in area a, number i, if that serves s.
func (m *MM) trampolineInLocked(i int, a *trampolines, s *platform.Site) ([]byte, bool) {
	for slot, other := range a.sites {
		if other != nil {
			continue
		}
		at := a.Start + abi.Addr(slot*platform.TrampolineLen)
		jump, code, ok := m.patch.patcher.Link(*s, at)
		if !ok {
			continue
		}
		// Readers go by the list, so the area with one more site is a new one.
		b := *a
		b.sites[slot] = s
		if !m.writeTrampolineLocked(&b, slot, code) {
			return nil, false
		}
		next := slices.Clone(*m.patch.areas.Load())
		next[i] = &b
		m.patch.areas.Store(&next)
		return jump, true
	}
	return nil, false
}

// writeTrampolineLocked maps a copy of slot's page with the code in it.
func (m *MM) writeTrampolineLocked(a *trampolines, slot int, code []byte) bool {
	off, err := m.file.Allocate(m.acct, abi.PageSize, memfile.AllocOpts{})
	if err != nil {
		return false
	}
	n := slot / pageSlots
	old := a.pages[n]
	b := m.file.Bytes(off, abi.PageSize)
	if old >= 0 {
		copy(b, m.file.Bytes(old, abi.PageSize))
	}
	copy(b[slot%pageSlots*platform.TrampolineLen:], code)
	r := page(a.Start + abi.Addr(n)<<abi.PageShift)
	if err := m.as.Map(r, m.file.FD(), off, platform.Read|platform.Exec); err != nil {
		m.file.DecRef(off, abi.PageSize)
		return false
	}
	if old >= 0 {
		m.file.DecRef(old, abi.PageSize)
	}
	a.pages[n] = off
	return true
}

// placeAreaLocked finds a place for an area within reach of a site: above where mappings
// are placed, for libraries, or below the program, for the program. Neither grows there.
func (m *MM) placeAreaLocked(site abi.Addr) (abi.AddrRange, bool) {
	const apart = 1 << 20
	low := max(m.user.Start, site-min(areaReach, site))
	reach := abi.AddrRange{Start: low, End: min(site+areaReach, m.user.End)}
	above := m.layout.MmapBase + 16<<abi.PageShift
	if r, ok := above.Range(areaLen); ok && r.Start >= reach.Start && r.End <= reach.End && m.clearOfStackLocked(r) &&
		m.areaOf(r) == nil {
		return r, true
	}
	// Below all that is mapped without a larger hole.
	i := m.indexLocked(site)
	for i > 0 && m.vmas[i].Start-m.vmas[i-1].End < 4*apart {
		i--
	}
	for _, gap := range []abi.Addr{apart, 0} {
		end := m.vmas[i].Start - min(gap, m.vmas[i].Start)
		reach.End = min(reach.End, end)
		if a := m.highestLocked(reach, areaLen); a != 0 {
			r := abi.AddrRange{Start: a, End: a + areaLen}
			if m.areaOf(r) == nil {
				return r, true
			}
		}
	}
	return abi.AddrRange{}, false
}

// areaOf returns the area that overlaps r, or nil. It needs no lock.
func (m *MM) areaOf(r abi.AddrRange) *trampolines {
	areas := m.patch.areas.Load()
	if areas == nil {
		return nil
	}
	for _, a := range *areas {
		if a.Overlaps(r) {
			return a
		}
	}
	return nil
}

// RewindPatched gives a thread that was stopped in a trampoline the registers that it
// would have in the program, and reports whether it was in one.
func (m *MM) RewindPatched(regs *platform.Regs) bool {
	ip := regs.IP()
	a := m.areaOf(abi.AddrRange{Start: ip, End: ip + 1})
	if a == nil {
		return false
	}
	off := uint64(ip - a.Start)
	s := a.sites[off/platform.TrampolineLen]
	if s == nil {
		return false
	}
	m.patch.patcher.Rewind(*s, off%platform.TrampolineLen, regs)
	return true
}

// Barrier is the kernel, for what threads in application code must not miss.
type Barrier interface {
	// AwaitUserExit returns when every thread that ran application code in m has left
	// it once. It is called with no lock held.
	AwaitUserExit(m *MM)
}

// SetBarrier must be called before a task uses m; without it there are no patches.
func (m *MM) SetBarrier(b Barrier) {
	if p, ok := m.plat.(platform.Patcher); ok {
		m.patch.patcher, m.barrier = p, b
	}
}

// clearAreas removes the trampolines from r, where the application insists on a mapping.
// It is called with no lock held.
func (m *MM) clearAreas(r abi.AddrRange) {
	for {
		a := m.areaOf(r)
		if a == nil {
			return
		}
		m.lock()
		m.patch.off.Store(true)
		err := m.unpatchLocked(abi.AddrRange{Start: 0, End: m.user.End})
		m.unlock()
		if err != nil {
			return
		}
		// Nobody enters a trampoline any more, and those inside come out.
		m.barrier.AwaitUserExit(m)
		m.lock()
		m.dropAreasLocked()
		m.unlock()
	}
}

// dropAreasLocked unmaps all areas. Preconditions: no thread is in one.
func (m *MM) dropAreasLocked() {
	areas := m.patch.areas.Load()
	if areas == nil {
		return
	}
	m.patch.areas.Store(nil)
	for _, a := range *areas {
		if !m.closed && m.as.Unmap(a.AddrRange) != nil {
			continue // the pages are never given to anybody else
		}
		for _, off := range a.pages {
			if off >= 0 {
				m.file.DecRef(off, abi.PageSize)
			}
		}
	}
}

// dropPatchesLocked gives everything back after the AddressSpace has gone.
func (m *MM) dropPatchesLocked() {
	m.dropAreasLocked()
	m.patch.mu.Lock()
	defer m.patch.mu.Unlock()
	for _, g := range m.patch.pages {
		m.file.DecRef(g.off, abi.PageSize)
	}
	m.patch.pages = nil
}

// cloneAreas takes the areas of a parent.
func (m *MM) cloneAreas(areas *[]*trampolines) {
	for _, a := range *areas {
		for _, off := range a.pages {
			if off >= 0 {
				m.file.IncRef(off, abi.PageSize)
			}
		}
	}
	m.patch.areas.Store(areas)
}
