package proto

import (
	"fmt"
	"testing"
)

// TestJoin joins the parts of a long directory, and checks that what it needs for that does
// not grow step by step: such a directory has tens of thousands of names.
func TestJoin(t *testing.T) {
	const each = 1000
	var parts []Listing
	for p := range 3 {
		part := DirList{Next: uint64(p + 1), EOF: p == 2}
		for i := range each {
			e := DirEntry{Ino: uint64(p*each + i), Name: fmt.Sprint("name", p*each+i)}
			if i%2 == 0 {
				e.Attr = &Attr{Ino: e.Ino, Size: e.Ino}
			}
			part.Entries = append(part.Entries, e)
		}
		parts = append(parts, part.Listing())
	}
	l := Join(parts)
	if l.Len() != 3*each || !l.EOF || l.Next != 3 {
		t.Fatalf("%d entries, next %d, end %v", l.Len(), l.Next, l.EOF)
	}
	for i := range l.Len() {
		_, ino := l.Type(i)
		a := l.Attr(i)
		if ino != uint64(i) || l.Name(i) != fmt.Sprint("name", i) || (a != nil) != (i%2 == 0) || a != nil && a.Size != ino {
			t.Fatalf("entry %d: %q, inode %d, %v", i, l.Name(i), ino, a)
		}
	}
	if n := testing.AllocsPerRun(10, func() { Join(parts) }); n > 4 {
		t.Errorf("%v objects for entries, attributes and names", n)
	}
}
