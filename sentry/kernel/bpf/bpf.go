package bpf

import "lazaret/syscalls/abi"

// Insn is struct sock_filter.
type Insn struct {
	Code   uint16
	JT, JF uint8
	K      uint32
}

// InsnSize is its size in application memory.
const InsnSize = 8

// DataSize is sizeof(struct seccomp_data).
const DataSize = 64

// Program is an accepted filter.
type Program struct{ insns []Insn }

// Len returns the number of instructions.
func (p *Program) Len() int { return len(p.insns) }

// Insns returns the instructions. They must not be changed.
func (p *Program) Insns() []Insn { return p.insns }

// Operations that seccomp allows (seccomp_check_filter in Linux's kernel/seccomp.c).
var allowed = map[uint16]bool{
	abi.BPF_LD | abi.BPF_W | abi.BPF_ABS: true,
	abi.BPF_LD | abi.BPF_W | abi.BPF_LEN: true, abi.BPF_LDX | abi.BPF_W | abi.BPF_LEN: true,
	abi.BPF_RET | abi.BPF_K: true, abi.BPF_RET | abi.BPF_A: true,
	abi.BPF_ALU | abi.BPF_NEG: true,
	abi.BPF_LD | abi.BPF_IMM:  true, abi.BPF_LDX | abi.BPF_IMM: true,
	abi.BPF_MISC | abi.BPF_TAX: true, abi.BPF_MISC | abi.BPF_TXA: true,
	abi.BPF_LD | abi.BPF_MEM: true, abi.BPF_LDX | abi.BPF_MEM: true,
	abi.BPF_ST: true, abi.BPF_STX: true,
	abi.BPF_JMP | abi.BPF_JA: true,
}

func init() {
	for _, op := range []uint16{abi.BPF_ADD, abi.BPF_SUB, abi.BPF_MUL, abi.BPF_DIV, abi.BPF_AND, abi.BPF_OR, abi.BPF_XOR, abi.BPF_LSH, abi.BPF_RSH} {
		allowed[abi.BPF_ALU|op|abi.BPF_K] = true
		allowed[abi.BPF_ALU|op|abi.BPF_X] = true
	}
	for _, op := range []uint16{abi.BPF_JEQ, abi.BPF_JGT, abi.BPF_JGE, abi.BPF_JSET} {
		allowed[abi.BPF_JMP|op|abi.BPF_K] = true
		allowed[abi.BPF_JMP|op|abi.BPF_X] = true
	}
}

// Compile checks a filter (EINVAL).
func Compile(insns []Insn) (*Program, error) {
	n := len(insns)
	if n == 0 || n > abi.BPF_MAXINSNS {
		return nil, abi.EINVAL
	}
	for i, in := range insns {
		if !allowed[in.Code] || !checkOperand(in) || !checkJump(in, i, n) {
			return nil, abi.EINVAL
		}
	}
	if last := insns[n-1].Code; last != abi.BPF_RET|abi.BPF_K && last != abi.BPF_RET|abi.BPF_A {
		return nil, abi.EINVAL
	}
	if !checkLoads(insns) {
		return nil, abi.EINVAL
	}
	return &Program{append([]Insn(nil), insns...)}, nil
}

func checkOperand(in Insn) bool {
	switch in.Code {
	case abi.BPF_LD | abi.BPF_W | abi.BPF_ABS:
		return in.K < DataSize && in.K&3 == 0
	case abi.BPF_LD | abi.BPF_MEM, abi.BPF_LDX | abi.BPF_MEM, abi.BPF_ST, abi.BPF_STX:
		return in.K < abi.BPF_MEMWORDS
	case abi.BPF_ALU | abi.BPF_DIV | abi.BPF_K:
		return in.K != 0
	case abi.BPF_ALU | abi.BPF_LSH | abi.BPF_K, abi.BPF_ALU | abi.BPF_RSH | abi.BPF_K:
		return in.K < 32
	}
	return true
}

func checkJump(in Insn, i, n int) bool {
	if in.Code&7 != abi.BPF_JMP {
		return true
	}
	if in.Code == abi.BPF_JMP|abi.BPF_JA {
		return uint64(in.K) < uint64(n-i-1)
	}
	return i+int(in.JT)+1 < n && i+int(in.JF)+1 < n
}

