package mm

import "lazaret/syscalls/abi"

// Invalidate implements memfile.Mapper. The Mappable may have noted r before the
// mappings changed, so pages of other objects can be hit: they are asked for again, and
// private copies go only where the vma's object has no page any more.
func (m *MM) Invalidate(r abi.AddrRange, private bool) {
	m.lock()
	defer m.unlock()
	for i := m.indexLocked(r.Start); i < len(m.vmas) && m.vmas[i].Start < r.End; i++ {
		v := m.vmas[i]
		if v.object == nil {
			continue
		}
		part := v.Intersect(r)
		if v.shared() {
			m.zapLocked(v, part)
			continue
		}
		var drop []abi.AddrRange
		m.pt.runs(part, func(u run) {
			if u.p&pteAnon == 0 {
				drop = append(drop, u.AddrRange)
			} else if private {
				drop = append(drop, m.goneLocked(v, u.AddrRange))
			}
		})
		for _, d := range drop {
			if d.Start < d.End {
				m.zapLocked(v, d)
			}
		}
	}
}

// goneLocked returns the end of r that lies past the end of v's object.
func (m *MM) goneLocked(v *vma, r abi.AddrRange) abi.AddrRange {
	for lo, hi := r.Start, r.End; ; {
		if lo == hi {
			return abi.AddrRange{Start: lo, End: r.End}
		}
		mid := (lo + (hi-lo)/2).RoundDown()
		e, err := m.extent(v, mid, abi.PageSize, false)
		switch {
		case err == nil:
			m.putExtent(e)
			lo = mid + abi.PageSize
		case err == abi.EFAULT:
			hi = mid
		default:
			return abi.AddrRange{}
		}
	}
}
