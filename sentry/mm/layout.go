package mm

import (
	"crypto/rand"
	"encoding/binary"

	"lazaret/syscalls/abi"
)

// Layout says where things go in an address space (as arch_pick_mmap_layout in Linux).
type Layout struct {
	StackTop abi.Addr // the end of the main thread's stack
	MmapBase abi.Addr // mappings are placed downwards from here
	PIEBase  abi.Addr // where a position independent program with an interpreter is loaded
	BrkGap   uint64   // bytes between the program's end and the start of the heap, at random
	Random   bool     // addresses are chosen at random
	BottomUp bool     // legacy layout: mappings are placed upwards from a third of the range
}

const (
	stackRandom = 16 << 30
	mmapRandom  = 1 << 40
	brkRandom   = 32 << 20
	minGap      = 128 << 20
)

// newLayout makes the layout of user for a stack of at most stack bytes.
func newLayout(user abi.AddrRange, randomize bool, stack uint64) Layout {
	var r [4]uint64
	span := user.Len()
	if randomize {
		var b [32]byte
		rand.Read(b[:])
		for i := range r {
			r[i] = binary.LittleEndian.Uint64(b[8*i:])
		}
	}
	// Small ranges (39-bit kernels) get what they can afford.
	pick := func(x, most uint64) abi.Addr {
		return abi.Addr(x % min(most, span/8)).RoundDown()
	}
	gap := max(stack, minGap) + 2*guardGap
	gap = min(gap+min(stackRandom, span/8), span/6*5)
	third := user.Start + abi.Addr(span/3).RoundDown()
	l := Layout{
		StackTop: user.End - pick(r[0], stackRandom),
		MmapBase: user.End.RoundDown() - abi.Addr(gap).RoundDown() - pick(r[1], mmapRandom),
		PIEBase:  third + third - user.Start + pick(r[2], mmapRandom),
		BrkGap:   uint64(pick(r[3], brkRandom)),
		Random:   randomize,
	}
	l.StackTop = l.StackTop.RoundDown()
	l.MmapBase = max(l.MmapBase, user.Start+abi.Addr(span/6).RoundDown())
	if stack == Infinity {
		l.BottomUp = true
	}
	return l
}

// SetLayout chooses a new layout for what is mapped from now on: at exec, with the stack
// limit and the personality (ADDR_NO_RANDOMIZE, ADDR_COMPAT_LAYOUT) of the process.
func (m *MM) SetLayout(randomize, legacy bool, stackLimit uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.layout = newLayout(m.user, randomize, stackLimit)
	m.layout.BottomUp = m.layout.BottomUp || legacy
}

// Layout returns the layout.
func (m *MM) Layout() Layout {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.layout
}

// StackTop returns the end of the main thread's stack.
func (m *MM) StackTop() abi.Addr { return m.Layout().StackTop }

// Randomize returns a, moved up by as much as mappings are moved down.
func (m *MM) Randomize(a abi.Addr) abi.Addr {
	if !m.Layout().Random {
		return a
	}
	var b [8]byte
	rand.Read(b[:])
	most := min(mmapRandom, m.user.Len()/8)
	return a + abi.Addr(binary.LittleEndian.Uint64(b[:])%most).RoundDown()
}

// placeLocked finds n free bytes where the layout wants them, or returns 0.
func (m *MM) placeLocked(n uint64, below32 bool) abi.Addr {
	if below32 { // MAP_32BIT: the first 2 GiB, as x86 does it
		return m.lowestBesideLocked(abi.AddrRange{Start: 1 << 30, End: 1 << 31}.Intersect(m.user), n)
	}
	low := abi.AddrRange{Start: m.user.Start, End: m.layout.MmapBase}
	if !m.layout.BottomUp {
		for {
			a := m.highestLocked(low, n)
			if a == 0 {
				break
			}
			t := m.areaOf(abi.AddrRange{Start: a, End: a + abi.Addr(n)})
			if t == nil {
				return a
			}
			low.End = t.Start
		}
	}
	third := m.user.Start + abi.Addr(m.user.Len()/3).RoundDown()
	if a := m.lowestBesideLocked(abi.AddrRange{Start: third, End: m.user.End}, n); a != 0 {
		return a
	}
	return m.lowestBesideLocked(m.user, n)
}

// lowestBesideLocked is lowestLocked that leaves out the trampolines.
func (m *MM) lowestBesideLocked(r abi.AddrRange, n uint64) abi.Addr {
	for r.Start < r.End {
		a := m.lowestLocked(r, n)
		if a == 0 {
			return 0
		}
		t := m.areaOf(abi.AddrRange{Start: a, End: a + abi.Addr(n)})
		if t == nil {
			return a
		}
		r.Start = t.End
	}
	return 0
}

// freeEnd returns where the free room below v ends.
func (v *vma) freeEnd() abi.Addr {
	if v.flags&vmGrowsDown != 0 && v.Start > guardGap {
		return v.Start - guardGap
	}
	return v.Start
}

// highestLocked returns the highest address in r with n free bytes, or 0.
func (m *MM) highestLocked(r abi.AddrRange, n uint64) abi.Addr {
	end := r.End
	for i := m.indexLocked(r.End); i >= 0; i-- {
		if i < len(m.vmas) {
			end = min(end, m.vmas[i].freeEnd())
		}
		start := r.Start
		if i > 0 {
			start = max(start, m.vmas[i-1].End)
		}
		if end > start && uint64(end-start) >= n {
			return end - abi.Addr(n)
		}
		if start == r.Start {
			return 0
		}
	}
	return 0
}

// lowestLocked returns the lowest address in r with n free bytes, or 0.
func (m *MM) lowestLocked(r abi.AddrRange, n uint64) abi.Addr {
	start := r.Start
	for i := m.indexLocked(r.Start); ; i++ {
		end := r.End
		if i < len(m.vmas) {
			end = min(end, m.vmas[i].freeEnd())
		}
		if end > start && uint64(end-start) >= n {
			return start
		}
		if i >= len(m.vmas) || m.vmas[i].Start >= r.End {
			return 0
		}
		start = max(start, m.vmas[i].End)
	}
}

// freeLocked reports whether nothing is mapped in r.
func (m *MM) freeLocked(r abi.AddrRange) bool {
	i := m.indexLocked(r.Start)
	return i == len(m.vmas) || m.vmas[i].Start >= r.End
}

// growStack extends the stack above addr down to addr, if there is one and its limit
// and the guard gap allow that.
func (m *MM) growStack(addr abi.Addr) bool {
	m.lock()
	defer m.unlock()
	i := m.indexLocked(addr)
	if i == len(m.vmas) {
		return false
	}
	v := m.vmas[i]
	if v.Start <= addr {
		return true // another thread has grown it
	}
	start := addr.RoundDown()
	if v.flags&vmGrowsDown == 0 || start < m.user.Start {
		return false
	}
	more := uint64(v.Start - start)
	if uint64(v.End-start) > m.limits.Stack || more > m.limits.AS-min(m.total, m.limits.AS) {
		return false
	}
	if i > 0 {
		below := m.vmas[i-1]
		// A stack part split off by mprotect and memory without access need no gap.
		if below.flags&vmGrowsDown == 0 && below.prot != 0 && uint64(start) < uint64(below.End)+guardGap {
			return false
		}
		if start < below.End {
			return false
		}
	}
	if m.areaOf(abi.AddrRange{Start: start, End: v.Start}) != nil {
		return false
	}
	if v.object != nil {
		return false
	}
	v.Start = start
	m.countLocked(v, more)
	m.mergeLocked(v.AddrRange)
	return true
}
