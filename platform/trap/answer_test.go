//go:build amd64

package trap

import (
	"testing"

	"lazaret/platform"
)

// An answered call is no event, whatever follows it; a cleared one is.
func TestAnswers(t *testing.T) {
	p := hostile(t)
	p.bear(1 << 30)
	v := newVictim(t, p, throughGate(t, p, 39))
	defer v.close()
	if ev, err := v.call(); err != nil || ev.Kind != platform.EventSyscall {
		t.Fatal(ev, err)
	}
	v.ctx.SetAnswer(numLocal, 1)
	v.ctx.SetAnswer(39, ^uint32(0)) // cannot be said
	before := v.regs.Rbx
	if ev, err := v.call(); err != nil || ev.Kind != platform.EventSyscall || v.regs.Rbx != before+1 {
		t.Fatal(ev, err, v.regs.Rbx-before)
	}
	v.ctx.SetAnswer(39, 4711)
	before = v.regs.Rbx
	v.regs.Rax = 4711 // the last call's, should the first step be interrupted at once
	for range 50 {
		ev, err := v.step()
		if ev.Trapped { // it had been put back to the call itself
			v.regs.Rax = 4711
			continue
		}
		if err != nil || ev.Kind != platform.EventInterrupt {
			t.Fatalf("%+v, %v", ev, err)
		}
		// Stopped anywhere: the answer has come, or the call has not been made.
		switch off := v.regs.Rip - victimCode; {
		case off == 10 || off == 0 || off == 3:
			if v.regs.Rax != 4711 {
				t.Fatalf("answer %d at %d", v.regs.Rax, off)
			}
		case off == 8:
			if v.regs.Rax != 39 {
				t.Fatalf("number %d", v.regs.Rax)
			}
		case off < 64:
			t.Fatalf("stopped at %d", off)
		}
		if v.regs.Rsp != victimData+4096 {
			t.Fatalf("stack %#x", v.regs.Rsp)
		}
	}
	if n := v.regs.Rbx - before; n < 100 {
		t.Errorf("%d calls only", n)
	}
	v.ctx.ClearAnswers()
	if ev, err := v.call(); err != nil || ev.Kind != platform.EventSyscall || v.regs.OrigRax != 39 {
		t.Errorf("%+v, %v", ev, err)
	}
	// The next owner of the thread begins without answers.
	v.ctx.SetAnswer(39, 4711)
	v.ctx.Release()
	v.ctx.ClearAnswers()
	v.ctx = p.NewContext().(*context)
	v.regs.Rip = victimCode
	if ev, err := v.call(); err != nil || ev.Kind != platform.EventSyscall || v.regs.OrigRax != 39 {
		t.Errorf("%+v, %v", ev, err)
	}
	for _, c := range p.Counters() {
		if c.Name == "calls answered by the gate" && c.Value < 100 {
			t.Errorf("%d answers counted", c.Value)
		}
	}
}
