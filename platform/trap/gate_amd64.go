package trap

import (
	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/platform/internal/machine"
)

// syscallLen is the length of the system call instruction.
const syscallLen = 2

// inGate says whether a thread was stopped on its way through the gate: the Sentry does
// not know of its call yet.
func inGate(rip uint64) bool {
	return rip >= codeBase+codeGate && rip < codeBase+codeReset || rip == gatePost
}

// gateCall reads the registers of a thread that has made a call through the gate.
//
// TRUST: the application can write them at any time; they are its own registers.
func (c *context) gateCall(regs *platform.Regs) platform.Event {
	t := c.thread
	s := t.slot
	for i, p := range [15]*uint64{
		&regs.R15, &regs.R14, &regs.R13, &regs.R12, &regs.Rbp, &regs.Rbx, &regs.R11, &regs.R10, &regs.R9, &regs.R8,
		&regs.Rax, &regs.Rcx, &regs.Rdx, &regs.Rsi, &regs.Rdi,
	} {
		*p = s.get(slotRegs + 8*i)
	}
	regs.Rip, regs.Eflags, regs.Rsp = s.returnTo(), s.get(slotIret+16), s.get(slotIret+24)
	if c.p.fsgs {
		t.fsBase = s.get(slotFS)
	}
	t.live = true
	c.p.counters.gate.Add(1)
	return t.called(regs)
}

// returnTo is where a call through the gate returns to. (Behind that may be a comparison
// that a patch covers: platform.Patcher's Skip.)
func (s slot) returnTo() uint64 { return s.get(slotIret) &^ gateTags }

// called makes of registers at a system call instruction's end those that it leaves.
func (t *stubThread) called(regs *platform.Regs) platform.Event {
	regs.FsBase, regs.GsBase = t.fsBase, t.gsBase
	regs.Rcx, regs.R11 = regs.Rip, regs.Eflags
	machine.Sanitize(regs)
	regs.OrigRax = regs.Rax
	regs.Rax = ^uint64(unix.ENOSYS - 1) // -ENOSYS
	return platform.Event{Kind: platform.EventSyscall}
}

// leaveGate gives a thread that was stopped in the gate the registers it had at the
// instruction that led there, as if it had been stopped before a system call; or after
// it, if it is about to leave with an answer, which it reports.
//
// Where the gate has put what is not in its register any more is seen by RSP.
func (t *stubThread) leaveGate(regs *platform.Regs) (answered bool) {
	s := t.slot
	stack := s.addr(slotIret)
	ret := regs.R11 &^ gateTags
	switch {
	case regs.Rip > localEntry && regs.Rip < codeBase+codeReset:
		regs.Rip, regs.Eflags, regs.Rsp = s.returnTo(), s.get(slotIret+16), s.get(slotIret+24)
		regs.Rcx, regs.R11 = regs.Rip, regs.Eflags
		return true
	case regs.Rsp == stack+16:
		ret, regs.Eflags, regs.Rsp = s.returnTo(), s.get(slotIret+16), s.get(slotIret+24)
	case regs.Rsp == stack+24:
		regs.Rsp = s.get(slotIret + 24)
	}
	regs.Rip = ret - syscallLen
	regs.Rcx, regs.R11 = ret, regs.Eflags
	return false
}

// refused is the system call of a thread that cannot pass the gate: the program uses GS
// for itself, or has jumped here.
func (t *stubThread) refused(regs *platform.Regs) platform.Event {
	if !t.leaveGate(regs) {
		regs.Rip += syscallLen
	}
	t.basesKnown = false
	return t.called(regs)
}
