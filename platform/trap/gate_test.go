//go:build amd64

package trap

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// throughGate is a program that makes calls through a trampoline, as patched code does:
// inc rbx; jmp trampoline; (back) jmp start.
func throughGate(t *testing.T, p *trapPlatform, nr uint32) []byte {
	t.Helper()
	const at, tramp = 3, 64
	text := append([]byte{0x48, 0xff, 0xc3, 0xb8}, binary.LittleEndian.AppendUint32(nil, nr)...)
	text = append(text, 0x0f, 0x05, 0xeb, 0xf4)
	s, ok := p.FindSite(text, at+7, victimCode+at+7, uint64(nr))
	if !ok || s.Start != victimCode+at || s.Over {
		t.Fatalf("site %+v, %v", s, ok)
	}
	jump, code, ok := p.Link(s, victimCode+tramp)
	if !ok || len(code) != platform.TrampolineLen {
		t.Fatal("no link")
	}
	copy(text[at:], jump)
	return append(append(text, make([]byte, tramp-len(text))...), code...)
}

// call is step that goes on after interrupts.
func (v *victim) call() (platform.Event, error) {
	for {
		if ev, err := v.step(); err != nil || ev.Kind != platform.EventInterrupt {
			return ev, err
		}
	}
}

// Every stop of a thread that goes through the gate all the time is at one of the
// program's instructions, with the registers and vectors that it has there.
func TestGate(t *testing.T) {
	p := hostile(t)
	p.bear(1 << 30)
	v := newVictim(t, p, throughGate(t, p, 39))
	defer v.close()
	v.regs = platform.Regs{
		Rip: victimCode, Rsp: 0x123456789, R15: 15, R14: 14, R13: 13, R12: 12, Rbp: 5, R10: 10, R9: 9, R8: 8,
		Rdi: 7, Rsi: 6, Rdx: 4, Eflags: 0x8d5,
	}
	want := v.regs
	img := slices.Clone(p.xstate.Init)
	binary.LittleEndian.PutUint64(img[512:], 3) // XSTATE_BV: x87, SSE
	copy(img[160:], "vectors of the program")
	if err := v.ctx.SetFPState(img); err != nil {
		t.Fatal(err)
	}
	calls, stops, over := 0, 0, time.Now().Add(30*time.Second)
	undone := false // the thread was stopped in the gate: the instruction itself is next
	for i := 0; (calls < 2000 || stops < 200) && time.Now().Before(over); i++ {
		if i%3 == 0 {
			go v.ctx.Interrupt()
		}
		ev, err := v.ctx.Switch(v.as, &v.regs)
		if err != nil {
			t.Fatal(err)
		}
		got := v.regs
		switch off := got.Rip - victimCode; {
		case ev.Kind == platform.EventSyscall:
			calls++
			if off != 10 || got.OrigRax != 39 || got.Rcx != got.Rip || got.R11 != got.Eflags || ev.Trapped != undone {
				t.Fatalf("call %+v: %+v", ev, got)
			}
			undone = false
		case ev.Kind != platform.EventInterrupt:
			t.Fatalf("event %+v at %#x", ev, got.Rip)
		case off >= 64 && off < 64+platform.TrampolineLen:
			// mm rewinds that.
		case off != 0 && off != 3 && off != 8 && off != 10:
			t.Fatalf("stopped at %#x", got.Rip)
		default:
			stops++
			undone = off == 8
		}
		if calls%100 == 50 {
			fp, err := v.ctx.FPState()
			if err != nil || !bytes.Equal(fp[160:416], img[160:416]) {
				t.Fatalf("vectors after %d calls: %q, %v", calls, fp[160:190], err)
			}
		}
		got.Rip, got.Rax, got.Rcx, got.R11, got.Rbx, got.OrigRax = want.Rip, 0, 0, 0, 0, 0
		got.Cs, got.Ss = 0, 0
		if got.Eflags = got.Eflags & want.Eflags &^ 0x10; got.Rsp != want.Rsp || got.R15 != 15 || got.Rbp != 5 ||
			got.Rdi != 7 || got.GsBase != 0 {
			t.Fatalf("registers %+v", got)
		}
	}
	if n := p.counters.gate.Load(); n == 0 || calls < 2000 {
		t.Errorf("%d calls, %d through the gate", calls, n)
	}
	if d := v.regs.Rbx - uint64(calls); d > 1 {
		t.Errorf("%d calls seen, the program made %d", calls, v.regs.Rbx)
	}
}

