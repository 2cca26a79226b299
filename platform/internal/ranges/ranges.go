package ranges

import (
	"slices"

	"lazaret/syscalls/abi"
)

// Set is a sorted set of address ranges that neither overlap nor touch. mprotect(2)
// stops at the first hole, so an address space has to know where its holes are.
type Set []abi.AddrRange

// first returns the index of the first range that ends at or after a.
func (s Set) first(a abi.Addr) int {
	i, _ := slices.BinarySearchFunc(s, a, func(r abi.AddrRange, a abi.Addr) int {
		if r.End < a {
			return -1
		}
		return 1
	})
	return i
}

// Add puts r into the set.
func (s *Set) Add(r abi.AddrRange) {
	i := s.first(r.Start)
	j := i
	for j < len(*s) && (*s)[j].Start <= r.End {
		r.Start = min(r.Start, (*s)[j].Start)
		r.End = max(r.End, (*s)[j].End)
		j++
	}
	*s = slices.Replace(*s, i, j, r)
}

// Remove takes r out of the set.
func (s *Set) Remove(r abi.AddrRange) {
	i := s.first(r.Start)
	if i < len(*s) && (*s)[i].End == r.Start {
		i++
	}
	var rest []abi.AddrRange
	j := i
	for j < len(*s) && (*s)[j].Start < r.End {
		if o := (*s)[j]; o.Start < r.Start {
			rest = append(rest, abi.AddrRange{Start: o.Start, End: r.Start})
		}
		if o := (*s)[j]; o.End > r.End {
			rest = append(rest, abi.AddrRange{Start: r.End, End: o.End})
		}
		j++
	}
	*s = slices.Replace(*s, i, j, rest...)
}

// Within returns the parts of r that are in the set.
func (s Set) Within(r abi.AddrRange) []abi.AddrRange {
	var out []abi.AddrRange
	for i := s.first(r.Start); i < len(s) && s[i].Start < r.End; i++ {
		if p := s[i].Intersect(r); p.Start < p.End {
			out = append(out, p)
		}
	}
	return out
}
