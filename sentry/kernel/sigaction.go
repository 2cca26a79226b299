package kernel

import (
	"golang.org/x/sys/unix"

	"lazaret/syscalls/abi"
)

// knownSAFlags are the sa_flags that the kernel keeps; the others are cleared, so that
// programs can find out what is supported (sigaction(2)).
const knownSAFlags = abi.SA_NOCLDSTOP | abi.SA_NOCLDWAIT | abi.SA_SIGINFO | abi.SA_ONSTACK |
	abi.SA_RESTART | abi.SA_NODEFER | abi.SA_RESETHAND | abi.SA_RESTORER

// Sigaction is rt_sigaction(2): new nil only asks.
func (t *Task) Sigaction(sig int, new *abi.Sigaction) (old abi.Sigaction, err error) {
	if sig < 1 || sig > abi.NSIG || new != nil && unblockable.Has(sig) {
		return old, abi.EINVAL
	}
	tg := t.tg
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	h := tg.handlers
	h.mu.Lock()
	defer h.mu.Unlock()
	old = h.actions[sig]
	if new == nil {
		return old, nil
	}
	a := *new
	a.Flags &= knownSAFlags
	a.Mask &^= unblockable
	h.actions[sig] = a
	// POSIX: making a pending signal ignored discards it, blocked or not.
	if a.Handler == abi.SIG_IGN || a.Handler == abi.SIG_DFL && ignoredByDefault.Has(sig) {
		tg.shared.flush(abi.SigBit(sig))
		for _, o := range tg.tasks {
			o.pending.flush(abi.SigBit(sig))
		}
	}
	return old, nil
}

// SetMask is rt_sigprocmask(2) for a set that was given; it returns the old mask.
func (t *Task) SetMask(how int, set abi.SigSet) (abi.SigSet, error) {
	old := t.SignalMask()
	switch how {
	case abi.SIG_BLOCK:
		set |= old
	case abi.SIG_UNBLOCK:
		set = old &^ set
	case abi.SIG_SETMASK:
	default:
		return old, abi.EINVAL
	}
	t.SetSignalMask(set)
	return old, nil
}

// onAltStack reports whether sp lies on the alternate stack. With SS_AUTODISARM the
// stack is never considered in use.
func (t *Task) onAltStack(sp abi.Addr) bool {
	s := &t.altStack
	return s.Flags&abi.SS_AUTODISARM == 0 && sp > s.SP && uint64(sp-s.SP) <= s.Size
}

// altStackFlags returns ss_flags for a given stack pointer.
func (t *Task) altStackFlags(sp abi.Addr) uint32 {
	if t.altStack.Size == 0 {
		return abi.SS_DISABLE
	}
	if t.onAltStack(sp) {
		return abi.SS_ONSTACK
	}
	return 0
}

// AltStack returns the alternate stack as sigaltstack(2) reports it.
func (t *Task) AltStack() abi.SigStack {
	s := t.altStack
	s.Flags = t.altStackFlags(t.regs.SP()) | s.Flags&abi.SS_AUTODISARM
	return s
}

// SetAltStack is sigaltstack(2) with a new stack.
func (t *Task) SetAltStack(s abi.SigStack) error { return t.setAltStack(s, t.regs.SP()) }

func (t *Task) setAltStack(s abi.SigStack, sp abi.Addr) error {
	if t.onAltStack(sp) {
		return abi.EPERM
	}
	mode := s.Flags &^ abi.SS_AUTODISARM
	if mode != 0 && mode != abi.SS_ONSTACK && mode != abi.SS_DISABLE {
		return abi.EINVAL
	}
	if mode == abi.SS_DISABLE {
		s.SP, s.Size = 0, 0
	} else if s.Size < minSigStack {
		return abi.ENOMEM
	}
	s.Flags &= abi.SS_AUTODISARM | abi.SS_DISABLE | abi.SS_ONSTACK
	t.altStack = abi.SigStack{SP: s.SP, Size: s.Size, Flags: s.Flags & abi.SS_AUTODISARM}
	return nil
}

// IgnoredOrBlocked reports whether the calling task blocks sig or its process ignores it,
// as terminals ask before SIGTTIN and SIGTTOU.
func (t *Task) IgnoredOrBlocked(sig int) bool {
	return t.SignalMask().Has(sig) || t.tg.handlersNow().get(sig).Handler == abi.SIG_IGN
}

func (tg *ThreadGroup) handlersNow() *SignalHandlers {
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	return tg.handlers
}

// MinSigStack is AT_MINSIGSTKSZ: what a signal frame needs, the processor's vector state
// included. The host's answer holds, as frames have the same layout.
func MinSigStack() uint64 {
	aux, err := unix.Auxv()
	if err == nil {
		for _, a := range aux {
			if a[0] == abi.AT_MINSIGSTKSZ {
				return uint64(a[1])
			}
		}
	}
	return minSigStack + maxXsave
}
