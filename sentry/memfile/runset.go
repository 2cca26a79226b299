package memfile

import "math/bits"

// run is a contiguous range of pages.
type run struct {
	start, n uint64
}

// node is a free run in its runSet: in the two maps and in the list of its size class.
type node struct {
	run
	prev, next *node
}

// classes is the number of size classes: class c holds runs of [2^c, 2^(c+1)) pages.
const classes = 40

// tries bounds the search for a fitting run in the class of the wanted size itself;
// every run of a larger class fits.
const tries = 8

// runSet is a set of free runs. Neighbouring runs are joined when they are added; taking
// is good-fit by size class.
type runSet struct {
	pages   uint64
	byStart map[uint64]*node
	byEnd   map[uint64]*node
	lists   [classes]*node
	nonzero uint64 // bit c: lists[c] is not empty
	spare   *node  // nodes to use again
}

func (s *runSet) init() {
	s.byStart = make(map[uint64]*node)
	s.byEnd = make(map[uint64]*node)
}

func class(n uint64) int { return bits.Len64(n) - 1 }

// add puts n pages from start on into the set.
func (s *runSet) add(start, n uint64) {
	s.pages += n
	if l := s.byEnd[start]; l != nil {
		start, n = l.start, n+l.n
		s.drop(l)
	}
	if r := s.byStart[start+n]; r != nil {
		n += r.n
		s.drop(r)
	}
	s.link(start, n)
}

// take removes n pages at a multiple of align pages from the set.
func (s *runSet) take(n, align uint64, dir Dir) (uint64, bool) {
	c := class(n)
	if align == 1 {
		i := 0
		for d := s.lists[c]; d != nil && i < tries; d, i = d.next, i+1 {
			if d.n >= n {
				if dir == TopDown {
					return s.cut(d, d.start+d.n-n, n), true
				}
				return s.cut(d, d.start, n), true
			}
		}
		c++
	} else {
		c = class(n+align) + 1 // any run of that class has an aligned part
	}
	if c >= classes {
		return 0, false
	}
	above := s.nonzero &^ (1<<c - 1)
	if above == 0 {
		return 0, false
	}
	d := s.lists[bits.TrailingZeros64(above)]
	if dir == TopDown {
		return s.cut(d, (d.start+d.n-n)&^(align-1), n), true
	}
	return s.cut(d, (d.start+align-1)&^(align-1), n), true
}

// takeAt removes n pages from start on if a run starts there and is long enough.
func (s *runSet) takeAt(start, n uint64) (uint64, bool) {
	d := s.byStart[start]
	if d == nil || d.n < n {
		return 0, false
	}
	return s.cut(d, start, n), true
}

// cut takes the n pages from at on out of d.
func (s *runSet) cut(d *node, at, n uint64) uint64 {
	r := d.run
	s.drop(d)
	s.pages -= n
	if at > r.start {
		s.link(r.start, at-r.start)
	}
	if end := r.start + r.n; at+n < end {
		s.link(at+n, end-at-n)
	}
	return at
}

// takeAll empties the set.
func (s *runSet) takeAll() []run {
	out := make([]run, 0, len(s.byStart))
	for _, d := range s.byStart {
		out = append(out, d.run)
	}
	*s = runSet{}
	s.init()
	return out
}

func (s *runSet) link(start, n uint64) {
	d := s.spare
	if d != nil {
		s.spare = d.next
	} else {
		d = new(node)
	}
	c := class(n)
	*d = node{run: run{start, n}, next: s.lists[c]}
	if d.next != nil {
		d.next.prev = d
	}
	s.lists[c] = d
	s.nonzero |= 1 << c
	s.byStart[start] = d
	s.byEnd[start+n] = d
}

func (s *runSet) drop(d *node) {
	c := class(d.n)
	if d.prev != nil {
		d.prev.next = d.next
	} else {
		s.lists[c] = d.next
	}
	if d.next != nil {
		d.next.prev = d.prev
	}
	if s.lists[c] == nil {
		s.nonzero &^= 1 << c
	}
	delete(s.byStart, d.start)
	delete(s.byEnd, d.start+d.n)
	*d = node{next: s.spare}
	s.spare = d
}
