package tmpfs

import (
	"strconv"
	"testing"
)

// TestShrink: a directory gives back the memory of names that were removed, and keeps the
// places of those that were not.
func TestShrink(t *testing.T) {
	d := &dir{entries: map[string]*entry{}}
	const many = 10000
	for i := range many {
		d.addLocked(strconv.Itoa(i), &file{})
	}
	for i := range many {
		if i%1000 != 7 {
			d.removeLocked(strconv.Itoa(i))
		}
	}
	if n := cap(d.order); n > 64 {
		t.Errorf("room for %d names", n)
	}
	left := 0
	for _, e := range d.order {
		if e.inode == nil {
			continue
		}
		if want := strconv.Itoa(left*1000 + 7); e.name != want || e.pos != int64(left*1000+7+1+firstPos) || d.entries[e.name] != e {
			t.Errorf("%s at %d, want %s", e.name, e.pos, want)
		}
		left++
	}
	if left != many/1000 || len(d.entries) != left {
		t.Errorf("%d names, %d found", left, len(d.entries))
	}
}
