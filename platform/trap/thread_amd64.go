package trap

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// stubThread is a thread of a stub process. It runs one context, or waits idle for the
// next one.
type stubThread struct {
	as   *addressSpace
	tid  int32
	slot slot
	dead atomic.Bool // nothing of it is left; the slot may have another owner

	owner *context // guarded by as.mu

	// What only the context's goroutine uses.
	basesKnown     bool
	fsBase, gsBase uint64
	spin           uint32 // what slotSpin holds
	live           bool   // its vectors are in their registers
	held           bool   // it may wait in codeReset
}

// How many idle threads a process keeps. A thread's end and a new one cost as much as
// fifty system calls.
const maxIdle = 4

// newThread returns a thread for c.
func (a *addressSpace) newThread(c *context) (*stubThread, error) {
	a.mu.Lock()
	if n := len(a.idle); n > 0 {
		t := a.idle[n-1]
		a.idle = a.idle[:n-1]
		t.owner = c
		a.p.counters.kept.Add(1)
		a.mu.Unlock()
		return t, nil
	}
	a.mu.Unlock()

	s, err := a.p.slots.alloc()
	if err != nil {
		return nil, err
	}
	t := &stubThread{as: a, slot: s, owner: c}
	t.prepare()
	tid, err := a.askAnew(&request{kind: reqThread, calls: a.p.slotCalls(s), stack: s.addr(slotLen - 64)})
	t.tid = int32(tid)
	a.p.counters.threads.Add(1)
	if err != nil {
		// The stub may have the slot mapped: it is released with the stub.
		a.p.adopt(a, t)
		a.distrust()
		return nil, err
	}
	if !a.p.adopt(a, t) {
		return nil, errStubGone
	}
	return t, nil
}

const initMXCSR = 0x1f80

// prepare fills a slot of zeros for a thread that has not run.
func (t *stubThread) prepare() {
	s := t.slot
	s.put(slotAltstack, s.addr(slotStack))
	s.put(slotAltstack+8, 0)
	s.put(slotAltstack+16, slotLen-slotStack)
	s.put(slotXMask, t.as.p.xmask)
	s.put32(slotFPArea+24, initMXCSR) // with the zeros around it: the vectors of a new program
	s.put(slotSelf, s.addr(0))
	s.put(slotMagic, gateMagic)
}

// slotCalls map a slot into a stub, and what every thread uses of it so that it does not
// fault: the first page, and a frame's worth of the signal stack.
func (p *trapPlatform) slotCalls(s slot) []hostCall {
	part := func(off, n int, flags uint64) hostCall {
		return mmapCall(abi.Addr(s.addr(off)), uint64(n), unix.PROT_READ|unix.PROT_WRITE, flags,
			p.slots.fd, int64(s.index)*slotLen+int64(off))
	}
	const frame = 2 * abi.PageSize
	return []hostCall{
		part(0, slotLen, 0),
		part(0, abi.PageSize, unix.MAP_POPULATE),
		part(slotLen-frame, frame, unix.MAP_POPULATE),
	}
}

// end gives the thread back.
func (t *stubThread) end() {
	a := t.as
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		return // it has another owner, or none
	}
	t.owner = nil
	t.clearAnswers()
	if len(a.idle) < maxIdle {
		a.idle = append(a.idle, t)
		return
	}
	a.doubtful = true
	if t.dead.Load() {
		return
	}
	// The slot stays mapped in the stub, so it is released with the stub.
	// TODO: unmap it and use it again; a process that makes and ends very many threads,
	// many at a time, keeps their slots.
	t.slot.put32(slotFlags, flagExit)
	t.resume()
}

// resume lets the thread run, and says whether it had not been asleep.
func (t *stubThread) resume() bool {
	return t.tell(goRun)
}

// tell gives the thread its next order.
func (t *stubThread) tell(order uint32) bool {
	s := t.slot
	s.word(slotPost).Store(0)
	s.word(slotGo).Store(order)
	if t.held {
		t.held = false
		futexWake(t.as.page.futex(reqHold))
	}
	if s.word(slotStubSleeps).Load() == 0 {
		return true
	}
	futexWake(s.futex(slotGo))
	return false
}

// load gives the thread the registers to run with.
func (t *stubThread) load(r *platform.Regs) {
	s := t.slot
	for i, v := range [15]uint64{
		r.R15, r.R14, r.R13, r.R12, r.Rbp, r.Rbx, r.R11, r.R10, r.R9, r.R8, r.Rax, r.Rcx, r.Rdx, r.Rsi, r.Rdi,
	} {
		s.put(slotRegs+8*i, v)
	}
	for i, v := range [5]uint64{r.Rip, r.Cs, r.Eflags, r.Rsp, r.Ss} {
		s.put(slotIret+8*i, v)
	}
	var flags uint32
	if !t.basesKnown || t.fsBase != r.FsBase || t.gsBase != r.GsBase {
		s.put(slotNewFS, r.FsBase)
		gs := r.GsBase
		if gs == 0 {
			gs = s.addr(0) // for the gate
		}
		s.put(slotNewGS, gs)
		flags = flagBases
		t.basesKnown, t.fsBase, t.gsBase = true, r.FsBase, r.GsBase
	}
	s.put32(slotFlags, flags)
}

// wait waits until the thread has stopped, and says whether spinning was enough.
func (t *stubThread) wait(spin int) (bool, error) { return t.waitFor(spin, nil, nil) }

// waitFor is wait that sleeps no longer than limit before it calls late.
func (t *stubThread) waitFor(spin int, limit *unix.Timespec, late func()) (bool, error) {
	s := t.slot
	post := s.futex(slotPost)
	for quick := true; ; quick = false {
		if !spinUntil(post, 1, spin) {
			quick = false
			s.word(slotHostSleeps).Store(1)
			if s.word(slotPost).Load() == 0 && !t.dead.Load() {
				if !futexWait(post, 0, limit) && late != nil {
					late()
					limit = nil
				}
			}
			s.word(slotHostSleeps).Store(0)
		}
		if t.dead.Load() {
			return false, errStubGone
		}
		if s.word(slotPost).Load() != 0 {
			return quick, nil
		}
	}
}