// checkLoads makes sure that no scratch word is read before it was written, on any path
// (check_load_and_stores in Linux's net/core/filter.c).
func checkLoads(insns []Insn) bool {
	masks := make([]uint16, len(insns))
	for i := range masks {
		masks[i] = ^uint16(0)
	}
	valid := uint16(0)
	for i, in := range insns {
		valid &= masks[i]
		switch in.Code {
		case abi.BPF_ST, abi.BPF_STX:
			valid |= 1 << in.K
		case abi.BPF_LD | abi.BPF_MEM, abi.BPF_LDX | abi.BPF_MEM:
			if valid&(1<<in.K) == 0 {
				return false
			}
		case abi.BPF_JMP | abi.BPF_JA:
			masks[i+1+int(in.K)] &= valid
			valid = ^uint16(0)
		default:
			if in.Code&7 == abi.BPF_JMP {
				masks[i+1+int(in.JT)] &= valid
				masks[i+1+int(in.JF)] &= valid
				valid = ^uint16(0)
			}
		}
	}
	return true
}

// Data is struct seccomp_data as 32-bit words, little-endian.
type Data [DataSize / 4]uint32

// Run runs the filter and returns its value.
func (p *Program) Run(d *Data) uint32 {
	var a, x uint32
	var mem [abi.BPF_MEMWORDS]uint32
	for pc := 0; pc < len(p.insns); pc++ {
		in := &p.insns[pc]
		switch in.Code & 7 {
		case abi.BPF_RET:
			if in.Code&0x18 == 0x10 { // BPF_A
				return a
			}
			return in.K
		case abi.BPF_LD:
			a = load(in, d, &mem)
		case abi.BPF_LDX:
			x = load(in, d, &mem)
		case abi.BPF_ST:
			mem[in.K&15] = a
		case abi.BPF_STX:
			mem[in.K&15] = x
		case abi.BPF_ALU:
			v := in.K
			if in.Code&abi.BPF_X != 0 {
				v = x
			}
			var ok bool
			if a, ok = alu(in.Code&0xf0, a, v); !ok {
				return 0 // division by zero: as a filter that returns 0
			}
		case abi.BPF_JMP:
			pc += jump(in, a, x)
		case abi.BPF_MISC:
			if in.Code == abi.BPF_MISC|abi.BPF_TAX {
				x = a
			} else {
				a = x
			}
		}
	}
	return 0
}

func load(in *Insn, d *Data, mem *[abi.BPF_MEMWORDS]uint32) uint32 {
	switch in.Code & 0xe0 {
	case abi.BPF_ABS:
		return d[in.K/4&15]
	case abi.BPF_LEN:
		return DataSize
	case abi.BPF_MEM:
		return mem[in.K&15]
	}
	return in.K
}

func alu(op uint16, a, v uint32) (uint32, bool) {
	switch op {
	case abi.BPF_ADD:
		return a + v, true
	case abi.BPF_SUB:
		return a - v, true
	case abi.BPF_MUL:
		return a * v, true
	case abi.BPF_DIV:
		if v == 0 {
			return 0, false
		}
		return a / v, true
	case abi.BPF_AND:
		return a & v, true
	case abi.BPF_OR:
		return a | v, true
	case abi.BPF_XOR:
		return a ^ v, true
	case abi.BPF_LSH:
		return a << (v & 31), true
	case abi.BPF_RSH:
		return a >> (v & 31), true
	}
	return -a, true // BPF_NEG
}

func jump(in *Insn, a, x uint32) int {
	v := in.K
	if in.Code&abi.BPF_X != 0 {
		v = x
	}
	var taken bool
	switch in.Code & 0xf0 {
	case abi.BPF_JA:
		return int(in.K)
	case abi.BPF_JEQ:
		taken = a == v
	case abi.BPF_JGT:
		taken = a > v
	case abi.BPF_JGE:
		taken = a >= v
	case abi.BPF_JSET:
		taken = a&v != 0
	}
	if taken {
		return int(in.JT)
	}
	return int(in.JF)
}
