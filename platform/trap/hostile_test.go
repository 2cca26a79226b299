//go:build amd64

package trap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// hostile is a platform that soon loses patience with a spoilt thread.
func hostile(t *testing.T) *trapPlatform {
	t.Helper()
	pl, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pl.Close)
	p := pl.(*trapPlatform)
	p.watchTick, p.watchLimit = 3*time.Millisecond, 3
	return p
}

// bear sets how many ticks a spoilt thread is waited for: a busy machine may keep an honest
// one from answering for long.
func (p *trapPlatform) bear(ticks int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchLimit = ticks
}

// victim is one process with a page of code and one of data.
type victim struct {
	p    *trapPlatform
	as   *addressSpace
	ctx  *context
	regs platform.Regs
	mem  int
}

const (
	victimCode = 0x400000
	victimData = 0x600000
)

func newVictim(t *testing.T, p *trapPlatform, code []byte) *victim {
	t.Helper()
	mem, err := unix.MemfdCreate("victim", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	page := make([]byte, 2*abi.PageSize)
	copy(page, code)
	if _, err := unix.Write(mem, page); err != nil {
		t.Fatal(err)
	}
	as, err := p.NewAddressSpace()
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{p: p, as: as.(*addressSpace), ctx: p.NewContext().(*context), mem: mem}
	for i, prot := range []platform.Access{platform.Read | platform.Exec, platform.Read | platform.Write} {
		start := abi.Addr(victimCode + i*(victimData-victimCode))
		if err := as.Map(abi.AddrRange{Start: start, End: start + abi.PageSize}, mem, int64(i)*abi.PageSize, prot); err != nil {
			t.Fatal(err)
		}
	}
	v.regs = platform.Regs{Rip: victimCode, Rsp: victimData + abi.PageSize}
	return v
}

func (v *victim) close() {
	v.ctx.Release()
	v.as.Release()
	_ = unix.Close(v.mem)
}

// step runs until an event, an interrupt, or the loss of the process.
func (v *victim) step() (platform.Event, error) {
	timer := time.AfterFunc(time.Millisecond, v.ctx.Interrupt)
	defer timer.Stop()
	return v.ctx.Switch(v.as, &v.regs)
}

// syscallOffsets are where the code page has system call instructions.
func syscallOffsets() []int {
	var all []int
	code := codePage()[:]
	for i := range len(code) - 1 {
		if code[i] == 0x0f && code[i+1] == 0x05 {
			all = append(all, i)
		}
	}
	return all
}

// harmless are the calls that application code may make inside the code page.
func harmless(nr, arg0, arg1 uint64) bool {
	switch nr {
	case unix.SYS_EXIT:
		return true
	case unix.SYS_FUTEX:
		return arg1 == 0 || arg1 == 1
	case unix.SYS_ARCH_PRCTL:
		return arg0 == archSetFS || arg0 == archSetGS
	}
	return false
}

// Every system call from application code traps, wherever the instruction is.
func TestRawCallsTrap(t *testing.T) {
	p := hostile(t)
	v := newVictim(t, p, []byte{0x0f, 0x05})
	defer v.close()
	places := []uint64{victimCode}
	for _, off := range syscallOffsets() {
		places = append(places, codeBase+uint64(off))
	}
	if len(places) < 10 {
		t.Fatalf("%d system call instructions in the code page", len(places)-1)
	}
	for i, place := range places {
		for nr := uint64(0); nr < 480; nr++ {
			if nr == sysUretprobe+1 {
				// uprobe(2): the host keeps it from filters, as uretprobe(2), and refuses
				// it with an error unless it is called from a trampoline of its own.
				continue
			}
			if i > 0 && harmless(nr, 3, 0x10) || i > 1 && nr%7 != uint64(i)%7 {
				continue
			}
			v.regs = platform.Regs{Rip: place, Rax: nr, Rdi: 3, Rsi: 0x10, Rdx: 7, R10: 0x11, R8: 3, R9: 0, Rsp: victimData}
			ev, err := v.ctx.Switch(v.as, &v.regs)
			if err != nil || ev.Kind != platform.EventSyscall || v.regs.OrigRax != nr {
				t.Fatalf("call %d at %#x: %+v, %v; orig_rax %#x", nr, place, ev, err, v.regs.OrigRax)
			}
		}
	}
}

// The calls of the mapper, with the arguments that its own filter takes, trap in an
// application's thread: it has one more filter.
func TestMapperCallsTrap(t *testing.T) {
	p := hostile(t)
	v := newVictim(t, p, []byte{0x0f, 0x05})
	defer v.close()
	calls := []hostCall{
		mmapCall(0x10000, 4096, 7, 0, p.slots.fd, 0),
		{unix.SYS_MUNMAP, [6]uint64{reqBase, 4096}},
		{unix.SYS_MPROTECT, [6]uint64{reqBase, 4096, 3}},
		{unix.SYS_WRITE, [6]uint64{1, dataBase + dataPowers, 8}},
		{unix.SYS_CLONE, [6]uint64{threadFlags}},
		{unix.SYS_CLONE, [6]uint64{forkFlags}},
		{unix.SYS_SECCOMP, [6]uint64{setModeFilter, specAllow, dataBase + dataProg}},
		{unix.SYS_SIGALTSTACK, [6]uint64{victimData, 0}},
		{unix.SYS_PRCTL, [6]uint64{unix.PR_SET_PDEATHSIG, 9}},
		{unix.SYS_EXIT_GROUP, [6]uint64{}},
		{unix.SYS_GETPPID, [6]uint64{}},
		{unix.SYS_RT_SIGPROCMASK, [6]uint64{2, victimData, 0, 8}},
		{unix.SYS_RT_SIGPROCMASK, [6]uint64{2, dataBase + dataMask, victimData, 8}},
		{unix.SYS_RT_SIGRETURN, [6]uint64{}},
		{unix.SYS_FUTEX, [6]uint64{victimData, 3}}, // FUTEX_REQUEUE
		{unix.SYS_FUTEX | 1<<32, [6]uint64{victimData, 1}},
		{unix.SYS_FUTEX, [6]uint64{victimData, 1 | 1<<32}},
	}
	for _, off := range syscallOffsets() {
		for _, c := range calls {
			if c.nr == unix.SYS_FUTEX|1<<32 {
				continue // the host looks at 32 bits: it is a futex call
			}
			v.regs = platform.Regs{
				Rip: codeBase + uint64(off), Rax: c.nr, Rdi: c.args[0], Rsi: c.args[1], Rdx: c.args[2],
				R10: c.args[3], R8: c.args[4], R9: c.args[5], Rsp: victimData,
			}
			ev, err := v.ctx.Switch(v.as, &v.regs)
			if err != nil || ev.Kind != platform.EventSyscall || v.regs.OrigRax != c.nr {
				t.Fatalf("call %d at %#x: %+v, %v", c.nr, off, ev, err)
			}
		}
	}
}

// A thread that jumps into the code page at any byte, with registers that name what it
// likes, gets an event, or is interrupted, or loses its process; nobody else notices.
func TestJumpIntoCodePage(t *testing.T) {
	p := hostile(t)
	other := newVictim(t, p, []byte{0x0f, 0x05, 0xeb, 0xfc})
	defer other.close()
	v := newVictim(t, p, nil)
	lost := 0
	for off := range uint64(codeLen) {
		for round := range uint64(3) {
			slot := v.as.p.slots.at(0).addr(0)
			if v.ctx.thread != nil {
				slot = v.ctx.thread.slot.addr(0)
			}
			v.regs = platform.Regs{Rip: codeBase + off, Rsp: victimData + 0x800, Rax: 1, Rcx: 3}
			switch round {
			case 0: // all registers name its own data
				v.regs.Rbx, v.regs.Rdx, v.regs.Rdi, v.regs.Rsi = victimData, victimData, victimData, victimData
			case 1: // its own slot
				v.regs.Rbx, v.regs.Rsp, v.regs.Rdx = slot, slot+slotLen-frameLen-64, slot+slotLen-frameLen
			case 2: // the request page
				v.regs.Rbx, v.regs.R13, v.regs.R15 = reqBase, reqBase+reqOps, 1
				v.regs.R14 = uint64(v.as.p.slots.fd)
			}
			if _, err := v.step(); err != nil {
				lost++
				v.close()
				v = newVictim(t, p, nil)
			}
		}
		if off%64 == 0 {
			if ev, err := other.ctx.Switch(other.as, &other.regs); err != nil || ev.Kind != platform.EventSyscall {
				t.Fatalf("offset %#x: another process: %+v, %v", off, ev, err)
			}
		}
	}
	v.close()
	t.Logf("%d processes lost", lost)
	checkStubs(t, p, 1)
}

// checkStubs fails if the stubs' parent has other children than the platform knows.
func checkStubs(t *testing.T, p *trapPlatform, want int) {
	t.Helper()
	p.mu.Lock()
	n := len(p.spaces) - 1 - len(p.pool)
	p.mu.Unlock()
	if n != want {
		t.Errorf("%d address spaces, want %d", n, want)
	}
	children := 0
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		stat, err := os.ReadFile("/proc/" + d.Name() + "/stat")
		if err != nil || !strings.Contains(string(stat), "(stub) ") || strings.Contains(string(stat), "(stub) Z") {
			continue
		}
		if f := strings.Fields(string(stat)); len(f) > 3 && f[3] == fmt.Sprint(os.Getpid()) {
			children++
		}
	}
	if children < want+1 {
		t.Errorf("%d stubs, want at least %d", children, want+1)
	}
	t.Logf("%d stubs are children of this process", children)
}

