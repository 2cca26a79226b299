package mm

import (
	"bytes"
	"testing"

	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

const rw = platform.Read | platform.Write

func mmap(t testing.TB, m *MM, o MapOpts) abi.Addr {
	t.Helper()
	a, err := m.MMap(o)
	if err != nil {
		t.Fatalf("mmap: %v", err)
	}
	return a
}

func TestAnonymous(t *testing.T) {
	f, acct := newFile(t), new(memfile.Account)
	m := newTestMM(t, f, acct)
	for _, size := range []uint64{1, 64 << 10, 8 << 20} {
		a := mmap(t, m, MapOpts{Len: size, Prot: rw})
		if load(t, m, a) != 0 {
			t.Fatal("not zero")
		}
		store(t, m, a+abi.Addr(size)-1, 7)
		var b [1]byte
		if err := m.CopyIn(a+abi.Addr(size)-1, b[:]); err != nil || b[0] != 7 {
			t.Fatalf("CopyIn: %v %v", err, b)
		}
		if err := m.CopyOut(a, []byte{9}); err != nil || load(t, m, a) != 9 {
			t.Fatalf("CopyOut: %v", err)
		}
		if err := m.Munmap(a, size); err != nil {
			t.Fatal(err)
		}
		if err := access(m, a, platform.Read, b[:], false); err == nil {
			t.Fatal("mapped after munmap")
		}
	}
	m.DecUsers()
	if acct.Used() != 0 || f.InUse() != 0 {
		t.Fatalf("left: %d bytes charged, %d in use", acct.Used(), f.InUse())
	}
}

func TestForkCOW(t *testing.T) {
	f, acct := newFile(t), new(memfile.Account)
	m := newTestMM(t, f, acct)
	a := mmap(t, m, MapOpts{Len: 1 << 20, Prot: rw})
	s := mmap(t, m, MapOpts{Len: 1 << 20, Prot: rw, Shared: true})
	store(t, m, a, 1)
	store(t, m, s, 1)
	store(t, m, a+9*page4k, 1)
	c, err := m.Fork()
	if err != nil {
		t.Fatal(err)
	}
	store(t, m, a, 2)
	store(t, m, s, 2)
	if got := load(t, c, a); got != 1 {
		t.Fatalf("child sees the parent's write: %d", got)
	}
	if got := load(t, c, s); got != 2 {
		t.Fatalf("child does not see the shared write: %d", got)
	}
	store(t, c, a+5, 3)
	if got := load(t, m, a+5); got != 0 {
		t.Fatalf("parent sees the child's write: %d", got)
	}
	c.DecUsers()
	maps := m.as.(*fakeAS).maps
	store(t, m, a+9*page4k, 1)
	if m.as.(*fakeAS).maps != maps {
		t.Fatal("page copied though nobody shares it")
	}
	m.DecUsers()
	if acct.Used() != 0 || f.InUse() != 0 {
		t.Fatalf("left: %d bytes charged, %d in use", acct.Used(), f.InUse())
	}
}

func TestPrivateFile(t *testing.T) {
	f, acct := newFile(t), new(memfile.Account)
	m := newTestMM(t, f, acct)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1024) // 4 pages
	data = append(data, "tail"...)
	h := newHostFile(t, data)
	ro := mmap(t, m, MapOpts{Len: 6 * page4k, Prot: platform.Read, Object: h})
	priv := mmap(t, m, MapOpts{Len: 6 * page4k, Prot: rw, Object: h})
	if acct.Used() > 4*leafCharge {
		t.Fatalf("%d bytes charged for nothing", acct.Used())
	}
	if c := load(t, m, ro+page4k+1); c != '1' {
		t.Fatalf("got %c", c)
	}
	store(t, m, priv+3, 'X')
	store(t, m, priv+4*page4k, 'Y')
	got := make([]byte, len(data))
	if err := m.CopyIn(ro, got); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("file changed: %v", err)
	}
	if err := m.CopyIn(priv, got); err != nil || got[3] != 'X' || got[4] != '4' || string(got[4*page4k:]) != "Yail" {
		t.Fatalf("private: %v %q", err, got[:8])
	}
	var b [1]byte
	err := access(m, ro+5*page4k, platform.Read, b[:], false)
	if e, ok := err.(*Fault); !ok || e.Signal != abi.SIGBUS {
		t.Fatalf("past the end: %v", err)
	}
	if err := m.CopyIn(ro+5*page4k, b[:]); err != abi.EFAULT {
		t.Fatalf("CopyIn past the end: %v", err)
	}
	err = access(m, ro, platform.Write, b[:], false)
	if e, ok := err.(*Fault); !ok || e.Signal != abi.SIGSEGV || e.Code != abi.SEGV_ACCERR {
		t.Fatalf("write to read-only: %v", err)
	}
	m.DecUsers()
	if acct.Used() != 0 || f.InUse() != 0 {
		t.Fatalf("left: %d bytes charged, %d in use", acct.Used(), f.InUse())
	}
}

func TestPin(t *testing.T) {
	f, acct := newFile(t), new(memfile.Account)
	m := newTestMM(t, f, acct)
	a := mmap(t, m, MapOpts{Len: 3 * page4k, Prot: rw})
	p, err := m.Pin([]IOVec{{a + 100, 2 * page4k}, {a + 3*page4k - 4, 8}}, true, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if n := p.Bufs.Len(); n != 2*page4k+4 {
		t.Fatalf("pinned %d bytes", n)
	}
	p.Bufs.CopyFrom(bytes.Repeat([]byte{5}, 2*page4k))
	if err := m.Munmap(a, 3*page4k); err != nil {
		t.Fatal(err)
	}
	p.Bufs.CopyFrom([]byte("still there"))
	p.Release()
	if _, err := m.Pin([]IOVec{{a, 1}}, false, 1); err != abi.EFAULT {
		t.Fatalf("pin of nothing: %v", err)
	}
	m.DecUsers()
	if acct.Used() != 0 || f.InUse() != 0 {
		t.Fatalf("left: %d bytes charged, %d in use", acct.Used(), f.InUse())
	}
}
