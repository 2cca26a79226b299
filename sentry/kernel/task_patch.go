package kernel

import (
	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// meetPatches is called before the task runs application code.
func (t *Task) meetPatches() {
	m := t.mm.Load()
	if t.ptraced.Load() {
		m.StopPatching()
	}
	m.SkipPatched(&t.regs)
}

// leavePatch sees to it that nothing but this file knows of patched code: registers never
// name a trampoline, and what only a patch does to a thread is undone. True means that
// there was nothing else to the event.
func (t *Task) leavePatch(ev *platform.Event) bool {
	m := t.mm.Load()
	if ev.Kind == platform.EventSyscall {
		if ev.Trapped && !t.ptraced.Load() {
			m.NoteCall(t.regs.IP(), t.regs.SyscallNo())
		}
		return false
	}
	if m.RewindPatched(&t.regs) {
		if ev.Kind == platform.EventException && ev.Signal == abi.SIGTRAP {
			// The program steps through itself: let it step through its own code.
			m.StopPatching()
		}
		return ev.Kind != platform.EventInterrupt
	}
	if ev.Kind == platform.EventException && ev.Signal == abi.SIGILL {
		// Where a patch covers more than the call, code may be entered behind it.
		return m.SkipPatched(&t.regs) || m.LatePatchFault(t.regs.IP())
	}
	return false
}
