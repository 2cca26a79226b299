//go:build amd64

package platformtest

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/syscalls/abi"
)

const (
	vsyscallBase = 0xffffffffff600000
	vsyscallStep = 0x400
)

const hole = 0x700000 // never mapped by newGuest

// Guests of a few instructions.
var (
	readHole  = []byte{0x48, 0x8b, 0x04, 0x25, 0, 0, 0x70, 0} // mov rax, [hole]
	writeData = []byte{0x48, 0x89, 0x04, 0x25, 0, 0, 0x60, 0} // mov [dataAddr], rax
	getpid    = []byte{0x0f, 0x05}                            // syscall
	spin      = []byte{0xeb, 0xfe}                            // jmp self
)

func testExceptions(t *testing.T) {
	type regs = platform.Regs
	tests := []struct {
		name string
		code []byte
		set  func(*regs)
		want platform.Event
		rip  uint64
	}{
		{"read unmapped", readHole, nil,
			platform.Event{Kind: platform.EventFault, Signal: 11, Code: 1, Addr: hole, Access: platform.Read, TrapNo: 14, ErrCode: 4}, codeAddr},
		{"jump to unmapped", nil, func(r *regs) { r.Rip = hole },
			platform.Event{Kind: platform.EventFault, Signal: 11, Code: 1, Addr: hole, Access: platform.Exec, TrapNo: 14, ErrCode: 0x14}, hole},
		{"jump to data", nil, func(r *regs) { r.Rip = dataAddr },
			platform.Event{Kind: platform.EventFault, Signal: 11, Code: 2, Addr: dataAddr, Access: platform.Exec, TrapNo: 14, ErrCode: 0x15}, dataAddr},
		{"write to code", []byte{0x48, 0x89, 0x04, 0x25, 0, 0, 0x40, 0}, nil,
			platform.Event{Kind: platform.EventFault, Signal: 11, Code: 2, Addr: codeAddr, Access: platform.Write, TrapNo: 14, ErrCode: 7}, codeAddr},
		{"not canonical", []byte{0x48, 0x8b, 0x00}, func(r *regs) { r.Rax = 1 << 63 },
			platform.Event{Kind: platform.EventException, Signal: 11, Code: 0x80, TrapNo: 13}, codeAddr},
		{"privileged", []byte{0xf4}, nil,
			platform.Event{Kind: platform.EventException, Signal: 11, Code: 0x80, TrapNo: 13}, codeAddr},
		{"int 0x80", []byte{0xcd, 0x80}, func(r *regs) { r.Rax = 20 },
			platform.Event{Kind: platform.EventException, Signal: 11, Code: 0x80, TrapNo: 13}, codeAddr},
		{"illegal", []byte{0x0f, 0x0b}, nil,
			platform.Event{Kind: platform.EventException, Signal: 4, Code: 2, Addr: codeAddr}, codeAddr},
		{"divide by zero", []byte{0xf7, 0xf1}, func(r *regs) { r.Rcx = 0 },
			platform.Event{Kind: platform.EventException, Signal: 8, Code: 1, Addr: codeAddr}, codeAddr},
		{"breakpoint", []byte{0xcc}, nil,
			platform.Event{Kind: platform.EventException, Signal: 5, Code: 0x80}, codeAddr + 1},
		{"single step", []byte{0x90, 0x90}, func(r *regs) { r.Eflags |= 1 << 8 },
			platform.Event{Kind: platform.EventException, Signal: 5, Code: 2, Addr: codeAddr + 1}, codeAddr + 1},
		{"above the user range", nil, func(r *regs) { r.Rip = 1 << 63 },
			platform.Event{Kind: platform.EventException, Signal: 11, Code: 0x80, TrapNo: 13}, 1 << 63},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGuest(t, tt.code)
			if tt.set != nil {
				tt.set(&g.regs)
			}
			ev, err := g.ctx.Switch(g.as, &g.regs)
			if err != nil {
				t.Fatal(err)
			}
			if want := visible(tt.want); ev != want {
				t.Errorf("event %+v, want %+v", ev, want)
			}
			if g.regs.Rip != tt.rip {
				t.Errorf("rip %#x, want %#x", g.regs.Rip, tt.rip)
			}
			if g.regs.OrigRax != ^uint64(0) {
				t.Errorf("orig_rax %#x: looks like a system call", g.regs.OrigRax)
			}
		})
	}
}

