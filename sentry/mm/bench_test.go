package mm

import (
	"testing"

	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// nullAS is an address space that costs nothing.
type nullAS struct{}

func (nullAS) Map(abi.AddrRange, int, int64, platform.Access) error { return nil }
func (nullAS) Unmap(abi.AddrRange) error                            { return nil }
func (nullAS) Protect(abi.AddrRange, platform.Access) error         { return nil }
func (nullAS) Fork() (platform.AddressSpace, error)                 { return nullAS{}, nil }
func (nullAS) Release()                                             {}

type nullPlatform struct{ fakePlatform }

func (nullPlatform) NewAddressSpace() (platform.AddressSpace, error) { return nullAS{}, nil }

func benchMM(b *testing.B) (*MM, abi.Addr) {
	m, err := New(nullPlatform{}, newFile(b), new(memfile.Account))
	if err != nil {
		b.Fatal(err)
	}
	for range 40 { // as many mappings as a small dynamic program
		mmap(b, m, MapOpts{Len: 64 << 10, Prot: platform.Read | platform.Exec})
		mmap(b, m, MapOpts{Len: 64 << 10, Prot: rw})
	}
	a := mmap(b, m, MapOpts{Len: 64 << 10, Prot: rw})
	m.CopyOut(a, make([]byte, 64<<10))
	return m, a
}

func BenchmarkCopyIn64(b *testing.B) {
	m, a := benchMM(b)
	var buf [64]byte
	for b.Loop() {
		m.CopyIn(a+100, buf[:])
	}
}

func BenchmarkPin4K(b *testing.B) {
	m, a := benchMM(b)
	var p Pinned
	v := []IOVec{{a, page4k}}
	for b.Loop() {
		m.PinInto(&p, v, true, 1<<30)
		p.Release()
	}
}

func BenchmarkPin64K(b *testing.B) {
	m, a := benchMM(b)
	var p Pinned
	v := []IOVec{{a, 16 * page4k}}
	for b.Loop() {
		m.PinInto(&p, v, true, 1<<30)
		p.Release()
	}
}

func BenchmarkLoadU32(b *testing.B) {
	m, a := benchMM(b)
	for b.Loop() {
		m.LoadU32(a)
	}
}

func BenchmarkMmapMunmap64K(b *testing.B) {
	m, _ := benchMM(b)
	for b.Loop() {
		a, _ := m.MMap(MapOpts{Len: 64 << 10, Prot: rw})
		m.Munmap(a, 64<<10)
	}
}

// BenchmarkFault is the Sentry's part of a fault that finds nothing to allocate around.
func BenchmarkFault(b *testing.B) {
	m, _ := benchMM(b)
	a := mmap(b, m, MapOpts{Len: 1 << 40, Prot: rw, NoReserve: true})
	i := abi.Addr(0)
	for b.Loop() {
		if i == 1<<8 {
			m.Munmap(a, 1<<40)
			mmap(b, m, MapOpts{Addr: a, Len: 1 << 40, Prot: rw, NoReserve: true, Fixed: true})
			i = 0
		}
		if err := m.HandleFault(a+i<<16, 0); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkForkSmall forks a program with 5 MiB of private memory.
func BenchmarkForkSmall(b *testing.B) {
	m, _ := benchMM(b)
	for b.Loop() {
		c, err := m.Fork()
		if err != nil {
			b.Fatal(err)
		}
		c.DecUsers()
	}
}

func BenchmarkFork1G(b *testing.B) {
	m, _ := benchMM(b)
	mmap(b, m, MapOpts{Len: 900 << 20, Prot: rw, Populate: true})
	for b.Loop() {
		c, err := m.Fork()
		if err != nil {
			b.Fatal(err)
		}
		c.DecUsers()
	}
}
