package mm

import (
	"bytes"
	"testing"

	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// batchPlatform has AddressSpaces that count their batches.
type batchPlatform struct{ fakePlatform }

type batchAS struct {
	*fakeAS
	batches int
	fail    error
}

func (batchPlatform) NewAddressSpace() (platform.AddressSpace, error) {
	return &batchAS{fakeAS: &fakeAS{pages: make(map[abi.Addr]fakePage)}}, nil
}

func (a *batchAS) Do(ops []platform.Op) error {
	a.batches++
	if a.fail != nil {
		return a.fail
	}
	return platform.Do(a.fakeAS, ops)
}

// onceMapped is a host file that can be told when it is not mapped any more.
type onceMapped struct {
	*hostFile
	removed func()
}

func (o *onceMapped) RemoveMapping(memfile.Mapper, abi.AddrRange, uint64, bool) { o.removed() }

// What is mapped while a program is loaded is there at the end, in one go; what a file's
// mapping has collected is done before the file learns that it is not mapped any more.
func TestLoading(t *testing.T) {
	f := newFile(t)
	m, err := New(batchPlatform{}, f, new(memfile.Account))
	if err != nil {
		t.Fatal(err)
	}
	as := m.as.(*batchAS)
	m.BeginLoad()
	h := newHostFile(t, bytes.Repeat([]byte("x"), 4*page4k))
	o := &onceMapped{hostFile: h}
	a := mmap(t, m, MapOpts{Len: 4 * page4k, Prot: platform.Read, Object: h})
	b := mmap(t, m, MapOpts{Len: 4 * page4k, Prot: rw})
	if err := m.CopyOut(b, []byte("arguments")); err != nil || as.batches+as.maps != 0 {
		t.Errorf("%v; %d batches and %d maps before the end", err, as.batches, as.maps)
	}
	c := mmap(t, m, MapOpts{Len: page4k, Prot: platform.Read, Object: o})
	o.removed = func() {
		if as.batches != 1 {
			t.Errorf("%d batches when the file is let go", as.batches)
		}
	}
	if err := m.Munmap(c, page4k); err != nil {
		t.Error(err)
	}
	if as.try(c, platform.Read, make([]byte, 1)) {
		t.Error("mapped after munmap")
	}
	d := mmap(t, m, MapOpts{Len: page4k, Prot: rw})
	if err := m.EndLoad(); err != nil || as.batches != 2 || m.AS() != platform.AddressSpace(as) {
		t.Errorf("%v, %d batches, %T", err, as.batches, m.AS())
	}
	for _, at := range []abi.Addr{a, b, d} {
		if !as.try(at, platform.Read, make([]byte, 1)) {
			t.Errorf("%#x is not mapped", uint64(at))
		}
	}
	m.BeginLoad()
	mmap(t, m, MapOpts{Len: page4k, Prot: rw})
	as.fail = abi.ENOMEM
	if err := m.EndLoad(); err != error(abi.ENOMEM) {
		t.Errorf("failure: %v", err)
	}
	m.DecUsers()
	if n := f.InUse(); n != 0 {
		t.Errorf("%d bytes leaked", n)
	}
}
