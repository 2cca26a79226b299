//go:build amd64

package platformtest

import (
	"encoding/binary"
	"runtime"
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

func testSyscall(t *testing.T) {
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

// Where guests are mapped, and an address where nothing is.
const (
	CodeAddr = codeAddr
	Hole     = hole
)

// NewGuest makes an address space with a program in it, for a platform's own tests, and
// returns it with a context and registers to run it.
func NewGuest(tb testing.TB, code []byte) (platform.AddressSpace, platform.Context, *platform.Regs) {
	tb.Helper()
	g := newGuest(tb, code)
	return g.as, g.ctx, &g.regs
}
