package ranges

import (
	"math/rand"
	"testing"

	"lazaret/syscalls/abi"
)

// TestRanges compares the set with a plain bitmap under random changes.
func TestRanges(t *testing.T) {
	const pages = 64
	rnd := rand.New(rand.NewSource(1))
	var s Set
	var model [pages]bool
	for step := range 20000 {
		r := abi.AddrRange{Start: abi.Addr(rnd.Intn(pages))}
		r.End = r.Start + 1 + abi.Addr(rnd.Intn(pages-int(r.Start)))
		if rnd.Intn(2) == 0 {
			r.End = min(r.End, r.Start+4)
		}
		add := rnd.Intn(2) == 0
		for i := r.Start; i < r.End; i++ {
			model[i] = add
		}
		if add {
			s.Add(r)
		} else {
			s.Remove(r)
		}
		for i := 1; i < len(s); i++ {
			if s[i].Start <= s[i-1].End {
				t.Fatalf("step %d: ranges touch: %v", step, s)
			}
		}
		q := abi.AddrRange{Start: r.Start / 2, End: r.End}
		var got [pages]bool
		for _, p := range s.Within(q) {
			if p.Start >= p.End || p.Start < q.Start || p.End > q.End {
				t.Fatalf("step %d: %v not within %v", step, p, q)
			}
			for i := p.Start; i < p.End; i++ {
				got[i] = true
			}
		}
		for i := q.Start; i < q.End; i++ {
			if got[i] != model[i] {
				t.Fatalf("step %d: page %d: %v, want %v; %v", step, i, got[i], model[i], s)
			}
		}
	}
}
