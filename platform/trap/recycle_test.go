//go:build amd64

package trap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// retire ends v and returns the process that was its, when that has been made ready for
// the next owner; nil if it has not been kept.
func (v *victim) retire(t *testing.T) *addressSpace {
	t.Helper()
	pid := v.as.pid
	v.close()
	for range 2000 {
		v.p.mu.Lock()
		kept := slices.ContainsFunc(v.p.pool, func(a *addressSpace) bool { return a.pid == pid })
		v.p.mu.Unlock()
		if !kept {
			return nil
		}
		if a := v.p.take(); a != nil {
			if a.pid == pid {
				return a
			}
			a.destroy()
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the threads do not rest")
	return nil
}

// settle gives v a process that was another's, with v's program in it.
func (v *victim) settle(t *testing.T, a *addressSpace) {
	t.Helper()
	v.as.destroy()
	v.as = a
	for i, prot := range []platform.Access{platform.Read | platform.Exec, platform.Read | platform.Write} {
		start := abi.Addr(victimCode + i*(victimData-victimCode))
		if err := a.Map(abi.AddrRange{Start: start, End: start + abi.PageSize}, v.mem, int64(i)*abi.PageSize, prot); err != nil {
			t.Fatal(err)
		}
	}
}

var (
	// mov $0x2b,%eax; mov %eax,%ds; mov %eax,%es; mov %r15,(%rdi); syscall; jmp .
	spoiler = []byte{
		0xb8, 0x2b, 0, 0, 0, 0x8e, 0xd8, 0x8e, 0xc0, 0x4c, 0x89, 0x3f, 0x0f, 0x05, 0xeb, 0xfe,
	}
	// mov %ds,%eax; mov %es,%ebx; mov %fs,%ebp; mov %gs,%esi; syscall
	witness = []byte{0x8c, 0xd8, 0x8c, 0xc3, 0x8c, 0xe5, 0x8c, 0xee, 0x0f, 0x05}
)

const pattern = 0x5a17c3e95a17c3e9

// spoil leaves v's pattern in everything that a program can reach.
func (v *victim) spoil(t *testing.T) {
	t.Helper()
	mark := binary.LittleEndian.AppendUint64(nil, pattern)
	img := slices.Clone(v.p.xstate.Init)
	binary.LittleEndian.PutUint64(img[512:], 3)
	for off := 160; off < 416; off += 8 {
		copy(img[off:], mark)
	}
	if err := v.ctx.SetFPState(img); err != nil {
		t.Fatal(err)
	}
	r := &v.regs
	for _, p := range []*uint64{
		&r.Rbx, &r.Rcx, &r.Rdx, &r.Rsi, &r.Rbp, &r.R8, &r.R9, &r.R10, &r.R11, &r.R12, &r.R13, &r.R14, &r.R15,
	} {
		*p = pattern
	}
	r.Rdi, r.Rsp, r.FsBase, r.GsBase = victimData, victimData+64, 0x1234567000, 0x7654321000
	r.Eflags = 0x240ad5 // AC, ID, OF, SF, ZF, AF, PF, CF
	ev, err := v.call()
	if err != nil || ev.Kind != platform.EventSyscall {
		t.Fatal(ev, err)
	}
	s := v.ctx.thread.slot
	for off := slotFPArea; off < slotLen; off += 8 {
		if off < slotStack || off > slotLen-2048 || off < slotLen-16384 {
			copy(s.mem[off:], mark)
		}
	}
	v.ctx.SetAnswer(39, 0x5a17c3e8)
}

// The next owner of a process finds nothing of the one before: no mappings, registers,
// vectors, segments, flags, answers, nor what the Sentry and the host wrote down of them.
func TestSecondLife(t *testing.T) {
	p := hostile(t)
	p.bear(1 << 30)
	v := newVictim(t, p, spoiler)
	v.spoil(t)
	tid := v.ctx.thread.tid
	a := v.retire(t)
	if a == nil {
		t.Fatal("the process has not been kept")
	}
	w := newVictim(t, p, witness)
	defer w.close()
	for addr, line := range stubLines(t, a) {
		_, fixed := map[uint64]bool{codeBase: true, dataBase: true, reqBase: true}[addr]
		if addr < 1<<47 && !fixed && addr != a.idle[0].slot.addr(0) {
			t.Errorf("mapping %s", line)
		}
	}
	mark := binary.LittleEndian.AppendUint64(nil, pattern)[:4]
	s := a.idle[0].slot
	checkSlot := func(when string) {
		t.Helper()
		if bytes.Contains(s.mem, mark) || bytes.Contains(a.page.mem, mark) || s.word(slotLocal+4*39).Load() != 0 {
			t.Errorf("%s: the slot has something of the life before", when)
		}
	}
	checkSlot("at the beginning")
	// A signal makes the host write down all that the thread has.
	s.put32(slotGo, 0)
	futexWake(a.page.futex(reqHold))
	time.Sleep(5 * time.Millisecond)
	for range 3 {
		tgkill(a.pid, tid, interruptSignal)
		time.Sleep(2 * time.Millisecond)
	}
	checkSlot("after a signal")
	w.settle(t, a)
	ev, err := w.call()
	r := &w.regs
	if err != nil || ev.Kind != platform.EventSyscall || w.ctx.thread.tid != tid {
		t.Fatalf("%+v, %v, thread %d of %d", ev, err, w.ctx.thread.tid, tid)
	}
	if r.OrigRax|r.Rbx|r.Rbp|r.Rsi != 0 || r.FsBase|r.GsBase != 0 || r.R15|r.R12 != 0 || r.Eflags&0x2408d5 != 0 {
		t.Errorf("second life: ds %#x es %#x fs %#x gs %#x, bases %#x %#x, flags %#x", r.OrigRax, r.Rbx, r.Rbp, r.Rsi,
			r.FsBase, r.GsBase, r.Eflags)
	}
	if fp, err := w.ctx.FPState(); err != nil || !bytes.Equal(fp[160:416], p.xstate.Init[160:416]) {
		t.Errorf("vectors % x, %v", fp[160:200], err)
	}
	checkSlot("after a call")
}

// stubLines are the lines of a stub's /proc/PID/maps by their addresses.
func stubLines(t *testing.T, a *addressSpace) map[uint64]string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", a.pid))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[uint64]string)
	for line := range strings.Lines(string(text)) {
		var start uint64
		if _, err := fmt.Sscanf(line, "%x-", &start); err != nil {
			t.Fatal(err)
		}
		all[start] = line
	}
	return all
}

// A thread that only claims to have stopped, and goes on wherever it can, is the next
// owner's all the same.
func TestClaimedStop(t *testing.T) {
	p := hostile(t)
	p.bear(1 << 30)
	hold := uint64(codeBase + codeReset)
	for i, b := range codePage()[codeReset:codeEnd] {
		if b == 0x0f && codePage()[codeReset+i+1] == 0x05 {
			hold += uint64(i)
			break
		}
	}
	spin := bytes.Index(codePage()[:], []byte{0x8b, 0x4b, slotSpin}) // mov slotSpin(%rbx),%ecx
	for _, c := range []struct {
		name string
		regs platform.Regs
	}{
		// inc (%rdi); jmp back
		{"spins", platform.Regs{Rip: victimCode, Rdi: victimData}},
		{"sleeps where threads rest", platform.Regs{
			Rip: hold, Rax: unix.SYS_FUTEX, Rdi: reqBase + reqHold, Rbx: victimData, Rsp: victimData}},
		{"waits with a slot of its own", platform.Regs{Rip: codeBase + uint64(spin), Rbx: victimData}},
		{"waits in the hold", platform.Regs{Rip: hold - 32, Rbx: victimData, Rsp: victimData}},
	} {
		v := newVictim(t, p, []byte{0x48, 0xff, 0x07, 0xeb, 0xfb})
		v.regs = c.regs
		done := make(chan struct{})
		go v.claim(done)
		_, err := v.ctx.Switch(v.as, &v.regs)
		done <- struct{}{}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			v.close()
			continue
		}
		tid := v.ctx.thread.tid
		a := v.retire(t)
		if a == nil {
			t.Errorf("%s: not kept", c.name)
			continue
		}
		w := newVictim(t, p, []byte{0x0f, 0x05, 0xeb, 0xfc})
		w.settle(t, a)
		for range 200 {
			if ev, err := w.call(); err != nil || ev.Kind != platform.EventSyscall || w.ctx.thread.tid != tid {
				t.Fatalf("%s: second life: %+v, %v", c.name, ev, err)
			}
		}
		page := make([]byte, abi.PageSize)
		if _, err := unix.Pread(w.mem, page, abi.PageSize); err != nil || len(bytes.Trim(page, "\x00")) > 0 {
			t.Errorf("%s: the next owner's memory has been written, %v", c.name, err)
		}
		w.close()
	}
}

