package mm

import (
	"bytes"
	"slices"
	"testing"

	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// patchPlatform patches: a call is "CALL", the jump "JUMP", and a trampoline says whose.
type patchPlatform struct{ fakePlatform }

func (patchPlatform) FindSite(code []byte, end int, addr abi.Addr, nr uint64) (platform.Site, bool) {
	ok := end >= 4 && end <= len(code) && string(code[end-4:end]) == "CALL"
	return platform.Site{Start: addr - 4, End: addr, Over: nr == 1, Len: 2}, ok
}

func (patchPlatform) Link(s platform.Site, tramp abi.Addr) (jump, code []byte, ok bool) {
	return []byte("JUMP"), []byte{byte(s.End), 1, 2, 3}, true
}
func (patchPlatform) Rewind(s platform.Site, off uint64, regs *platform.Regs) { regs.SetIP(s.Start) }
func (patchPlatform) Skip(s platform.Site, regs *platform.Regs)               { regs.SetIP(s.End + 2) }

type fakeBarrier struct{ waits int }

func (b *fakeBarrier) AwaitUserExit(*MM) { b.waits++ }

const patchedAt = abi.Addr(0x10000000)

// newPatched returns an MM with two pages of code of which the first has three calls.
func newPatched(t *testing.T, f *memfile.File) (*MM, *fakeBarrier) {
	t.Helper()
	m, err := New(patchPlatform{}, f, new(memfile.Account))
	if err != nil {
		t.Fatal(err)
	}
	b := new(fakeBarrier)
	m.SetBarrier(b)
	code := bytes.Repeat([]byte("CALL"), 2*page4k/4)
	o := MapOpts{Addr: patchedAt, Len: 2 * page4k, Fixed: true, Prot: platform.Read | platform.Exec, Object: newHostFile(t, code)}
	if _, err := m.MMap(o); err != nil {
		t.Fatal(err)
	}
	for nr := range uint64(3) {
		makeHot(m, patchedAt+16+abi.Addr(16*nr), nr)
	}
	return m, b
}

func regsAt(ip abi.Addr) (r platform.Regs) {
	r.SetIP(ip)
	return r
}

func makeHot(m *MM, end abi.Addr, nr uint64) {
	for range hotCalls {
		m.NoteCall(end, nr)
	}
}

// shown returns what a thread of m would execute at a.
func shown(t *testing.T, m *MM, a abi.Addr) string {
	t.Helper()
	var b [4]byte
	for i := range b {
		b[i] = load(t, m, a+abi.Addr(i))
	}
	return string(b[:])
}

func wantShown(t *testing.T, m *MM, what string, want ...string) {
	t.Helper()
	for i, w := range want {
		if got := shown(t, m, patchedAt+12+abi.Addr(16*i)); got != w {
			t.Errorf("%s: call %d is %q", what, i, got)
		}
	}
	var b [page4k]byte
	if n, err := m.Peek(patchedAt, b[:]); n > 0 && (err != nil || bytes.Contains(b[:], []byte("JUMP"))) {
		t.Errorf("%s: the Sentry sees patches, %v", what, err)
	}
}

// Whatever changes a patched page or its mapping is done to the original.
func TestPatchedPage(t *testing.T) {
	const rx = platform.Read | platform.Exec
	for _, c := range []struct {
		name string
		do   func(m *MM) error
		want string
	}{
		{"mprotect", func(m *MM) error { return m.Mprotect(patchedAt, page4k, platform.Read|platform.Write, GrowsNot) }, "CALL"},
		{"same protection", func(m *MM) error { return m.Mprotect(patchedAt, page4k, rx, GrowsNot) }, "JUMP"},
		{"mprotect of the next page", func(m *MM) error { return m.Mprotect(patchedAt+page4k, page4k, platform.Read, GrowsNot) }, "JUMP"},
		{"madvise", func(m *MM) error { return m.Madvise(patchedAt, page4k, abi.MADV_DONTNEED) }, "CALL"},
		{"poke", func(m *MM) error { _, err := m.Poke(patchedAt+8, []byte("x")); return err }, "CALL"},
		{"poke the next page", func(m *MM) error { _, err := m.Poke(patchedAt+page4k, []byte("x")); return err }, "JUMP"},
		{"invalidate", func(m *MM) error {
			m.Invalidate(abi.AddrRange{Start: patchedAt, End: patchedAt + page4k}, false)
			return nil
		}, "CALL"},
		{"debugger", func(m *MM) error { m.StopPatching(); return nil }, "CALL"},
		{"mremap", func(m *MM) error {
			to := patchedAt + 1<<24
			if _, err := m.Mremap(patchedAt, page4k, page4k, abi.MREMAP_MAYMOVE|abi.MREMAP_FIXED, to); err != nil {
				return err
			}
			_, err := m.Mremap(to, page4k, page4k, abi.MREMAP_MAYMOVE|abi.MREMAP_FIXED, patchedAt)
			return err
		}, "CALL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFile(t)
			m, _ := newPatched(t, f)
			wantShown(t, m, "before", "JUMP", "JUMP", "JUMP")
			if shown(t, m, patchedAt+4) != "CALL" {
				t.Error("more is patched than was hot")
			}
			if err := c.do(m); err != nil {
				t.Fatal(err)
			}
			wantShown(t, m, "after", c.want, c.want, c.want)
			m.DecUsers()
			if n := f.InUse(); n != 0 {
				t.Errorf("%d bytes leaked", n)
			}
		})
	}
}

