package ptrace

import (
	"golang.org/x/sys/unix"

	"lazaret/platform/internal/machine"
)

// errGone says that a stub thread died or is not traced any more.
const errGone = unix.ESRCH

// hostCall is a system call to inject.
type hostCall struct {
	entry uint64
	nr    uint64
	args  [6]uint64
	more  [5]uint64 // entryProt: R12, R13, R14, RBP, RSP
	r15   uint64    // entryFork: the Sentry's process id
}

// inject makes the stopped stub thread tid, traced by the caller's thread, execute a
// system call, and returns its raw result (negated errno on failure). The thread's
// registers are lost.
func inject(tid int32, c *hostCall) (int64, error) {
	regs := hostRegs{
		Rip: c.entry, Rax: c.nr, OrigRax: ^uint64(0), Cs: machine.UserCS, Ss: machine.UserSS, Eflags: machine.EflagsFixed,
		Rdi: c.args[0], Rsi: c.args[1], Rdx: c.args[2], R10: c.args[3], R8: c.args[4], R9: c.args[5],
		R12: c.more[0], R13: c.more[1], R14: c.more[2], Rbp: c.more[3], Rsp: c.more[4], R15: c.r15,
	}
	if e := setRegs(tid, &regs); e != 0 {
		return 0, e
	}
	for {
		if e := resume(tid); e != 0 {
			return 0, e
		}
		status, err := waitStatus(tid)
		if err != nil {
			return 0, err
		}
		if !status.Stopped() {
			return 0, errGone
		}
		if status == doneStatus {
			if e := getRegs(tid, &regs); e != 0 {
				return 0, e
			}
			return int64(regs.Rbx), nil
		}
		if err := checkDropped(tid, status); err != nil {
			return 0, err
		}
	}
}

// checkDropped lets a signal from outside be dropped. An exception cannot happen in the
// stub's own page; should it, then it must not happen again and again.
func checkDropped(tid int32, status unix.WaitStatus) error {
	if status>>eventShift != 0 || !isException(status.StopSignal()) {
		return nil
	}
	var si siginfo
	if e := getSiginfo(tid, &si); e != 0 {
		return e
	}
	if si.code > 0 {
		return unix.EFAULT
	}
	return nil
}

// Wait statuses: a stop shows its signal in bits 8-15 and its ptrace event above.
const (
	stopped       = 0x7f
	doneStatus    = unix.WaitStatus(unix.PTRACE_EVENT_SECCOMP)<<eventShift | unix.WaitStatus(unix.SIGTRAP)<<8 | stopped
	syscallStatus = unix.WaitStatus(unix.SIGTRAP|0x80)<<8 | stopped
	eventShift    = 16
)

// seizeAtRest makes the calling thread the tracer of a stub's resting leader and stops it.
func seizeAtRest(pid int32) error {
	if e := seize(pid); e != 0 {
		return e
	}
	if e := interrupt(pid); e != 0 {
		return e
	}
	status, err := waitStatus(pid)
	if err != nil {
		return err
	}
	if !status.Stopped() {
		return errGone
	}
	return nil
}

// layToRest undoes seizeAtRest. The stub continues at entry: entryRest or entryArm.
func layToRest(pid int32, entry, parent uint64) error {
	regs := hostRegs{
		Rip: entry, R15: parent, OrigRax: ^uint64(0), Cs: machine.UserCS, Ss: machine.UserSS, Eflags: machine.EflagsFixed,
	}
	if e := setRegs(pid, &regs); e != 0 {
		return e
	}
	if e := detach(pid); e != 0 {
		return e
	}
	return nil
}

// isAtRest says whether a stub's leader was stopped in its final sleep.
func isAtRest(regs *hostRegs) bool {
	return regs.Rip >= entryRest && regs.Rip < entryRest+entrySize
}