// visible is what the platform can know of a fault.
func visible(ev platform.Event) platform.Event {
	const write, fetch = 2, 16
	if !subject.FaultCodes && ev.Kind == platform.EventFault {
		if ev.Access != platform.Exec || ev.Code != 1 {
			ev.Access = 0
		}
		ev.ErrCode &^= write | fetch
	}
	return ev
}

func testBusError(t *testing.T) {
	g := newGuest(t, readHole)
	if err := g.as.Map(pages(hole, 1), g.mem, 16*abi.PageSize, platform.Read); err != nil {
		t.Fatal(err)
	}
	ev := g.run(t, platform.EventFault)
	if ev.Signal != 7 || ev.Code != 2 || ev.Addr != hole {
		t.Errorf("event %+v", ev)
	}
}

// The host may emulate its vsyscall page; applications must not see that.
func testVsyscall(t *testing.T) {
	for i := range uint64(3) {
		g := newGuest(t, getpid)
		g.regs.Rip = vsyscallBase + i*vsyscallStep
		g.regs.Rsp -= 8
		sp := g.regs.Rsp
		var ret [8]byte
		binary.LittleEndian.PutUint64(ret[:], codeAddr)
		if _, err := unix.Pwrite(g.mem, ret[:], 5*abi.PageSize-8); err != nil {
			t.Fatal(err)
		}
		want := abi.Addr(g.regs.Rip)
		ev, err := g.ctx.Switch(g.as, &g.regs)
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind != platform.EventFault || ev.Addr != want || g.regs.IP() != want || g.regs.Rsp != sp {
			t.Errorf("vsyscall %d: event %+v, rip %#x, rsp %#x (was %#x)", i, ev, g.regs.Rip, g.regs.Rsp, sp)
		}
	}
}

// No register values may make the host refuse to run the thread or do something else.
func testHostileRegs(t *testing.T) {
	g := newGuest(t, getpid)
	for _, v := range []uint64{0, 1, 3, 0x10, 0x23, 0x33, 0x7b, 1 << 47, 1 << 63, ^uint64(0)} {
		g.regs = platform.Regs{
			R15: v, R14: v, Rax: v, OrigRax: v, Rcx: v, R11: v, Cs: v, Ss: v, Ds: v, Es: v, Fs: v, Gs: v,
			FsBase: v, GsBase: v, Eflags: v &^ (1 << 8), Rip: codeAddr,
		}
		ev, err := g.ctx.Switch(g.as, &g.regs)
		if err != nil {
			t.Fatalf("%#x: %v", v, err)
		}
		if ev.Kind != platform.EventSyscall || g.regs.Cs != 0x33 || g.regs.R15 != v || g.regs.SyscallNo() != v {
			t.Errorf("%#x: event %+v, regs %+v", v, ev, g.regs)
		}
	}
}

func testSegmentBases(t *testing.T) {
	g := newGuest(t, []byte{
		0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, // mov rax, fs:[0]
		0x65, 0x48, 0x8b, 0x1c, 0x25, 0, 0, 0, 0, // mov rbx, gs:[0]
		0x64, 0x48, 0x89, 0x04, 0x25, 0x10, 0, 0, 0, // mov fs:[16], rax
		0xeb, 0xe3, // jmp start
	})
	for i := range uint64(3) {
		g.regs.Rip = codeAddr
		g.regs.FsBase = dataAddr + 0x100*i
		g.regs.GsBase = hole + i
		ev := g.run(t, platform.EventFault)
		if ev.Addr != hole+abi.Addr(i) {
			t.Errorf("gs base: fault at %#x, want %#x", ev.Addr, hole+i)
		}
		if g.regs.FsBase != dataAddr+0x100*i || g.regs.GsBase != hole+i {
			t.Errorf("bases %#x %#x", g.regs.FsBase, g.regs.GsBase)
		}
	}
}
