//go:build amd64

package platformtest

import (
	"bytes"
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"lazaret/platform"
	"lazaret/platform/internal/machine"
	"lazaret/syscalls/abi"
)

func testInterruptSpinning(t *testing.T) {
	g := newGuest(t, spin)
	for range 20 {
		go func() {
			time.Sleep(500 * time.Microsecond)
			g.ctx.Interrupt()
		}()
		g.run(t, platform.EventInterrupt)
		if g.regs.Rip != codeAddr {
			t.Fatalf("rip %#x", g.regs.Rip)
		}
	}
}

// A request made while nothing runs stops the next Switch, once.
func testInterruptBefore(t *testing.T) {
	g := newGuest(t, syscallLoop)
	g.ctx.Interrupt()
	g.run(t, platform.EventInterrupt)
	g.run(t, platform.EventSyscall)
	g.ctx.Interrupt()
	g.ctx.Interrupt()
	before := g.regs
	g.run(t, platform.EventInterrupt)
	if g.regs.Rip != before.Rip {
		t.Errorf("rip %#x, was %#x", g.regs.Rip, before.Rip)
	}
	g.run(t, platform.EventSyscall)
}

// No request is lost, and none disturbs what the guest computes.
func testInterruptRace(t *testing.T) {
	g := newGuest(t, syscallLoop)
	var stop atomic.Bool
	var sent, got atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			before := got.Load()
			sent.Add(1)
			g.ctx.Interrupt()
			for got.Load() == before && !stop.Load() {
				time.Sleep(10 * time.Microsecond)
			}
		}
	}()
	calls := uint64(0)
	for calls < 10000 || got.Load() < 5 {
		ev, err := g.ctx.Switch(g.as, &g.regs)
		if err != nil {
			t.Fatal(err)
		}
		switch ev.Kind {
		case platform.EventInterrupt:
			got.Add(1)
		case platform.EventSyscall:
			calls++
			if err := g.as.Map(pages(hole, 1), g.mem, 0, platform.Read); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("event %+v", ev)
		}
	}
	stop.Store(true)
	<-done
	if g.regs.Rbx != calls && g.regs.Rbx != calls+1 {
		t.Errorf("guest counted %d, seen %d", g.regs.Rbx, calls)
	}
	if s, r := sent.Load(), got.Load(); r > s || r < s-1 {
		t.Errorf("sent %d, got %d", s, r)
	}
}

// fpGuest puts rbx into xmm0, traps, then loads rbx from xmm0 and traps.
var fpGuest = []byte{
	0x66, 0x48, 0x0f, 0x6e, 0xc3, // movq xmm0, rbx
	0x0f, 0x05, // syscall
	0x66, 0x48, 0x0f, 0x7e, 0xc3, // movq rbx, xmm0
	0x0f, 0x05, // syscall
}

func testFPStateInherited(t *testing.T) {
	g := newGuest(t, fpGuest)
	g.regs.Rbx = 0x1122334455667788
	g.run(t, platform.EventSyscall)
	fp, err := g.ctx.FPState()
	if err != nil {
		t.Fatal(err)
	}
	child := testPlatform(t).NewContext()
	if err := child.SetFPState(fp); err != nil {
		t.Fatal(err)
	}
	if again, err := child.FPState(); err != nil || !bytes.Equal(again, fp) {
		t.Errorf("pending state differs: %v", err)
	}
	regs := g.regs
	regs.Rbx = 0
	as, err := g.as.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer as.Release()
	if _, err := child.Switch(as, &regs); err != nil {
		t.Fatal(err)
	}
	if regs.Rbx != 0x1122334455667788 {
		t.Errorf("child: xmm0 %#x", regs.Rbx)
	}
	// exec: the state moves with the context unless it is reset.
	regs.Rbx, regs.Rip = 0, codeAddr+7
	if _, err := child.Switch(g.as, &regs); err != nil {
		t.Fatal(err)
	}
	if regs.Rbx != 0x1122334455667788 {
		t.Errorf("moved: xmm0 %#x", regs.Rbx)
	}
	if err := child.SetFPState(nil); err != nil {
		t.Fatal(err)
	}
	regs.Rip = codeAddr + 7
	if _, err := child.Switch(g.as, &regs); err != nil {
		t.Fatal(err)
	}
	if regs.Rbx != 0 {
		t.Errorf("reset: xmm0 %#x", regs.Rbx)
	}
	child.Release()
	g.regs.Rbx = 0
	g.run(t, platform.EventSyscall)
	if g.regs.Rbx != 0x1122334455667788 {
		t.Errorf("parent: xmm0 %#x", g.regs.Rbx)
	}
}

// Every vector component survives a run of the guest, also where it is large (AVX-512).
func testFPStateComponents(t *testing.T) {
	g := newGuest(t, getpid)
	g.run(t, platform.EventSyscall)
	fp, err := g.ctx.FPState()
	if err != nil {
		t.Fatal(err)
	}
	bv := binary.LittleEndian.Uint64(fp[512:]) | 3
	fill := func(b []byte) {
		for i := range b {
			b[i] = byte(i*7 + 1)
		}
	}
	fill(fp[160:416]) // XMM
	for _, n := range []uint32{2, 5, 6, 7} {
		if binary.LittleEndian.Uint64(fp[464:])&(1<<n) == 0 {
			continue
		}
		size, off := machine.XsaveComponent(n)
		fill(fp[off : off+size])
		bv |= 1 << n
	}
	binary.LittleEndian.PutUint64(fp[512:], bv)
	if err := g.ctx.SetFPState(fp); err != nil {
		t.Fatal(err)
	}
	g.regs.Rip = codeAddr
	g.run(t, platform.EventSyscall)
	got, err := g.ctx.FPState()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[576:], fp[576:]) || !bytes.Equal(got[160:416], fp[160:416]) {
		t.Errorf("state changed (features %#x)", bv)
	}
}

func testFPStateRefused(t *testing.T) {
	g := newGuest(t, fpGuest)
	good, err := g.ctx.FPState()
	if err != nil {
		t.Fatal(err)
	}
	put := func(off int, v byte) []byte {
		b := bytes.Clone(good)
		b[off] = v
		return b
	}
	tests := map[string][]byte{
		"empty":           {},
		"short":           good[:500],
		"cut header":      good[:550],
		"long":            append(bytes.Clone(good), 0),
		"mxcsr":           put(24+3, 0xff),
		"unknown feature": put(512+6, 0xff),
		"compact":         put(520+7, 0x80),
		"reserved":        put(528+5, 1),
	}
	for name, data := range tests {
		if err := g.ctx.SetFPState(data); err != abi.EINVAL {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := g.ctx.SetFPState(good[:machine.FxsaveLen]); err != nil {
		t.Errorf("FXSAVE image: %v", err)
	}
	g.run(t, platform.EventSyscall)
	// A new program's state.
	fp, err := g.ctx.FPState()
	if err != nil {
		t.Fatal(err)
	}
	if cw, mx := binary.LittleEndian.Uint16(fp), binary.LittleEndian.Uint32(fp[24:]); cw != 0x37f || mx != 0x1f80 {
		t.Errorf("fcw %#x, mxcsr %#x", cw, mx)
	}
}
