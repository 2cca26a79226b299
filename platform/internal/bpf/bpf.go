// Package bpf builds the small seccomp filters of stub processes.
package bpf

import "golang.org/x/sys/unix"

// Offsets in struct seccomp_data.
const (
	DataNr   = 0
	DataArch = 4
	DataIP   = 8
	DataArgs = 16
)

// Filter is a seccomp filter under construction.
type Filter []unix.SockFilter

// ArgCheck says that an argument must have this value; its upper half must be zero.
type ArgCheck struct {
	n   uint32
	val uint32
}

// ArgIs says that argument n must be val.
func ArgIs(n, val uint32) ArgCheck { return ArgCheck{n, val} }

// Add appends an instruction.
func (f *Filter) Add(code uint16, jt, jf uint8, k uint32) {
	*f = append(*f, unix.SockFilter{Code: code, Jt: jt, Jf: jf, K: k})
}

// Load loads a word of struct seccomp_data.
func (f *Filter) Load(off uint32) { f.Add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, 0, 0, off) }

// Ret ends the filter with an action.
func (f *Filter) Ret(k uint32) { f.Add(unix.BPF_RET|unix.BPF_K, 0, 0, k) }

// KillUnless ends the process unless the loaded word is k.
func (f *Filter) KillUnless(k uint32) {
	f.Add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 1, 0, k)
	f.Ret(unix.SECCOMP_RET_KILL_PROCESS)
}

// IfEqual ends the filter with an action if the loaded word is k.
func (f *Filter) IfEqual(k, action uint32) {
	f.Add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, 1, k)
	f.Ret(action)
}

// Rule allows one system call if all checks hold.
func (f *Filter) Rule(nr uint32, checks ...ArgCheck) {
	f.Load(DataNr)
	// Each check is four instructions, then the return.
	left := uint8(4*len(checks) + 1)
	f.Add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, left, nr)
	for _, c := range checks {
		f.Load(DataArgs + 8*c.n)
		f.Add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, left-2, c.val)
		f.Load(DataArgs + 8*c.n + 4)
		f.Add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, left-4, 0)
		left -= 4
	}
	f.Ret(unix.SECCOMP_RET_ALLOW)
}