// A program that writes into its own slot what it likes, system call after system call.
func TestForgedSlot(t *testing.T) {
	p := hostile(t)
	rnd := rand.New(rand.NewSource(1))
	// mov [rdi], rsi; mov [r8], r9; syscall; jmp start
	v := newVictim(t, p, []byte{0x48, 0x89, 0x37, 0x4d, 0x89, 0x08, 0x0f, 0x05, 0xeb, 0xf6})
	defer func() { v.close() }()
	words := []int{
		slotPost, slotFrame, slotFP, slotHostSleeps, slotGo, slotPending, slotNewFS, slotSpin, slotXMask,
		slotRegs, slotIret, slotIret + 8, slotIret + 16, slotAltstack, slotFPArea + 24, slotFPArea + 512, slotFPArea + 520,
	}
	values := []uint64{0, 1, 2, ^uint64(0), 1 << 47, codeBase, reqBase, victimData, 0x8000000000000000}
	if _, err := v.step(); err == nil {
		t.Log("the first write faults as it should: the registers are 0")
	}
	for i := range 1500 {
		if v.ctx.thread == nil {
			_, _ = v.step()
		}
		s := v.ctx.thread.slot
		v.regs.Rip, v.regs.Rsp = victimCode, victimData+0x100
		v.regs.Rdi = s.addr(words[rnd.Intn(len(words))])
		v.regs.Rsi = values[rnd.Intn(len(values))]
		v.regs.R8 = s.addr(rnd.Intn(slotLen/8) * 8)
		v.regs.R9 = rnd.Uint64()
		if i%3 == 0 {
			v.regs.R9 = s.addr(rnd.Intn(slotLen))
		}
		_, err := v.step()
		if err == nil {
			_, err = v.ctx.FPState()
		}
		if err != nil {
			v.close()
			v = newVictim(t, p, []byte{0x48, 0x89, 0x37, 0x4d, 0x89, 0x08, 0x0f, 0x05, 0xeb, 0xf6})
			_, _ = v.step()
		}
	}
}

