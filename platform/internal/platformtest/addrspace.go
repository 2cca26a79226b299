//go:build amd64

package platformtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/syscalls/abi"
)

func testMapAfterFault(t *testing.T) {
	g := newGuest(t, append(slices.Clone(readHole), getpid...))
	g.run(t, platform.EventFault)
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], 0xfeed)
	if _, err := unix.Pwrite(g.mem, b[:], 8*abi.PageSize); err != nil {
		t.Fatal(err)
	}
	if err := g.as.Map(pages(hole, 2), g.mem, 8*abi.PageSize, platform.Read); err != nil {
		t.Fatal(err)
	}
	g.run(t, platform.EventSyscall)
	if nr := g.regs.SyscallNo(); nr != 0xfeed {
		t.Fatalf("read %#x", nr)
	}
	if err := g.as.Unmap(pages(hole, 1)); err != nil {
		t.Fatal(err)
	}
	g.regs.Rip = codeAddr
	g.run(t, platform.EventFault)
}

// Protect skips holes, changes everything else, and only inside its range.
func testProtect(t *testing.T) {
	g := newGuest(t, append(slices.Clone(writeData), getpid...))
	const n = 13 // every other page
	for i := range abi.Addr(n) {
		if err := g.as.Map(pages(hole+2*i*abi.PageSize, 1), g.mem, 0, platform.Read|platform.Write); err != nil {
			t.Fatal(err)
		}
	}
	whole := abi.AddrRange{Start: dataAddr, End: hole + 2*(n-1)*abi.PageSize}
	for bits, perm := range []string{0: "---s", 1: "r--s", 3: "rw-s", 5: "r-xs"} {
		if perm == "" {
			continue
		}
		if err := g.as.Protect(whole, platform.Access(bits)); err != nil {
			t.Fatal(err)
		}
		perms := readMaps(t, g.as)
		for i := range abi.Addr(n) {
			want := perm
			if i == n-1 {
				want = "rw-s"
			}
			if got := perms[hole+2*i*abi.PageSize]; got != want {
				t.Errorf("page %d: %q, want %q", i, got, want)
			}
		}
	}
	ev := g.run(t, platform.EventFault)
	if ev.Code != 2 || ev.Addr != dataAddr {
		t.Fatalf("event %+v", ev)
	}
	if err := g.as.Protect(whole, platform.Read|platform.Write); err != nil {
		t.Fatal(err)
	}
	g.run(t, platform.EventSyscall)
}

// readMaps returns the permissions of the host's mappings by start address.
func readMaps(t *testing.T, as platform.AddressSpace) map[abi.Addr]string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", subject.StubPID(as)))
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[abi.Addr]string)
	for line := range strings.Lines(string(text)) {
		var start, end uint64
		var perm string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &start, &end, &perm); err != nil {
			t.Fatal(err)
		}
		out[abi.Addr(start)] = perm
	}
	delete(out, vsyscallBase)
	return out
}

// A new stub has nothing of the Sentry but the code page.
func testEmpty(t *testing.T) {
	if subject.Drain != nil {
		subject.Drain(testPlatform(t))
	}
	as, err := testPlatform(t).NewAddressSpace()
	if err != nil {
		t.Fatal(err)
	}
	defer as.Release()
	if got := readMaps(t, as); !maps.Equal(got, wantMaps()) {
		t.Errorf("mappings %v", got)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", subject.StubPID(as)))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"NoNewPrivs:\t1\n", "Seccomp:\t2\n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n",
		"SigIgn:\t" + subject.SigIgn + "\n", "SigBlk:\t" + subject.SigBlk + "\n",
	} {
		if !strings.Contains(string(status), want) {
			t.Errorf("no %q in\n%s", want, status)
		}
	}
}

func testBadRanges(t *testing.T) {
	g := newGuest(t, getpid)
	end := testPlatform(t).UserRange().End
	bad := []abi.AddrRange{
		{Start: 0, End: 4096}, {Start: end, End: end + 4096}, {Start: end - 4096, End: end + 4096},
		{Start: dataAddr, End: dataAddr}, {Start: dataAddr + 1, End: dataAddr + 4096}, {Start: dataAddr + 4096, End: dataAddr},
	}
	for _, r := range bad {
		for name, err := range map[string]error{
			"map": g.as.Map(r, g.mem, 0, platform.Read), "unmap": g.as.Unmap(r), "protect": g.as.Protect(r, 0),
		} {
			if err != abi.EINVAL {
				t.Errorf("%s %#x: %v", name, r, err)
			}
		}
	}
	if err := g.as.Map(pages(hole, 1), 1<<20, 0, platform.Read); err != abi.EBADF {
		t.Errorf("bad descriptor: %v", err)
	}
	ro, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer ro.Close()
	if err := g.as.Map(pages(hole, 1), int(ro.Fd()), 0, platform.Write); err != abi.EACCES {
		t.Errorf("write mapping of a read-only file: %v", err)
	}
	g.run(t, platform.EventSyscall)
}

