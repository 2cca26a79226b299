package mm

import (
	"slices"

	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

const mremapFlags = abi.MREMAP_MAYMOVE | abi.MREMAP_FIXED | abi.MREMAP_DONTUNMAP

// Mremap is mremap(2) and returns the new address.
func (m *MM) Mremap(old abi.Addr, oldLen, newLen uint64, flags uint32, newAddr abi.Addr) (abi.Addr, error) {
	may := flags&abi.MREMAP_MAYMOVE != 0
	fixed := flags&abi.MREMAP_FIXED != 0
	keep := flags&abi.MREMAP_DONTUNMAP != 0
	if flags&^uint32(mremapFlags) != 0 || fixed && !may || keep && (!may || oldLen != newLen) ||
		old.PageOffset() != 0 || newLen == 0 {
		return 0, abi.EINVAL
	}
	size, ok1 := abi.Addr(newLen).RoundUp()
	oldSize, _ := abi.Addr(oldLen).RoundUp() // 0 when it wraps, as Linux has it
	if !ok1 || uint64(size) > m.user.Len() {
		return 0, abi.EINVAL
	}
	r, ok := old.Range(uint64(oldSize))
	if !ok {
		return 0, abi.EINVAL
	}
	x := remap{m: m, old: r, size: uint64(size), keep: keep}
	if fixed {
		x.to, ok = newAddr.Range(x.size)
		if !ok || newAddr.PageOffset() != 0 || x.to.End > m.user.End || x.to.Overlaps(r) {
			return 0, abi.EINVAL
		}
		if x.to.Start < m.user.Start {
			return 0, abi.EPERM
		}
	}
	if fixed {
		m.clearAreas(x.to)
	}
	m.lock()
	defer m.unlock()
	if !fixed && !keep && oldSize >= size && oldSize != 0 {
		return x.shrink()
	}
	if err := x.check(); err != nil {
		return 0, err
	}
	if !fixed && !keep && oldSize != 0 {
		if x.grow() {
			return old, nil
		}
		if !may {
			return 0, abi.ENOMEM
		}
	}
	return x.move(fixed, newAddr)
}

// remap is one Mremap; MM.mu is held for writing.
type remap struct {
	m    *MM
	old  abi.AddrRange // empty: duplicate a shared mapping
	to   abi.AddrRange // MREMAP_FIXED
	size uint64        // new length
	keep bool          // MREMAP_DONTUNMAP
	v    *vma          // contains old
}

// shrink unmaps the end of old.
func (x *remap) shrink() (abi.Addr, error) {
	if !x.m.coveredLocked(abi.AddrRange{Start: x.old.Start, End: x.old.Start + 1}) {
		return 0, abi.EFAULT
	}
	cut := abi.AddrRange{Start: x.old.Start + abi.Addr(x.size), End: x.old.End}
	if cut.Len() > 0 {
		if err := x.m.munmapLocked(cut); err != nil {
			return 0, err
		}
	}
	return x.old.Start, nil
}

// check finds the vma and what the limits say (vma_to_resize).
func (x *remap) check() error {
	m := x.m
	v := m.findLocked(x.old.Start)
	if v == nil || x.old.End > v.End {
		return abi.EFAULT
	}
	x.v = v
	oldLen := x.old.Len()
	if oldLen == 0 && !v.shared() {
		return abi.EINVAL
	}
	if x.keep && v.object != nil && v.name != "" {
		return abi.EINVAL
	}
	if v.object != nil {
		if off := v.offOf(x.old.Start); off+x.size < off || off+x.size > 1<<63 {
			return abi.EINVAL
		}
	}
	if x.size <= oldLen && !x.keep {
		return nil
	}
	more := x.size - oldLen
	if x.keep {
		more = x.size
	}
	if v.flags&vmLocked != 0 && !m.limits.LockUnlimited && m.locked+more > m.limits.Memlock {
		return abi.EAGAIN
	}
	if m.total+more > m.limits.AS || v.isData() && m.data+more > m.limits.Data {
		return abi.ENOMEM
	}
	if v.flags&vmNoReserve == 0 && v.isData() && more > m.file.TotalMemory() {
		return abi.ENOMEM
	}
	return nil
}

// grow extends the mapping where it is, if it ends there and has room.
func (x *remap) grow() bool {
	m, v := x.m, x.v
	more, ok := x.old.End.Range(x.size - x.old.Len())
	if x.old.End != v.End || !ok || more.End > m.user.End || !m.clearOfStackLocked(more) {
		return false
	}
	if v.object != nil {
		if v.object.AddMapping(m, more, v.offOf(v.End), v.writable()) != nil {
			return false
		}
	}
	v.End = more.End
	m.countLocked(v, more.Len())
	if v.flags&vmLocked != 0 {
		m.populateLocked(more)
	}
	m.mergeLocked(v.AddrRange)
	return true
}

// move makes the mapping again elsewhere and moves the pages.
func (x *remap) move(fixed bool, hint abi.Addr) (abi.Addr, error) {
	m := x.m
	if len(m.vmas)+3 > maxMapCount {
		return 0, abi.ENOMEM
	}
	to := x.to
	if fixed {
		if err := m.munmapLocked(to); err != nil {
			return 0, err
		}
		if x.v = m.findLocked(x.old.Start); x.v == nil {
			return 0, abi.EFAULT
		}
	} else {
		a := abi.Addr(0)
		if r, ok := hint.RoundDown().Range(x.size); x.keep && hint >= m.user.Start && ok &&
			r.End <= m.user.End && m.clearOfStackLocked(r) {
			a = r.Start
		} else if a = m.placeLocked(x.size, false); a == 0 {
			return 0, abi.ENOMEM
		}
		to = abi.AddrRange{Start: a, End: a + abi.Addr(x.size)}
	}
	if cut := x.old.Len(); cut > x.size { // MREMAP_FIXED may shrink
		end := x.old.Start + abi.Addr(x.size)
		if err := m.munmapLocked(abi.AddrRange{Start: end, End: x.old.End}); err != nil {
			return 0, err
		}
		x.old.End = end
		x.v = m.findLocked(x.old.Start)
	}
	if err := x.moveTo(to); err != nil {
		return 0, err
	}
	return to.Start, nil
}

// moveTo moves the pages of x.old to the free range to.
func (x *remap) moveTo(to abi.AddrRange) error {
	m, v := x.m, x.v
	w := *v
	w.AddrRange = to
	if w.object != nil {
		w.off = v.offOf(x.old.Start)
		if err := w.object.AddMapping(m, to, w.off, w.writable()); err != nil {
			return err
		}
	}
	undo := func(err error) error {
		if w.object != nil {
			w.object.RemoveMapping(m, to, w.off, w.writable())
		}
		return err
	}
	if x.old.Len() == 0 { // a second mapping of the same object
		x.insert(&w)
		return nil
	}
	if err := m.ensureForLocked(x.old, to.Start); err != nil {
		return undo(err)
	}
	if err := m.unpatchLocked(x.old); err != nil {
		return undo(err)
	}
	if err := m.as.Unmap(x.old); err != nil {
		return undo(err)
	}
	x.insert(&w)
	var moved []run
	m.pt.runs(x.old, func(u run) { moved = append(moved, u) })
	m.pt.walk(x.old, func(_ abi.Addr, l *leaf, lo, hi int) { clear(l.ptes[lo:hi]) })
	for _, u := range moved {
		m.rss.add(v, u.p, -int64(u.Len()>>abi.PageShift))
		x.put(&w, u, to.Start+(u.Start-x.old.Start))
	}
	if x.keep {
		m.mergeLocked(to)
		return nil
	}
	if err := m.munmapLocked(x.old); err != nil {
		return err
	}
	if w.flags&vmLocked != 0 {
		m.populateLocked(to)
	}
	m.mergeLocked(to)
	return nil
}

func (x *remap) insert(w *vma) {
	if w.file != nil {
		w.file.IncRef()
	}
	x.m.insertLocked(w)
}

// put enters a moved run at address at. If the AddressSpace does not take it now, a
// fault will try again.
func (x *remap) put(w *vma, u run, at abi.Addr) {
	m := x.m
	r := abi.AddrRange{Start: at, End: at + abi.Addr(u.Len())}
	p := u.p & pteFlags &^ pteMapped
	if p&pteHost != 0 {
		return // costs nothing to ask for again
	}
	off := u.p.off()
	if u.p&pteMapped != 0 && m.as.Map(r, m.file.FD(), off, w.asProt(p)) == nil {
		p |= pteMapped
	}
	m.set(w, r, off, p)
}

// ensureForLocked makes leafs at to for the pages that there are in r.
func (m *MM) ensureForLocked(r abi.AddrRange, to abi.Addr) error {
	var need []abi.AddrRange
	m.pt.runs(r, func(u run) {
		if u.p&pteMem != 0 {
			at := to + (u.Start - r.Start)
			need = append(need, abi.AddrRange{Start: at, End: at + abi.Addr(u.Len())})
		}
	})
	for _, n := range need {
		if err := m.ensureLocked(n); err != nil {
			return err
		}
	}
	return nil
}

// pieces returns the vmas of r with the parts of r that they hold, and whether there is
// no hole.
func (m *MM) piecesLocked(r abi.AddrRange) (vs []*vma, whole bool) {
	lo := m.indexLocked(r.Start)
	hi := lo
	for hi < len(m.vmas) && m.vmas[hi].Start < r.End {
		hi++
	}
	return slices.Clone(m.vmas[lo:hi]), m.coveredLocked(r)
}

var _ memfile.Mappable = (*memfile.Shm)(nil)
