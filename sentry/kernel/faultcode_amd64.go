package kernel

import (
	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// Processor exceptions and the bits of a page fault's error code (Intel SDM 3A, 6.15).
const (
	trapDivide    = 0
	trapDebug     = 1
	trapInt3      = 3
	trapOverflow  = 4
	trapInvalid   = 6
	trapPageFault = 14
	trapX87       = 16
	trapAlignment = 17
	trapSIMD      = 19

	pfPresent = 1
	pfWrite   = 2
	pfUser    = 4
	pfFetch   = 16
)

// taskSizeMax is Linux's TASK_SIZE_MAX with four levels of page tables.
const taskSizeMax = 1<<47 - abi.PageSize

// maxInsn is the length of the longest instruction.
const maxInsn = 15

// completeFault finds out what the processor told the host but the platform cannot see:
// the number of the trap, and a page fault's error code. sig and code are those of the
// signal that the fault becomes.
func (t *Task) completeFault(ev *platform.Event, sig, code int32) (trap, errCode uint64) {
	if ev.Kind != platform.EventFault {
		if ev.TrapNo != 0 {
			return ev.TrapNo, ev.ErrCode
		}
		return t.trapOf(sig, code), 0
	}
	if sig == abi.SIGBUS && code == abi.BUS_ADRALN {
		return trapAlignment, 0
	}
	errCode = pfUser
	addr := ev.Addr
	access := ev.Access
	if access == 0 {
		access = t.accessAt(addr)
	}
	if access&platform.Exec != 0 {
		errCode |= pfFetch
	}
	if access&platform.Write != 0 {
		errCode |= pfWrite
	}
	// Linux shows addresses of the kernel's half as present, and an instruction fetch
	// brings the page in before it is refused.
	switch m := t.mm.Load(); {
	case addr >= taskSizeMax:
		errCode |= pfPresent
	case code == abi.SEGV_ACCERR && sig == abi.SIGSEGV && m.Accessible(addr) && (access&platform.Exec != 0 || m.Resident(addr)):
		errCode |= pfPresent
	}
	return trapPageFault, errCode
}

// trapOf returns the exception behind a signal.
func (t *Task) trapOf(sig, code int32) uint64 {
	switch {
	case sig == abi.SIGILL:
		return trapInvalid
	case sig == abi.SIGTRAP && code == abi.SI_KERNEL:
		return trapInt3
	case sig == abi.SIGTRAP:
		return trapDebug
	case sig == abi.SIGFPE && code == abi.FPE_INTDIV:
		return trapDivide
	case sig == abi.SIGFPE && code == abi.FPE_INTOVF:
		return trapOverflow
	case sig == abi.SIGFPE && t.unmaskedSIMD():
		return trapSIMD
	case sig == abi.SIGFPE:
		return trapX87
	}
	return 0
}

// unmaskedSIMD reports whether MXCSR has an exception that is not masked.
func (t *Task) unmaskedSIMD() bool {
	const mxcsr = 24 // in the XSAVE image
	fp, err := t.pctx.FPState()
	if err != nil || len(fp) < mxcsr+4 {
		return false
	}
	flags, masks := fp[mxcsr]&0x3f, (uint16(fp[mxcsr])|uint16(fp[mxcsr+1])<<8)>>7&0x3f
	return flags&^byte(masks) != 0
}

// accessAt returns the kind of access that faulted at addr.
func (t *Task) accessAt(addr abi.Addr) platform.Access {
	switch {
	case uint64(addr)-t.regs.Rip < maxInsn:
		return platform.Exec
	case t.writes(addr):
		return platform.Write
	}
	return platform.Read
}

// writes reports whether the instruction that runs wrote at addr.
// TRUST: its bytes are the application's, and may have been changed meanwhile.
func (t *Task) writes(addr abi.Addr) bool {
	var b [maxInsn]byte
	n := 0
	for n < len(b) && t.mm.Load().CopyIn(t.regs.IP()+abi.Addr(n), b[n:n+1]) == nil {
		n++
	}
	i, ok := decodeInsn(b[:n])
	if !ok {
		return false
	}
	switch r := &t.regs; i.access() {
	case accessWrite:
		return true
	case accessStack: // an operand is read, the stack written
		return near(uint64(addr), r.Rsp-8)
	case accessPop: // the stack is read, an operand written
		return !near(uint64(addr), r.Rsp)
	case accessMove:
		return near(uint64(addr), r.Rdi) && !near(uint64(addr), r.Rsi)
	}
	return false
}

// near reports whether addr lies in the eight bytes at base.
func near(addr, base uint64) bool { return addr-base < 8 }
