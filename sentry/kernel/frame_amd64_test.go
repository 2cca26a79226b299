package kernel

import (
	"encoding/binary"
	"testing"

	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// Offsets as the C compiler gives them for struct rt_sigframe's parts (asm/ucontext.h,
// asm/sigcontext.h, siginfo.h).
func TestFrameLayout(t *testing.T) {
	for name, c := range map[string][2]int{
		"uc_mcontext": {ucMcontext, 40}, "uc_sigmask": {ucSigmask, 296}, "sizeof(ucontext)": {ucSize, 304},
		"info": {frameInfo, 312}, "sizeof(rt_sigframe)": {frameSize, 440},
		"eflags": {scFlags, 136}, "cs": {scSegments, 144}, "err": {scErr, 152}, "fpstate": {scFPState, 184},
	} {
		if c[0] != c[1] {
			t.Errorf("%s at %d, want %d", name, c[0], c[1])
		}
	}
}

// A frame holds the registers, and sigreturn brings them back.
func TestFrameRoundTrip(t *testing.T) {
	w := newWorld(t)
	w.run(func(g *guest) {
		g.call(func(task *Task) (uint64, error) {
			r := &task.regs
			for i, p := range task.contextRegs() {
				*p = uint64(0x1111 * (i + 1))
			}
			r.Rsp, r.Rip, r.Eflags = stackTop-8192, 0x401000, 0x246
			want := *r
			task.stop.faultAddr, task.stop.trapNo, task.stop.errCode = 0xdead, 14, 6
			info := abi.Siginfo{Signo: abi.SIGSEGV, Code: abi.SEGV_MAPERR}
			info.SetAddr(0xdead)
			a := abi.Sigaction{Handler: 0x5000, Flags: abi.SA_SIGINFO | abi.SA_RESTORER, Restorer: 0x6000}
			if err := task.pushFrame(abi.SIGSEGV, &a, &info, 0x423); err != nil {
				t.Errorf("pushFrame: %v", err)
			}
			if r.Rip != 0x5000 || r.Rdi != abi.SIGSEGV || r.Rsp&15 != 8 || r.Rax != 0 || r.Rdx != r.Rsp+8 || r.Rsi != r.Rsp+312 {
				t.Errorf("registers %+v", r)
			}
			if want.Rsp-r.Rsp < redZone+frameSize {
				t.Errorf("frame at %#x overlaps the red zone below %#x", r.Rsp, want.Rsp)
			}
			checkFrame(t, task, r, &want)
			r.Rsp += 8
			if err := task.popFrame(); err != nil {
				t.Errorf("popFrame: %v", err)
			}
			want.OrigRax, want.Cs, want.Ss = ^uint64(0), userCS, userSS
			if *r != want {
				t.Errorf("registers\n%+v\nwant\n%+v", *r, want)
			}
			if task.SignalMask() != 0x423 {
				t.Errorf("mask %#x", task.SignalMask())
			}
			task.SetSignalMask(0)
			task.ExitGroup(0)
			return 0, nil
		})
	})
}

func checkFrame(t *testing.T, task *Task, r, want *platform.Regs) {
	t.Helper()
	b := make([]byte, frameSize)
	if err := task.MM().CopyIn(abi.Addr(r.Rsp), b); err != nil {
		t.Fatal(err)
	}
	u64 := func(off int) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
	sc := frameUC + ucMcontext
	fp := u64(sc + scFPState)
	if u64(0) != 0x6000 || u64(frameUC) != 7 || u64(sc+15*8) != want.Rsp || u64(sc+16*8) != want.Rip ||
		u64(sc+scErr) != 6 || u64(sc+scErr+8) != 14 || u64(sc+scErr+24) != 0xdead || fp&63 != 0 {
		t.Errorf("frame % x", b)
	}
	f := make([]byte, len(task.pctx.(*fakeContext).fp)+4)
	if err := task.MM().CopyIn(abi.Addr(fp), f); err != nil {
		t.Fatal(err)
	}
	if binary.LittleEndian.Uint32(f[464:]) != fpXstateMag1 || binary.LittleEndian.Uint32(f[len(f)-4:]) != fpXstateMag2 {
		t.Error("magic numbers of the extended state are missing")
	}
}
