package kernel

import (
	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// Answers: some system calls have a result that stays the same for long, and a platform
// may give it without the kernel (platform.Answerer). Who changes what such a call
// returns, or what must see each call, calls dropAnswers afterwards:
//
//   - credentials: SetCreds, SetImage;
//   - the parent: setParentLocked;
//   - a tracer, a seccomp filter: linkTracerLocked, setSeccompMode;
//   - --strace: WatchCalls.
//
// A new program, a new thread and a new process begin without answers.

// answerable says whether the result of a call depends on the task alone, as it is.
func (t *Task) answerable(nr uint64) bool {
	switch nr {
	case abi.SYS_GETPID, abi.SYS_GETTID, abi.SYS_GETPPID:
		return true
	case abi.SYS_GETUID, abi.SYS_GETEUID, abi.SYS_GETGID, abi.SYS_GETEGID:
		// In others the maps of ids may be yet to be written, by somebody else.
		return t.UserNS() == t.k.RootUserNS
	}
	return false
}

// offerAnswer lets the platform answer call nr with v. gen is answerGen from before v was
// found out.
func (t *Task) offerAnswer(nr, v uint64, gen uint32) {
	a, ok := t.pctx.(platform.Answerer)
	if !ok || v > 1<<31 || t.callsWatched() {
		return
	}
	a.SetAnswer(nr, uint32(v))
	// Whoever changes the result after this sees the answer, and drops it.
	if t.answerGen.Load() != gen || t.callsWatched() {
		a.ClearAnswers()
	}
}

// callsWatched reports whether somebody must see each of the task's system calls.
func (t *Task) callsWatched() bool { return t.syscallWork() || t.k.watched.Load() }

// dropAnswers makes the task's calls come to the kernel again. Any goroutine may call it.
func (t *Task) dropAnswers() {
	t.answerGen.Add(1)
	if a, ok := t.pctx.(platform.Answerer); ok {
		a.ClearAnswers()
	}
}

// setParentLocked gives an orphan its new parent. tasksMu is held.
func (tg *ThreadGroup) setParentLocked(p *ThreadGroup) {
	tg.parent = p
	for _, t := range tg.tasks {
		t.dropAnswers()
	}
}

// setSeccompMode makes filters, or strict mode, take effect.
func (t *Task) setSeccompMode(mode int32) {
	t.seccompMode.Store(mode)
	t.dropAnswers()
}

// WatchCalls says whether somebody watches all system calls of the sandbox.
func (k *Kernel) WatchCalls(on bool) {
	k.watched.Store(on)
	if !on {
		return
	}
	k.tasksMu.RLock()
	defer k.tasksMu.RUnlock()
	for _, p := range k.RootPIDNS.byNumber {
		if p.group == nil {
			continue
		}
		for _, t := range p.group.tasks {
			t.dropAnswers()
		}
	}
}

// WatchingTable is what a SyscallTable also is when it can be told to show each call.
type WatchingTable interface {
	// SetWatched is called once, before the first task starts: from then on the table
	// calls k.WatchCalls when it begins to show calls, before that returns, or ends it.
	SetWatched(k *Kernel)
}