// claim says in the thread's slot, as another thread of the program could, that it has
// stopped, until done.
func (v *victim) claim(done chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(3 * time.Millisecond):
		}
		v.p.mu.Lock()
		for t := range v.as.threads {
			t.slot.put32(slotKind, kindCall)
			t.slot.word(slotPost).Store(1)
			futexWake(t.slot.futex(slotPost))
		}
		v.p.mu.Unlock()
	}
}

// What is not certain is not kept: a process with a thread that was told to end, one with
// a thread that never rests, one that dies meanwhile.
func TestNotKept(t *testing.T) {
	p := hostile(t)
	p.drain() // the process that New tried the host with
	p.bear(1 << 30)
	call := []byte{0x0f, 0x05, 0xeb, 0xfc}
	gone := func(name string, pid int32) {
		t.Helper()
		if err := unix.Kill(int(pid), 0); err != unix.ESRCH {
			t.Errorf("%s: process %d is still there (%v)", name, pid, err)
		}
	}
	v := newVictim(t, p, call)
	var all []*context
	for range maxIdle + 1 {
		c := p.NewContext().(*context)
		regs := v.regs
		if _, err := c.Switch(v.as, &regs); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for _, c := range all {
		c.Release()
	}
	pid := v.as.pid
	if a := v.retire(t); a != nil {
		t.Error("a process with a thread that was told to end has been kept")
	}
	gone("told to end", pid)

	v = newVictim(t, p, call)
	if _, err := v.call(); err != nil {
		t.Fatal(err)
	}
	s, err := p.slots.alloc()
	if err != nil {
		t.Fatal(err)
	}
	v.p.mu.Lock()
	v.as.threads[&stubThread{as: v.as, tid: v.as.pid, slot: s}] = struct{}{} // the mapper: it never rests
	v.p.mu.Unlock()
	pid = v.as.pid
	v.close()
	for range 10 {
		if a := p.take(); a != nil {
			t.Fatal("a process with a thread that does not rest is used again")
		}
	}
	p.mu.Lock()
	for _, a := range p.pool {
		a.since = a.since.Add(-2 * restLimit)
	}
	p.mu.Unlock()
	if a := p.take(); a != nil {
		t.Fatal("a process with a thread that does not rest is used again")
	}
	gone("does not rest", pid)

	v = newVictim(t, p, call)
	if _, err := v.call(); err != nil {
		t.Fatal(err)
	}
	pid = v.as.pid
	v.close()
	_ = unix.Kill(int(pid), unix.SIGKILL)
	for range 200 {
		p.mu.Lock()
		dead := len(p.pool) == 1 && p.pool[0].dead
		p.mu.Unlock()
		if dead {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if a := p.take(); a != nil {
		t.Error("a dead process is used again")
	}
	if len(p.pool) != 0 {
		t.Error("a dead process is kept")
	}
}

// What nobody takes is given back to the host, one after the other.
func TestIdleStubs(t *testing.T) {
	p := hostile(t)
	p.drain() // the process that New tried the host with
	p.bear(1 << 30)
	p.mu.Lock()
	p.idleLimit, p.expiring = 30*time.Millisecond, false // that process has a timer already
	p.mu.Unlock()
	for range 2 { // the second time with a new timer
		v := newVictim(t, p, []byte{0x0f, 0x05, 0xeb, 0xfc})
		if _, err := v.call(); err != nil {
			t.Fatal(err)
		}
		pid := v.as.pid
		v.close()
		for i := 0; unix.Kill(int(pid), 0) != unix.ESRCH; i++ {
			if i == 2000 {
				t.Fatal("a stub is kept for ever")
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pool) != 0 || p.expiring {
		t.Errorf("%d stubs, timer %v", len(p.pool), p.expiring)
	}
}

// A platform may end while the stubs that nobody took are being given back.
func TestIdleStubsClose(t *testing.T) {
	for range 20 {
		p := hostile(t)
		p.bear(1 << 30)
		p.mu.Lock()
		p.idleLimit, p.expiring = time.Millisecond, false
		p.mu.Unlock()
		var all []*victim
		for range 4 {
			v := newVictim(t, p, []byte{0x0f, 0x05, 0xeb, 0xfc})
			if _, err := v.call(); err != nil {
				t.Fatal(err)
			}
			all = append(all, v)
		}
		for _, v := range all {
			v.close()
		}
		time.Sleep(time.Millisecond)
		p.Close()
	}
}
