package ptrace

import (
	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/platform/internal/machine"
	"lazaret/syscalls/abi"
)

// Values of siginfo's si_code, and processor trap numbers.
const (
	siKernel  = 0x80
	segvMaper = 1

	trapGeneral   = 13
	trapPageFault = 14

	errCodePresent = 1
	errCodeUser    = 4
)

// syscallStop reports a system call instruction.
func (c *context) syscallStop(regs *platform.Regs) (platform.Event, error) {
	if e := getRegs(c.thread.tid, regs); e != 0 {
		return platform.Event{}, c.lost(e)
	}
	// The syscall instruction leaves its return address in RCX. A program that makes
	// int 0x80 look the same harms nobody: it could as well have used syscall.
	if regs.Cs == machine.UserCS && regs.Rcx == regs.Rip {
		return platform.Event{Kind: platform.EventSyscall}, nil
	}
	arch, e := syscallArch(c.thread.tid)
	if regs.Cs == machine.UserCS && e == 0 && arch == unix.AUDIT_ARCH_X86_64 {
		return platform.Event{Kind: platform.EventSyscall}, nil
	}
	// int 0x80 or 32-bit code: what a kernel without 32-bit emulation answers.
	const int80Len = 2
	regs.Rip -= int80Len
	regs.Rax = regs.OrigRax
	regs.OrigRax = ^uint64(0)
	return generalProtection(), nil
}

func generalProtection() platform.Event {
	return platform.Event{
		Kind: platform.EventException, Signal: int32(unix.SIGSEGV), Code: siKernel, TrapNo: trapGeneral,
	}
}

// signalStop reports a stop that is not a system call. Not done means that it concerns
// nobody.
func (c *context) signalStop(status unix.WaitStatus, regs *platform.Regs) (platform.Event, bool, error) {
	sig := status.StopSignal()
	if sig == interruptSignal {
		// When the flag is down, another stop came first and the signal is late.
		if !c.interrupted.Swap(false) {
			return platform.Event{}, false, nil
		}
		return platform.Event{Kind: platform.EventInterrupt}, true, c.readRegs(regs)
	}
	if status>>eventShift != 0 || !isException(sig) {
		return platform.Event{}, false, nil
	}
	var si siginfo
	if e := getSiginfo(c.thread.tid, &si); e != 0 {
		return platform.Event{}, false, c.lost(e)
	}
	if si.code <= 0 {
		return platform.Event{}, false, nil // sent by a process
	}
	if err := c.readRegs(regs); err != nil {
		return platform.Event{}, false, err
	}
	return exception(&si, regs), true, nil
}

// readRegs reads the registers at a stop that is not a system call.
func (c *context) readRegs(regs *platform.Regs) error {
	if e := getRegs(c.thread.tid, regs); e != 0 {
		return c.lost(e)
	}
	// Whatever ran in this thread before, nothing must look like a call to restart.
	regs.OrigRax = ^uint64(0)
	return nil
}

// isException says whether the processor's exceptions can raise the signal.
func isException(sig unix.Signal) bool {
	switch sig {
	case unix.SIGSEGV, unix.SIGBUS, unix.SIGILL, unix.SIGFPE, unix.SIGTRAP, unix.SIGSYS:
		return true
	}
	return false
}

func exception(si *siginfo, regs *platform.Regs) platform.Event {
	ev := platform.Event{
		Kind: platform.EventException, Signal: si.signo, Code: si.code, Addr: abi.Addr(si.addr),
	}
	switch unix.Signal(si.signo) {
	case unix.SIGSEGV:
		if si.code == siKernel {
			return generalProtection()
		}
		ev.Kind = platform.EventFault
		ev.TrapNo = trapPageFault
		ev.ErrCode = errCodeUser
		if si.code != segvMaper {
			ev.ErrCode |= errCodePresent
		} else if ev.Addr == regs.IP() {
			// Nothing is mapped where the instruction should be.
			ev.Access = platform.Exec
		}
	case unix.SIGBUS:
		if si.code != siKernel {
			ev.Kind = platform.EventFault
			ev.TrapNo = trapPageFault
			ev.ErrCode = errCodeUser
		}
	case unix.SIGSYS:
		return vsyscallFault(si, regs)
	case unix.SIGTRAP:
		if si.code == siKernel {
			ev.Addr = 0 // int3
		}
	}
	return ev
}

// vsyscallFault undoes the host's emulation of a call into its vsyscall page, which our
// filter refused after it had already returned to the caller.
func vsyscallFault(si *siginfo, regs *platform.Regs) platform.Event {
	var n uint64
	for i, nr := range vsyscalls {
		if int32(nr) == si.callNr {
			n = uint64(i)
		}
	}
	regs.Rip = machine.VsyscallBase + n*machine.VsyscallStep
	regs.Rsp -= 8
	return platform.Event{
		Kind: platform.EventFault, Signal: int32(unix.SIGSEGV), Code: segvMaper,
		Addr: abi.Addr(regs.Rip), Access: platform.Exec, TrapNo: trapPageFault, ErrCode: errCodeUser | 0x10,
	}
}
