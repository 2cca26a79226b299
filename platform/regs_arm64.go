package platform

import "lazaret/syscalls/abi"

// Regs are the registers of an application thread: Linux's user_pt_regs
// (asm/ptrace.h), then what ptrace keeps in sets of their own.
type Regs struct {
	X      [31]uint64
	Sp     uint64
	Pc     uint64
	Pstate uint64
	Tpidr  uint64
	OrigX0 uint64
	Nr     uint64
}

// IP returns the instruction pointer.
func (r *Regs) IP() abi.Addr { return abi.Addr(r.Pc) }

// SetIP sets the instruction pointer.
func (r *Regs) SetIP(a abi.Addr) { r.Pc = uint64(a) }

// SP returns the stack pointer.
func (r *Regs) SP() abi.Addr { return abi.Addr(r.Sp) }

// SetSP sets the stack pointer.
func (r *Regs) SetSP(a abi.Addr) { r.Sp = uint64(a) }

// TLS returns the thread pointer.
func (r *Regs) TLS() uint64 { return r.Tpidr }

// SetTLS sets the thread pointer.
func (r *Regs) SetTLS(v uint64) { r.Tpidr = v }

// SyscallNo returns the number of the system call that stopped the thread.
func (r *Regs) SyscallNo() uint64 { return r.Nr }

// SyscallArgs returns its six arguments.
func (r *Regs) SyscallArgs() [6]uint64 {
	return [6]uint64{r.OrigX0, r.X[1], r.X[2], r.X[3], r.X[4], r.X[5]}
}

// Return returns the value of the result register.
func (r *Regs) Return() uint64 { return r.X[0] }

// SetReturn stores a system call's result: a value, or a negated error number.
func (r *Regs) SetReturn(v uint64) { r.X[0] = v }

// syscallLen is the length of the system call instruction in bytes.
const syscallLen = 4

// RestartSyscall makes the thread execute its system call instruction again with number
// nr and the arguments it had.
func (r *Regs) RestartSyscall(nr uint64) {
	r.X[0] = r.OrigX0
	r.X[8] = nr
	r.Pc -= syscallLen
}