// A program that has GS for itself, or jumps into the gate with anything, makes a system
// call or runs into a fault; a thread that will not give its vectors loses its process.
func TestGateForged(t *testing.T) {
	p := hostile(t)
	p.bear(1 << 30)
	v := newVictim(t, p, throughGate(t, p, 39))
	v.regs.GsBase = victimData
	mem := make([]byte, abi.PageSize)
	ev, err := v.call()
	if err != nil || ev.Kind != platform.EventSyscall || v.regs.OrigRax != 39 || v.regs.Rip != victimCode+10 {
		t.Errorf("with GS: %+v, %v: %+v", ev, err, v.regs)
	}
	if _, err := unix.Pread(v.mem, mem, abi.PageSize); err != nil || v.regs.GsBase != victimData || len(bytes.Trim(mem, "\x00")) > 0 {
		t.Errorf("gs %#x, memory changed there, %v", v.regs.GsBase, err)
	}
	v.close()
	p.bear(3)
	for off := uint64(codeGate); off < codeLen; off++ {
		v := newVictim(t, p, []byte{0xf4})
		v.regs.Rip = codeBase + off
		v.regs.Rcx, v.regs.R11, v.regs.Rax = victimData, victimCode, 39
		if ev, err := v.step(); err == nil && inGate(v.regs.Rip) && v.regs.Rip != codeBase+off {
			t.Errorf("from %#x: %+v at %#x", off, ev, v.regs.Rip)
		}
		v.close()
	}
	p.bear(1 << 30)
	// A thread that never gives its vectors: by its own doing it is gone.
	v = newVictim(t, p, throughGate(t, p, 39))
	defer v.close()
	if ev, err := v.call(); err != nil || ev.Kind != platform.EventSyscall {
		t.Fatal(ev, err)
	}
	p.bear(3)
	s := v.ctx.thread.slot
	s.word(slotFlags).Store(flagExit)
	s.word(slotGo).Store(goRun)
	futexWake(s.futex(slotGo))
	time.Sleep(20 * time.Millisecond)
	if _, err := v.ctx.FPState(); err != error(abi.ESRCH) {
		t.Errorf("vectors of a thread that is gone: %v", err)
	}
}