// Fork copies the mappings; afterwards the two are independent. Both ways of reaching an
// address space are used: the caller's own stub thread, and the leader.
func testFork(t *testing.T) {
	g := newGuest(t, append(slices.Clone(writeData), getpid...))
	for _, ran := range []bool{false, true} {
		if ran {
			g.regs.Rip = codeAddr
			g.run(t, platform.EventSyscall)
		}
		child, err := g.as.Fork()
		if err != nil {
			t.Fatal(err)
		}
		defer child.Release()
		if err := child.Protect(pages(dataAddr, 1), platform.Read); err != nil {
			t.Fatal(err)
		}
		g.regs.Rip, g.regs.Rax = codeAddr, 77
		g.run(t, platform.EventSyscall)
		if v := g.word(t, 0); v != 77 {
			t.Errorf("wrote %d", v)
		}
		c := testPlatform(t).NewContext()
		regs := platform.Regs{Rip: codeAddr}
		ev, err := c.Switch(child, &regs)
		if err != nil || ev.Kind != platform.EventFault || ev.Addr != dataAddr {
			t.Fatalf("child: %+v, %v", ev, err)
		}
		// exec: the context moves.
		regs.Rip = codeAddr
		if ev, err := c.Switch(g.as, &regs); err != nil || ev.Kind != platform.EventSyscall {
			t.Fatalf("moved: %+v, %v", ev, err)
		}
		c.Release()
	}
}

// Contexts of one address space run at the same time, each on its own thread.
func testThreads(t *testing.T) {
	const threads, rounds = 32, 50
	g := newGuest(t, []byte{
		0xf0, 0x48, 0xff, 0x04, 0x25, 0, 0, 0x60, 0, // lock inc [dataAddr]
		0x0f, 0x05, // syscall
		0xeb, 0xf3, // jmp start
	})
	err := parallel(threads, func(i int) error {
		c := testPlatform(t).NewContext()
		defer c.Release()
		regs := platform.Regs{Rip: codeAddr, Rsp: dataAddr}
		for range rounds {
			ev, err := c.Switch(g.as, &regs)
			if err != nil || ev.Kind != platform.EventSyscall {
				return fmt.Errorf("event %+v: %w", ev, err)
			}
			page := pages(abi.Addr(hole+i*abi.PageSize), 1)
			if err := g.as.Map(page, g.mem, 0, platform.Read); err != nil {
				return err
			}
			if err := g.as.Unmap(page); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := g.word(t, 0); n != threads*rounds {
		t.Errorf("counted %d, want %d", n, threads*rounds)
	}
}

// wantMaps are the mappings of an empty stub.
func wantMaps() map[abi.Addr]string {
	want := make(map[abi.Addr]string)
	for a, perm := range subject.StubMaps {
		want[abi.Addr(a)] = perm
	}
	return want
}

// parallel runs n functions, each on its own thread, as tasks are.
func parallel(n int, f func(i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() {
			runtime.LockOSThread()
			errs[i] = f(i)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Many processes at once: none may run before all exist, none ends before all ran.
func testManyAddressSpaces(t *testing.T) {
	const n = 500
	p := testPlatform(t)
	mem := newMem(t, syscallLoop)
	var all sync.WaitGroup
	all.Add(n)
	err := parallel(n, func(i int) error {
		as, err := p.NewAddressSpace()
		if err != nil {
			all.Done()
			return err
		}
		defer as.Release()
		c := p.NewContext()
		defer c.Release()
		err = as.Map(pages(codeAddr, 1), mem, 0, platform.Read|platform.Exec)
		regs := platform.Regs{Rip: codeAddr}
		for range 3 {
			if err == nil {
				_, err = c.Switch(as, &regs)
			}
		}
		all.Done()
		all.Wait()
		if err == nil && regs.Rbx != 3 {
			err = fmt.Errorf("rbx %d", regs.Rbx)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if left := subject.Spaces(p); left > 0 {
		t.Errorf("%d address spaces left", left)
	}
}
