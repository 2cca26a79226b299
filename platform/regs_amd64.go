package platform

import "lazaret/syscalls/abi"

// Regs are the registers of an application thread, in the order of Linux's
// user_regs_struct (sys/user.h).
type Regs struct {
	R15, R14, R13, R12, Rbp, Rbx, R11, R10, R9, R8 uint64
	Rax, Rcx, Rdx, Rsi, Rdi                        uint64
	OrigRax                                        uint64
	Rip, Cs, Eflags, Rsp, Ss                       uint64
	FsBase, GsBase                                 uint64
	Ds, Es, Fs, Gs                                 uint64
}

// IP returns the instruction pointer.
func (r *Regs) IP() abi.Addr { return abi.Addr(r.Rip) }

// SetIP sets the instruction pointer.
func (r *Regs) SetIP(a abi.Addr) { r.Rip = uint64(a) }

// SP returns the stack pointer.
func (r *Regs) SP() abi.Addr { return abi.Addr(r.Rsp) }

// SetSP sets the stack pointer.
func (r *Regs) SetSP(a abi.Addr) { r.Rsp = uint64(a) }

// TLS returns the thread pointer.
func (r *Regs) TLS() uint64 { return r.FsBase }

// SetTLS sets the thread pointer.
func (r *Regs) SetTLS(v uint64) { r.FsBase = v }

// SyscallNo returns the number of the system call that stopped the thread.
func (r *Regs) SyscallNo() uint64 { return r.OrigRax }

// SyscallArgs returns its six arguments.
func (r *Regs) SyscallArgs() [6]uint64 {
	return [6]uint64{r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9}
}

// Return returns the value of the result register.
func (r *Regs) Return() uint64 { return r.Rax }

// SetReturn stores a system call's result: a value, or a negated error number.
func (r *Regs) SetReturn(v uint64) { r.Rax = v }

// syscallLen is the length of the system call instruction in bytes.
const syscallLen = 2

// RestartSyscall makes the thread execute its system call instruction again with number
// nr and the arguments it had.
func (r *Regs) RestartSyscall(nr uint64) {
	r.Rax = nr
	r.Rip -= syscallLen
}
