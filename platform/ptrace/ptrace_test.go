//go:build amd64

package ptrace

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// Where guests are mapped.
const (
	codeAddr = 0x400000
	dataAddr = 0x600000
)

var (
	shared     platform.Platform
	sharedOnce sync.Once
	errShared  error
)

func testPlatform(tb testing.TB) platform.Platform {
	tb.Helper()
	sharedOnce.Do(func() { shared, errShared = New() })
	if errShared != nil {
		tb.Fatal(errShared)
	}
	return shared
}

func TestMain(m *testing.M) {
	switch os.Getenv(victimEnv) {
	case "":
	case "confined":
		if err := confined(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ok")
		os.Exit(0)
	default:
		victim()
	}
	code := m.Run()
	if shared != nil {
		shared.Close()
	}
	os.Exit(code)
}

// guest is a program in its own address space.
type guest struct {
	as   platform.AddressSpace
	ctx  platform.Context
	regs platform.Regs
	mem  int // memfd: first page code, then data
}

func newMem(tb testing.TB, code []byte) int {
	tb.Helper()
	fd, err := unix.MemfdCreate("guest", unix.MFD_CLOEXEC)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { unix.Close(fd) })
	if err := unix.Ftruncate(fd, 16*abi.PageSize); err != nil {
		tb.Fatal(err)
	}
	if _, err := unix.Pwrite(fd, code, 0); err != nil {
		tb.Fatal(err)
	}
	return fd
}

func pages(a abi.Addr, n uint64) abi.AddrRange {
	return abi.AddrRange{Start: a, End: a + abi.Addr(n*abi.PageSize)}
}

// newGuest maps code, and four pages of data. The test is locked to its thread.
func newGuest(tb testing.TB, code []byte) *guest {
	tb.Helper()
	runtime.LockOSThread()
	tb.Cleanup(runtime.UnlockOSThread)
	p := testPlatform(tb)
	as, err := p.NewAddressSpace()
	if err != nil {
		tb.Fatal(err)
	}
	g := &guest{as: as, ctx: p.NewContext(), mem: newMem(tb, code)}
	tb.Cleanup(func() {
		g.ctx.Release()
		g.as.Release()
	})
	if err := as.Map(pages(codeAddr, 1), g.mem, 0, platform.Read|platform.Exec); err != nil {
		tb.Fatal(err)
	}
	if err := as.Map(pages(dataAddr, 4), g.mem, abi.PageSize, platform.Read|platform.Write); err != nil {
		tb.Fatal(err)
	}
	g.regs.Rip = codeAddr
	g.regs.Rsp = dataAddr + 4*abi.PageSize
	return g
}

func (g *guest) word(tb testing.TB, off int64) uint64 {
	tb.Helper()
	var b [8]byte
	if _, err := unix.Pread(g.mem, b[:], abi.PageSize+off); err != nil {
		tb.Fatal(err)
	}
	return binary.LittleEndian.Uint64(b[:])
}

// run switches once and checks the kind of event.
func (g *guest) run(tb testing.TB, want platform.EventKind) platform.Event {
	tb.Helper()
	ev, err := g.ctx.Switch(g.as, &g.regs)
	if err != nil {
		tb.Fatal(err)
	}
	if ev.Kind != want {
		tb.Fatalf("event %+v, want kind %d; rip %#x", ev, want, g.regs.Rip)
	}
	return ev
}

// syscallLoop counts in rbx and makes system call 39 again and again.
var syscallLoop = []byte{
	0x48, 0xff, 0xc3, // inc rbx
	0xb8, 0x27, 0, 0, 0, // mov eax, 39
	0x0f, 0x05, // syscall
	0xeb, 0xf4, // jmp start
}

func TestSyscall(t *testing.T) {
	g := newGuest(t, syscallLoop)
	g.regs.Rdi, g.regs.Rsi, g.regs.Rdx, g.regs.R10, g.regs.R8, g.regs.R9 = 1, 2, 3, 4, 5, 6
	for i := range uint64(100) {
		g.run(t, platform.EventSyscall)
		if nr := g.regs.SyscallNo(); nr != 39 {
			t.Fatalf("number %d", nr)
		}
		if a := g.regs.SyscallArgs(); a != [6]uint64{1, 2, 3, 4, 5, 6} {
			t.Fatalf("arguments %v", a)
		}
		if g.regs.IP() != codeAddr+10 || g.regs.Rbx != i+1 {
			t.Fatalf("rip %#x, rbx %d in round %d", g.regs.Rip, g.regs.Rbx, i)
		}
		g.regs.SetReturn(^uint64(0) - 511) // -ERESTARTSYS: the host must not restart it
	}
}

func BenchmarkSyscall(b *testing.B) {
	g := newGuest(b, syscallLoop)
	for range b.N {
		if ev, err := g.ctx.Switch(g.as, &g.regs); err != nil || ev.Kind != platform.EventSyscall {
			b.Fatal(ev, err)
		}
	}
}

func BenchmarkMap(b *testing.B) {
	g := newGuest(b, syscallLoop)
	g.run(b, platform.EventSyscall)
	b.ResetTimer()
	for range b.N {
		if err := g.as.Map(pages(dataAddr, 1), g.mem, 0, platform.Read); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFork(b *testing.B) {
	g := newGuest(b, syscallLoop)
	g.run(b, platform.EventSyscall)
	b.ResetTimer()
	for range b.N {
		as, err := g.as.Fork()
		if err != nil {
			b.Fatal(err)
		}
		as.Release()
	}
}

func BenchmarkNewThread(b *testing.B) {
	g := newGuest(b, syscallLoop)
	b.ResetTimer()
	for range b.N {
		c := shared.NewContext()
		r := g.regs
		if ev, err := c.Switch(g.as, &r); err != nil || ev.Kind != platform.EventSyscall {
			b.Fatal(ev, err)
		}
		c.Release()
	}
}

// BenchmarkProcess is what a process costs the host: fork, run, end.
func BenchmarkProcess(b *testing.B) {
	g := newGuest(b, syscallLoop)
	g.run(b, platform.EventSyscall)
	b.ResetTimer()
	for range b.N {
		as, err := g.as.Fork()
		if err != nil {
			b.Fatal(err)
		}
		err = parallel(1, func(int) error {
			c := shared.NewContext()
			defer c.Release()
			r := g.regs
			_, err := c.Switch(as, &r)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		as.Release()
	}
}

// BenchmarkSyscallPair runs two busy contexts, one for each processor of a small machine.
func BenchmarkSyscallPair(b *testing.B) {
	g := newGuest(b, syscallLoop)
	err := parallel(2, func(int) error {
		c := shared.NewContext()
		defer c.Release()
		regs := g.regs
		for range b.N {
			if _, err := c.Switch(g.as, &regs); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