// One thread of a process writes all over another's slot while that makes system calls.
func TestRacedSlot(t *testing.T) {
	p := hostile(t)
	// inc rax; mov [rdi+rax*8 & mask], ... : loop over the slot
	scribble := []byte{
		0x48, 0xff, 0xc0, // inc rax
		0x48, 0x0f, 0xaf, 0xc6, // imul rax, rsi
		0x48, 0x89, 0xc2, // mov rdx, rax
		0x81, 0xe2, 0xf8, 0x3f, 0, 0, // and edx, 0x3ff8
		0x48, 0x89, 0x04, 0x17, // mov [rdi+rdx], rax
		0xeb, 0xe9, // jmp start
	}
	for range 5 {
		v := newVictim(t, p, append(bytes.Clone(scribble), 0x0f, 0x05, 0xeb, 0xfc))
		v.regs.Rip = victimCode + uint64(len(scribble))
		p.bear(1 << 30)
		if _, err := v.step(); err != nil {
			t.Fatal(err)
		}
		p.bear(3)
		done := make(chan struct{})
		go func() {
			defer close(done)
			c := p.NewContext().(*context)
			defer c.Release()
			regs := platform.Regs{Rip: victimCode, Rdi: v.ctx.thread.slot.addr(0), Rsi: 0x5851f42d4c957f2d}
			timer := time.AfterFunc(100*time.Millisecond, c.Interrupt)
			defer timer.Stop()
			_, _ = c.Switch(v.as, &regs)
		}()
		for range 200 {
			v.regs.Rip = victimCode + uint64(len(scribble))
			if _, err := v.step(); err != nil {
				break
			}
			_, _ = v.ctx.FPState()
		}
		<-done
		v.close()
	}
	checkStubs(t, p, 0)
}

// A frame that claims to be anywhere is read from nowhere but the slot.
func TestFrameOffsets(t *testing.T) {
	s := slot{index: 5, mem: make([]byte, slotLen)}
	for _, a := range []uint64{0, s.addr(0) - 1, s.addr(slotLen), s.addr(slotLen - frameLen + 1), ^uint64(0), 1 << 63} {
		if off, ok := s.offset(a, frameLen); ok {
			t.Errorf("%#x: offset %d", a, off)
		}
	}
	for _, off := range []int{0, 1, slotLen - frameLen} {
		if got, ok := s.offset(s.addr(off), frameLen); !ok || got != off {
			t.Errorf("offset %d: %d, %v", off, got, ok)
		}
	}
}

// A frame with a signal that no handler takes is a fault of who wrote it.
func TestForgedSignal(t *testing.T) {
	for _, sig := range []unix.Signal{0, unix.SIGKILL, unix.SIGTERM, 64, 65, 1 << 20, -1, -59378} {
		ev := frame(make([]byte, frameLen)).exception(sig, &platform.Regs{})
		if ev.Kind != platform.EventException || ev.Signal != int32(unix.SIGSEGV) {
			t.Errorf("signal %d: %+v", sig, ev)
		}
	}
}

// The state that an application's frame holds can be loaded, whatever it holds.
func TestForgedVectors(t *testing.T) {
	p := hostile(t)
	rnd := rand.New(rand.NewSource(1))
	for range 200 {
		img := make([]byte, len(p.xstate.Init))
		rnd.Read(img)
		if rnd.Intn(2) == 0 {
			binary.LittleEndian.PutUint64(img[512:], rnd.Uint64()&p.xstate.Features)
		}
		if _, err := p.xstate.Check(p.xstate.FromFrame(img)); err != nil {
			t.Fatal(err)
		}
	}
}
