package abi

// PageSize is the page size of the application's address space, in bytes.
const (
	PageShift = 12
	PageSize  = 1 << PageShift
	PageMask  = PageSize - 1
)

// Addr is an address in an application's address space. It is never a Go pointer.
type Addr uint64

// Add returns a+n and false if the sum wraps.
func (a Addr) Add(n uint64) (Addr, bool) {
	s := a + Addr(n)
	return s, s >= a
}

// RoundDown returns a rounded down to a page boundary.
func (a Addr) RoundDown() Addr { return a &^ PageMask }

// RoundUp returns a rounded up to a page boundary and false if that wraps.
func (a Addr) RoundUp() (Addr, bool) {
	r := (a + PageMask) &^ PageMask
	return r, r >= a
}

// PageOffset returns the offset of a within its page.
func (a Addr) PageOffset() uint64 { return uint64(a) & PageMask }

// Range returns [a, a+n) and false if it wraps.
func (a Addr) Range(n uint64) (AddrRange, bool) {
	end, ok := a.Add(n)
	return AddrRange{a, end}, ok
}

// AddrRange is the half-open range [Start, End) of application addresses.
type AddrRange struct{ Start, End Addr }

// Len returns the length in bytes.
func (r AddrRange) Len() uint64 { return uint64(r.End - r.Start) }

// Contains reports whether a lies in r.
func (r AddrRange) Contains(a Addr) bool { return r.Start <= a && a < r.End }

// Overlaps reports whether the two ranges share an address.
func (r AddrRange) Overlaps(o AddrRange) bool { return r.Start < o.End && o.Start < r.End }

// Intersect returns the shared part, empty (Start >= End) when there is none.
func (r AddrRange) Intersect(o AddrRange) AddrRange {
	return AddrRange{max(r.Start, o.Start), min(r.End, o.End)}
}
