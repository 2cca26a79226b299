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

// ArgCheck says that an argument, masked, must have a value.
type ArgCheck struct {
	n         uint32
	mask, val uint64
}

// ArgIs says that argument n must be val.
func ArgIs(n, val uint32) ArgCheck { return ArgCheck{n, ^uint64(0), uint64(val)} }

// ArgMasked says that argument n must be val after masking.
func ArgMasked(n uint32, mask, val uint64) ArgCheck { return ArgCheck{n, mask, val} }

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
	// Each check is six instructions, then the return.
	left := uint8(6*len(checks) + 1)
	f.Add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, left, nr)
	for _, c := range checks {
		f.word(DataArgs+8*c.n, uint32(c.mask), uint32(c.val), left-3)
		f.word(DataArgs+8*c.n+4, uint32(c.mask>>32), uint32(c.val>>32), left-6)
		left -= 6
	}
	f.Ret(unix.SECCOMP_RET_ALLOW)
}

// word skips some instructions unless a masked word has a value.
func (f *Filter) word(off, mask, val uint32, skip uint8) {
	f.Load(off)
	f.Add(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, 0, 0, mask)
	f.Add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, skip, val)
}
