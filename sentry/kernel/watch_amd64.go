package kernel

import (
	"math/bits"

	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// The debug registers that a tracer sets with PTRACE_POKEUSER are not the processor's:
// not every platform can reach those, and virtual machines often have none that work.
// While some are enabled the kernel runs the tracee in single steps and looks what has
// become of the watched memory. That is slow, but no slower than what a debugger does
// without them.
//
// Linux difference: an access that does not change the memory is not seen, so that
// breakpoints on reads never stop.

// watchState is a tracee's debug registers. The tracer changes them under sigMu while the
// tracee is parked; while it runs they are its goroutine's own.
type watchState struct {
	addr     [4]uint64
	status   uint64 // DR6, without the bits that are always set
	control  uint64 // DR7
	before   [4]uint64
	stepping bool // the trap flag is ours
}

const (
	debugRegsOff = 848        // offsetof(struct user, u_debugreg)
	dr6Reserved  = 0xffff0ff0 // bits of DR6 that read as ones
	dr6Step      = 1 << 14
	dr7Enabled   = 0xff
	watchExec    = 0 // DR7's kinds of access; the others look at memory
	watchIO      = 2
)

// kind and size return what DR7 says about register n.
func (w *watchState) kind(n int) uint64 { return w.control >> (16 + 4*n) & 3 }
func (w *watchState) size(n int) uint64 { return [4]uint64{1, 2, 8, 4}[w.control>>(18+4*n)&3] }
func (w *watchState) enabled(n int) bool {
	return w.control>>(2*n)&3 != 0
}

// debugReg reads debug register n (PTRACE_PEEKUSER).
func (o *Task) debugReg(n uint64) uint64 {
	o.tg.sigMu.Lock()
	defer o.tg.sigMu.Unlock()
	switch w := &o.watch; n {
	case 0, 1, 2, 3:
		return w.addr[n]
	case 6:
		return w.status ^ dr6Reserved
	case 7:
		return w.control
	}
	return 0
}

// setDebugReg writes debug register n (PTRACE_POKEUSER).
func (o *Task) setDebugReg(n, v uint64) error {
	o.tg.sigMu.Lock()
	defer o.tg.sigMu.Unlock()
	w := o.watch
	switch n {
	case 0, 1, 2, 3:
		w.addr[n] = v
	case 6:
		w.status = v ^ dr6Reserved
	case 7:
		w.control = v
	default:
		return abi.EIO
	}
	for i := range w.addr {
		if w.addr[i] >= taskSizeMax {
			return abi.EINVAL
		}
		if w.enabled(i) && (w.kind(i) == watchIO || w.kind(i) == watchExec && w.size(i) != 1 || w.addr[i]&(w.size(i)-1) != 0) {
			return abi.EINVAL
		}
	}
	o.watch = w
	return nil
}

// beginWatch makes application code stop after one instruction if something is watched.
func (t *Task) beginWatch() {
	w := &t.watch
	if w.control&dr7Enabled == 0 {
		return
	}
	for n := range w.addr {
		w.before[n] = t.watched(n)
	}
	if !t.singleStep() {
		w.stepping = true
		t.setSingleStep(true)
	}
}

// endWatch looks what the instruction has done. It reports whether ev is only the end of
// the kernel's own step; otherwise ev is what to do.
func (t *Task) endWatch(ev *platform.Event) bool {
	w := &t.watch
	if w.control&dr7Enabled == 0 {
		return false
	}
	own := w.stepping
	if own {
		w.stepping = false
		t.setSingleStep(false)
		if ev.Kind == platform.EventSyscall {
			t.regs.R11 &^= eflagsTF // where the instruction has saved the flags
		}
	}
	if ev.Kind != platform.EventException || ev.Signal != abi.SIGTRAP || ev.Code != abi.TRAP_TRACE {
		return false
	}
	hits := uint64(0)
	for n := range w.addr {
		switch {
		case !w.enabled(n):
		case w.kind(n) == watchExec && t.regs.Rip == w.addr[n],
			w.kind(n) != watchExec && t.watched(n) != w.before[n]:
			hits |= 1 << n
		}
	}
	switch {
	case !own:
		w.status = hits | dr6Step
	case hits == 0:
		return true
	default:
		w.status = hits
		ev.Code = abi.TRAP_HWBKPT
	}
	return false
}

// watched returns the memory that register n watches; 0 where there is none.
func (t *Task) watched(n int) uint64 {
	w := &t.watch
	if !w.enabled(n) || w.kind(n) == watchExec {
		return 0
	}
	var b [8]byte
	if t.mm.Load().CopyIn(abi.Addr(w.addr[n]), b[:w.size(n)]) != nil {
		return 0
	}
	v := uint64(0)
	for _, c := range b {
		v = bits.RotateLeft64(v, 8) | uint64(c)
	}
	return v
}
