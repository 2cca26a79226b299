package platform

import (
	"errors"

	"lazaret/syscalls/abi"
)

// Platform makes address spaces and contexts. Safe for concurrent use.
type Platform interface {
	// NewAddressSpace returns an empty address space.
	NewAddressSpace() (AddressSpace, error)

	// NewContext returns the machine state of a new application thread.
	NewContext() Context

	// UserRange returns the addresses that applications may map; the platform keeps
	// the rest of the address space to itself.
	UserRange() abi.AddrRange

	// Close ends every stub. No other method may be called after it.
	Close()
}

// Access is a set of memory permissions, or the kinds of access that faulted.
type Access uint8

// Permissions; the values are those of PROT_READ, PROT_WRITE and PROT_EXEC.
const (
	Read  Access = 1
	Write Access = 2
	Exec  Access = 4
)

// AddressSpace is a set of host file mappings that application threads see. Methods are
// safe for concurrent use; calls that overlap in range must be ordered by the caller.
// Ranges are page-aligned, not empty, and lie inside UserRange.
type AddressSpace interface {
	// Map maps [off, off+r.Len()) of the host file fd at r, shared, with permissions
	// prot (none is allowed), replacing what was there. fd must stay open for the call
	// only. Errors are abi.Errno values (ENOMEM, EACCES, ENODEV ...).
	Map(r abi.AddrRange, fd int, off int64, prot Access) error

	// Unmap removes whatever is mapped in r.
	Unmap(r abi.AddrRange) error

	// Protect changes the permissions of what is mapped in r; holes are skipped.
	Protect(r abi.AddrRange, prot Access) error

	// Fork returns a new address space with the same mappings. The kernel calls it
	// after it has write-protected what the two must not share.
	Fork() (AddressSpace, error)

	// Release unmaps everything and frees the host's resources. The caller guarantees
	// that no Context is switched into it and that none will be.
	Release()
}

// Context is the state of one application thread. All methods but Interrupt are called
// from the task's own goroutine, one at a time.
type Context interface {
	// Switch runs application code in as with the given registers until an event that
	// the kernel must handle, and stores the registers back. For EventSyscall, IP
	// points after the system call instruction and the number and arguments are read
	// with SyscallNo and SyscallArgs. The registers passed in are sanitized (segment
	// selectors, flags) so that no value can harm the host.
	//
	// An error means that the thread cannot run any more (its stub is gone).
	Switch(as AddressSpace, regs *Regs) (Event, error)

	// FPState returns the floating point and vector state as an XSAVE image in standard
	// format (amd64) or a user_fpsimd_state (arm64), as ptrace(PTRACE_GETREGSET,
	// NT_X86_XSTATE or NT_PRFPREG) gives it. The slice belongs to the caller.
	FPState() ([]byte, error)

	// SetFPState replaces that state by data in the same format; nil means the initial
	// state of a new program. Data that the processor would refuse gives EINVAL.
	SetFPState(data []byte) error

	// Interrupt makes the running Switch, or else the next one, return soon with
	// EventInterrupt. It may be called from any goroutine, never blocks for long and
	// may be called at any time until Release returns.
	Interrupt()

	// Release ends the context.
	Release()
}

// Placer is what a Context also is when its platform can choose the processors that it
// runs on.
type Placer interface {
	// SetProcessors says which processors the thread may run on from its next Switch on:
	// bit n of the mask is the n-th that the sandbox has; nil means all. It may be called
	// from any goroutine, until Release or after.
	SetProcessors(mask []uint64)
}

// Patcher is what a Platform also is when a jump into code of its own does what a system
// call instruction does, only faster. Its methods depend on nothing but their arguments.
type Patcher interface {
	// FindSite looks at the system call instruction that ends at code[end], at address
	// addr, which was executed with number nr, and says what a jump would replace there.
	// It says no where the program may depend on what would be overwritten.
	FindSite(code []byte, end int, addr abi.Addr, nr uint64) (Site, bool)

	// Link returns the jump to be put at s.Start and the trampoline, at most
	// TrampolineLen bytes, to be put at tramp. It says no if that place does not serve s.
	Link(s Site, tramp abi.Addr) (jump, trampoline []byte, ok bool)

	// Rewind gives a thread that was stopped off bytes into the trampoline of s the
	// registers it would have at an instruction of the unpatched program.
	Rewind(s Site, off uint64, regs *Regs)

	// Skip does what the instruction at s.End does that the jump has overwritten; for a
	// site with Over only.
	Skip(s Site, regs *Regs)
}

// TrampolineLen is the room for one trampoline.
const TrampolineLen = 32

// Site is a system call instruction that a jump can replace, maybe with what is next to it.
type Site struct {
	Start abi.Addr // what is overwritten starts here
	End   abi.Addr // after the system call instruction
	Over  bool     // the instruction at End is overwritten too: jumps there raise SIGILL
	Insn  [8]byte  // the other instruction of the two that a jump replaces
	Len   uint8    // its length
}

// Answerer is what a Context also is when it can answer system calls by itself.
type Answerer interface {
	// SetAnswer says that system call nr returns v, whatever its arguments: the thread's
	// next calls may return that without an event. It is called by the task's goroutine.
	SetAnswer(nr uint64, v uint32)

	// ClearAnswers takes all answers back: calls that begin after it returns are events.
	// It may be called from any goroutine, at any time.
	ClearAnswers()
}

// EventKind says why Switch returned.
type EventKind uint8

// Kinds of event.
const (
	EventInterrupt EventKind = iota // Interrupt was called
	EventSyscall                    // a system call instruction
	EventFault                      // a memory access that no mapping allows (SIGSEGV, SIGBUS)
	EventException                  // another processor exception: Signal and Code say which
)

// Event is what stopped application code.
type Event struct {
	Kind    EventKind
	Trapped bool     // EventSyscall: it cost a signal, which a patch would save (Patcher)
	Signal  int32    // EventFault, EventException: the signal Linux would send
	Code    int32    // and its si_code
	Addr    abi.Addr // and its si_addr
	Access  Access   // EventFault: the kind of access, 0 when unknown
	TrapNo  uint64   // amd64: processor trap number for the signal frame, 0 when unknown
	ErrCode uint64   // amd64: page fault error code for the signal frame, 0 when unknown
}

// ErrUnsupported says that the host cannot run a platform; wrapped with what is missing
// and what to do.
var ErrUnsupported = errors.New("platform not supported by this host")
