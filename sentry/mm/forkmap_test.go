package mm

import (
	"bytes"
	"maps"
	"testing"

	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// A child whose AddressSpace is made from nothing has the same pages in it as one whose
// is a copy.
func TestForkFresh(t *testing.T) {
	f := newFile(t)
	m, _ := newPatched(t, f)
	h := newHostFile(t, bytes.Repeat([]byte("0123456789abcdef"), 1024))
	mmap(t, m, MapOpts{Len: 4 * page4k, Prot: platform.Read, Object: h})
	priv := mmap(t, m, MapOpts{Len: 4 * page4k, Prot: rw, Object: h})
	store(t, m, priv+page4k, 'x')
	store(t, m, mmap(t, m, MapOpts{Len: 1 << 20, Prot: rw}), 1)
	store(t, m, mmap(t, m, MapOpts{Len: 1 << 20, Prot: rw, Shared: true}), 1)
	mmap(t, m, MapOpts{Len: 2 * page4k, Prot: rw, Shared: true, Object: h})
	kinds := make(map[bool]map[abi.Addr]fakePage)
	for range 2 {
		made := keepers.Load()%2 == 0
		c, err := m.Fork()
		if err != nil {
			t.Fatal(err)
		}
		kinds[made] = maps.Clone(c.as.(*fakeAS).pages)
		c.DecUsers()
	}
	if len(kinds) != 2 || len(kinds[true]) < 8 || !maps.Equal(kinds[true], kinds[false]) {
		t.Errorf("made: %v\ncopied: %v", kinds[true], kinds[false])
	}
	m.DecUsers()
	if n := f.InUse(); n != 0 {
		t.Errorf("%d bytes leaked", n)
	}
}

// Pages that a process, or its child, writes to after each fork are copied by the fork;
// after a while they have to prove that they are still written.
func TestForkHot(t *testing.T) {
	f, acct := newFile(t), new(memfile.Account)
	m := newTestMM(t, f, acct)
	a := mmap(t, m, MapOpts{Len: 64 * page4k, Prot: rw})
	ours, both, theirs, cold := a, a+16*page4k, a+32*page4k, a+48*page4k
	for _, p := range []abi.Addr{ours, both, theirs, cold} {
		store(t, m, p, 1)
	}
	writable := func(m *MM, p abi.Addr) bool {
		g := m.as.(*fakeAS).pages[p]
		return g.prot&platform.Write != 0
	}
	for round := byte(2); round < 12; round++ {
		c, err := m.Fork()
		if err != nil {
			t.Fatal(err)
		}
		if round > 3 && (!writable(m, ours) || !writable(m, both) || !writable(c, both) || !writable(c, theirs)) {
			t.Errorf("round %d: a page that is always written is not writable", round)
		}
		if writable(m, cold) || writable(c, cold) || round > 3 && c.Copied() != 3 {
			t.Errorf("round %d: %d pages copied, one that is never written writable", round, c.Copied())
		}
		store(t, m, ours, round)
		store(t, m, both, round)
		for _, p := range []abi.Addr{both, theirs} {
			if got := load(t, c, p); got != 1 && got != round-1 {
				t.Errorf("round %d: child has %d", round, got)
			}
			store(t, c, p, round+100)
		}
		if load(t, m, both) != round || load(t, m, theirs) != 1 || load(t, c, ours) >= round {
			t.Errorf("round %d: a write is seen by the other side", round)
		}
		c.DecUsers()
	}
	for range hotUses + 1 {
		c, err := m.Fork()
		if err != nil {
			t.Fatal(err)
		}
		c.DecUsers()
	}
	if writable(m, both) {
		t.Error("a page that is written no more is copied for ever")
	}
	m.DecUsers()
	if acct.Used() != 0 || f.InUse() != 0 {
		t.Fatalf("left: %d bytes charged, %d in use", acct.Used(), f.InUse())
	}
}
