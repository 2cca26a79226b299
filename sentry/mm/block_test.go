package mm

import (
	"bytes"
	"testing"

	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// A program that writes here and there to a large mapping faults less and less often, and
// one that writes once gets little.
func TestBlocks(t *testing.T) {
	const pages = 320
	for _, c := range []struct {
		name  string
		bytes []byte
	}{
		{"anonymous", nil},
		{"file", bytes.Repeat([]byte{7}, pages*page4k)},
	} {
		acct := new(memfile.Account)
		m := newTestMM(t, newFile(t), acct)
		o := MapOpts{Len: pages * page4k, Prot: rw}
		if c.bytes != nil {
			o.Object = newHostFile(t, c.bytes)
		}
		a := mmap(t, m, o)
		as := m.as.(*fakeAS)
		store(t, m, a+100*page4k, 1)
		if n := acct.Used(); n > 16*page4k+2*leafCharge {
			t.Errorf("%s: %d bytes for one page", c.name, n)
		}
		before := as.maps
		for i := range pages {
			at := a + abi.Addr(i*7%pages)*page4k
			if !as.try(at, platform.Write, []byte{1}) {
				store(t, m, at, 1)
			}
		}
		if n := as.maps - before; n > 12 {
			t.Errorf("%s: %d maps for %d pages", c.name, n, pages)
		}
		for i := range pages {
			if got := load(t, m, a+abi.Addr(i)*page4k+1); c.bytes != nil && got != 7 || c.bytes == nil && got != 0 {
				t.Fatalf("%s: page %d has %d", c.name, i, got)
			}
		}
		m.DecUsers()
	}
}
