package trap

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/platform/internal/machine"
	"lazaret/syscalls/abi"
)

// Values of siginfo's si_code, and processor trap numbers.
const (
	siKernel = 0x80

	sysUretprobe = 335

	trapGeneral   = 13
	trapPageFault = 14

	errCodeWrite = 2
	errCodeUser  = 4
	errCodeFetch = 16
	// errCodeMask is what Linux lets applications see of a page fault's error code.
	errCodeMask = 0x7f
)

// vsyscalls are what the host emulates for calls into its vsyscall page.
var vsyscalls = [...]uint32{unix.SYS_GETTIMEOFDAY, unix.SYS_TIME, unix.SYS_GETCPU}

// stopped reads what stopped the thread and its registers. Not done means that it
// concerns nobody and the thread can go on.
//
// TRUST: the application can write the frame while we copy it. All that comes from the
// copy is the application's own registers, or describes its own fault.
func (c *context) stopped(regs *platform.Regs) (platform.Event, bool) {
	t := c.thread
	off, ok := t.slot.offset(t.slot.get(slotFrame), frameLen)
	if !ok {
		off = slotStack
	}
	copy(c.frame[:], t.slot.mem[off:])
	f := frame(c.frame[:])
	f.registers(regs)
	t.live = false
	if c.p.fsgs {
		t.fsBase, t.gsBase = t.slot.get(slotFS), t.slot.get(slotGS)
		if t.gsBase == t.slot.addr(0) {
			t.gsBase = 0
		}
	}
	sig := unix.Signal(f.u32(frameInfo))
	if inGate(regs.Rip) {
		if sig != interruptSignal && int32(f.u32(frameInfo+8)) > 0 {
			c.p.counters.refused.Add(1)
			return t.refused(regs), true
		}
		t.leaveGate(regs)
	}
	regs.FsBase, regs.GsBase = t.fsBase, t.gsBase
	machine.Sanitize(regs)
	switch {
	case sig == interruptSignal:
		// When the flag is down, another stop came first and the signal is late.
		return platform.Event{Kind: platform.EventInterrupt}, c.interrupted.Swap(false)
	case int32(f.u32(frameInfo+8)) <= 0:
		return platform.Event{}, false // sent by a process
	case sig == unix.SIGSYS:
		return f.systemCall(regs), true
	default:
		return f.exception(sig, regs), true
	}
}

// frame is a host's signal frame, copied.
type frame []byte

func (f frame) u32(off int) uint32 { return binary.NativeEndian.Uint32(f[off:]) }
func (f frame) u64(off int) uint64 { return binary.NativeEndian.Uint64(f[off:]) }

// registers stores the frame's registers.
func (f frame) registers(r *platform.Regs) {
	for i, p := range [18]*uint64{
		&r.R8, &r.R9, &r.R10, &r.R11, &r.R12, &r.R13, &r.R14, &r.R15, &r.Rdi, &r.Rsi, &r.Rbp, &r.Rbx,
		&r.Rdx, &r.Rax, &r.Rcx, &r.Rsp, &r.Rip, &r.Eflags,
	} {
		*p = f.u64(frameRegs + 8*i)
	}
}

// systemCall is an event of seccomp's.
func (f frame) systemCall(r *platform.Regs) platform.Event {
	const callAddr, callNo, callArch = frameInfo + 16, frameInfo + 24, frameInfo + 28
	if f.u64(callAddr) >= machine.VsyscallBase {
		return vsyscallFault(f.u32(callNo), r)
	}
	if f.u32(callArch) != unix.AUDIT_ARCH_X86_64 {
		// int 0x80: what a kernel without 32-bit emulation answers.
		const int80Len = 2
		r.Rip -= int80Len
		return generalProtection()
	}
	r.OrigRax = r.Rax
	r.Rax = ^uint64(unix.ENOSYS - 1) // -ENOSYS
	return platform.Event{Kind: platform.EventSyscall, Trapped: true}
}

func generalProtection() platform.Event {
	return platform.Event{
		Kind: platform.EventException, Signal: int32(unix.SIGSEGV), Code: siKernel, TrapNo: trapGeneral,
	}
}

// exception is an event of the processor's.
func (f frame) exception(sig unix.Signal, r *platform.Regs) platform.Event {
	if !slices.Contains(handled, sig) {
		return generalProtection() // no handler wrote that
	}
	ev := platform.Event{
		Kind: platform.EventException, Signal: int32(sig), Code: int32(f.u32(frameInfo + 8)),
		Addr: abi.Addr(f.u64(frameInfo + 16)),
	}
	switch sig {
	case unix.SIGSEGV, unix.SIGBUS:
		if ev.Code == siKernel {
			if sig == unix.SIGSEGV {
				return generalProtection()
			}
			return ev
		}
		ev.Kind, ev.TrapNo = platform.EventFault, trapPageFault
		ev.ErrCode = f.u64(frameErr)&errCodeMask | errCodeUser
		switch {
		case ev.ErrCode&errCodeFetch != 0:
			ev.Access = platform.Exec
		case ev.ErrCode&errCodeWrite != 0:
			ev.Access = platform.Write
		default:
			ev.Access = platform.Read
		}
	case unix.SIGILL:
		if ev.Code == siKernel {
			// uretprobe(2), the one call that the host keeps from filters, kills all
			// callers but its own trampolines so. (uprobe(2) gets an error, unseen.)
			r.OrigRax, r.Rax = sysUretprobe, ^uint64(unix.ENOSYS-1)
			return platform.Event{Kind: platform.EventSyscall}
		}
	case unix.SIGTRAP:
		if ev.Code == siKernel {
			ev.Addr = 0 // int3
		}
	}
	return ev
}

// vsyscallFault undoes the host's emulation of a call into its vsyscall page, which the
// filter refused after it had already returned to the caller.
func vsyscallFault(nr uint32, r *platform.Regs) platform.Event {
	var n uint64
	for i, v := range vsyscalls {
		if v == nr {
			n = uint64(i)
		}
	}
	r.Rip = machine.VsyscallBase + n*machine.VsyscallStep
	r.Rsp -= 8
	return platform.Event{
		Kind: platform.EventFault, Signal: int32(unix.SIGSEGV), Code: 1, Addr: abi.Addr(r.Rip),
		Access: platform.Exec, TrapNo: trapPageFault, ErrCode: errCodeUser | errCodeFetch,
	}
}