// What can be replaced, and what must not be.
func TestFindSite(t *testing.T) {
	p := &trapPlatform{}
	const call = "\x0f\x05"
	for _, c := range []struct {
		name, before, after string
		nr                  uint64
		ok, over            bool
	}{
		{"mov eax", "\x90\xb8\x27\x00\x00\x00", "\xc3", 39, true, false},
		{"after mov %rcx,%r10", "\x49\x89\xca\xb8\x27\x00\x00\x00", "\xc3", 39, true, false},
		{"mov rax", "\x90\x48\xc7\xc0\x27\x00\x00\x00", "\xc3", 39, true, false},
		{"made with another number", "\x90\xb8\x27\x00\x00\x00", "\xc3", 40, false, false},
		{"rt_sigreturn", "\x90\x48\xc7\xc0\x0f\x00\x00\x00", "\xc3", 15, false, false},
		{"mov r8d", "\x41\xb8\x27\x00\x00\x00", "\xc3", 39, false, false},
		{"mov 39(%r8),%rdi", "\x49\x8b\xb8\x27\x00\x00\x00", "\xc3", 39, false, false},
		{"movl $39,-72(%rsp)", "\xc7\x44\x24\xb8\x27\x00\x00\x00", "\xc3", 39, false, false},
		{"movl $39,(%r8,%rdi,4)", "\x41\xc7\x04\xb8\x27\x00\x00\x00", "\xc3", 39, false, false},
		{"mov 39(%rax,%rdi,4),%eax", "\x8b\x84\xb8\x27\x00\x00\x00", "\xc3", 39, false, false},
		{"cmp 1", "\x90\x90\x90", "\x48\x3d\x01\xf0\xff\xff\x73", 39, true, true},
		{"cmp 0", "\x90\x90\x90", "\x48\x3d\x00\xf0\xff\xff\x77", 39, true, true},
		{"another cmp", "\x90\x90\x90", "\x48\x3d\x00\xf0\xff\x7f\x77", 39, false, false},
		{"end of the page", "\x90\x90\x90", "\x48\x3d\x01\xf0", 39, false, false},
		{"start of the page", "\x00\x00", "\xc3", 0, false, false},
	} {
		code := []byte(c.before + call + c.after)
		end := len(c.before) + len(call)
		s, ok := p.FindSite(code, end, 0x1000000, c.nr)
		if ok != c.ok || s.Over != c.over {
			t.Errorf("%s: %+v, %v", c.name, s, ok)
		}
	}
}

// The comparison that is done in a program's place sets the flags as the processor does.
func TestSkip(t *testing.T) {
	p := hostile(t)
	p.bear(1 << 30)
	s := platform.Site{End: 0x1000, Over: true, Len: 6, Insn: [8]byte{0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff}}
	// cmp $-4095, %rax; syscall
	v := newVictim(t, p, append(slices.Clone(s.Insn[:6]), 0x0f, 0x05))
	defer v.close()
	for _, rax := range []uint64{0, 1, ^uint64(0), ^uint64(4094), ^uint64(4095), ^uint64(4093), 1 << 63, 1<<63 - 1, 1<<63 - 4095, 0x10, 0xf01} {
		v.regs.Rip, v.regs.Rax, v.regs.Eflags = victimCode, rax, 0x200202
		if _, err := v.call(); err != nil {
			t.Fatal(err)
		}
		r := platform.Regs{Rip: 0x1000, Rax: rax, Eflags: 0x200202}
		p.Skip(s, &r)
		const arithmetic = 0x8d5
		if r.Eflags&arithmetic != v.regs.Eflags&arithmetic || r.Rip != 0x1006 {
			t.Errorf("rax %#x: flags %#x, the processor's %#x", rax, r.Eflags, v.regs.Eflags)
		}
	}
}

// A jump that reaches over the call has an illegal instruction where the call ends.
func TestLink(t *testing.T) {
	p := &trapPlatform{}
	const start = abi.Addr(0x7f0000001234)
	for _, over := range []bool{false, true} {
		s := platform.Site{Start: start, End: start + 7, Over: over, Len: 5}
		if over {
			s.End, s.Len = start+2, 6
		}
		served := 0
		for a := start &^ 0xffff; a < start&^0xffff+0x10000; a += platform.TrampolineLen {
			jump, code, ok := p.Link(s, a+0x1000000)
			if !ok {
				continue
			}
			served++
			if to := start + 5 + abi.Addr(int32(binary.LittleEndian.Uint32(jump[1:]))); to != a+0x1000000 || over && !invalid[jump[2]] ||
				len(code) != platform.TrampolineLen {
				t.Fatalf("jump % x, code % x", jump, code)
			}
		}
		if served == 0 || !over && served != 0x10000/platform.TrampolineLen {
			t.Errorf("over %v: %d places", over, served)
		}
		if _, _, ok := p.Link(s, start+1<<32); ok {
			t.Error("too far")
		}
	}
}