// A child has its parent's patches, and either can lose its own.
func TestPatchedFork(t *testing.T) {
	f := newFile(t)
	m, _ := newPatched(t, f)
	c, err := m.Fork()
	if err != nil {
		t.Fatal(err)
	}
	makeHot(c, patchedAt+64, 1)
	wantShown(t, c, "child", "JUMP", "JUMP", "JUMP", "JUMP")
	wantShown(t, m, "parent", "JUMP", "JUMP", "JUMP", "CALL")
	if _, err := m.Poke(patchedAt, []byte("x")); err != nil {
		t.Fatal(err)
	}
	wantShown(t, m, "parent", "CALL", "CALL", "CALL")
	wantShown(t, c, "child", "JUMP", "JUMP", "JUMP", "JUMP")
	m.DecUsers()
	wantShown(t, c, "orphan", "JUMP", "JUMP", "JUMP", "JUMP")
	regs := regsAt(patchedAt + 32)
	if !c.SkipPatched(&regs) || regs.IP() != patchedAt+34 {
		t.Errorf("skipped to %#x", regs.IP())
	}
	c.DecUsers()
	if n := f.InUse(); n != 0 {
		t.Errorf("%d bytes leaked", n)
	}
}

// What is writable, shared or not executable is not patched.
func TestNotPatched(t *testing.T) {
	for _, c := range []struct {
		prot   platform.Access
		shared bool
	}{
		{platform.Read | platform.Write | platform.Exec, false},
		{platform.Read | platform.Exec, true},
		{platform.Read, false},
	} {
		m, _ := newPatched(t, newFile(t))
		o := MapOpts{Addr: patchedAt, Len: page4k, Fixed: true, Prot: c.prot, Shared: c.shared}
		o.Object = newHostFile(t, bytes.Repeat([]byte("CALL"), page4k/4))
		if _, err := m.MMap(o); err != nil {
			t.Fatal(err)
		}
		wantShown(t, m, "new mapping", "CALL", "CALL", "CALL")
		makeHot(m, patchedAt+128, 0)
		if got := shown(t, m, patchedAt+124); got != "CALL" {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// Trampolines are in nobody's way: unhinted mappings go elsewhere, and who insists gets
// the place when no thread can be in it any more.
func TestTrampolinesYield(t *testing.T) {
	f := newFile(t)
	m, b := newPatched(t, f)
	area := (*m.patch.areas.Load())[0]
	i := slices.IndexFunc(area.sites[:], func(s *platform.Site) bool { return s != nil && s.End == patchedAt+32 })
	at := area.Start + abi.Addr(i*platform.TrampolineLen)
	if got := load(t, m, at); got != byte((patchedAt+32)&0xff) {
		t.Errorf("trampoline begins with %d", got)
	}
	regs := regsAt(at + 2)
	if !m.RewindPatched(&regs) || regs.IP() != patchedAt+28 {
		t.Errorf("rewound to %#x", regs.IP())
	}
	m.Maps(func(v *VMAInfo) {
		if v.Overlaps(area.AddrRange) {
			t.Errorf("%+v is shown", v)
		}
	})
	o := MapOpts{Addr: area.Start, Len: page4k, Prot: platform.Read | platform.Write}
	if a, err := m.MMap(o); err != nil || area.Contains(a) {
		t.Errorf("mapped at %#x, %v", a, err)
	}
	o.Fixed = true
	if a, err := m.MMap(o); err != nil || a != area.Start || b.waits != 1 {
		t.Errorf("mapped at %#x, %v after %d waits", a, err, b.waits)
	}
	wantShown(t, m, "after", "CALL", "CALL", "CALL")
	regs = regsAt(at)
	if load(t, m, area.Start) != 0 || m.RewindPatched(&regs) {
		t.Error("trampolines are left")
	}
	m.DecUsers()
	if n := f.InUse(); n != 0 {
		t.Errorf("%d bytes leaked", n)
	}
}
