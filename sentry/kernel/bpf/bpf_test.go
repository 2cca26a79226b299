package bpf

import (
	"testing"

	"lazaret/syscalls/abi"
)

const (
	ldAbs = abi.BPF_LD | abi.BPF_W | abi.BPF_ABS
	ldImm = abi.BPF_LD | abi.BPF_IMM
	ldMem = abi.BPF_LD | abi.BPF_MEM
	retK  = abi.BPF_RET | abi.BPF_K
	retA  = abi.BPF_RET | abi.BPF_A
	tax   = abi.BPF_MISC | abi.BPF_TAX
)

func alu1(op uint16, a, x uint32) []Insn {
	return []Insn{{Code: ldImm, K: x}, {Code: tax}, {Code: ldImm, K: a}, {Code: abi.BPF_ALU | op | abi.BPF_X}, {Code: retA}}
}

func TestRun(t *testing.T) {
	d := &Data{1, 2, 3, 4, 5, 6}
	for _, c := range []struct {
		name string
		p    []Insn
		want uint32
	}{
		{"return", []Insn{{Code: retK, K: 7}}, 7},
		{"load", []Insn{{Code: ldAbs, K: 20}, {Code: retA}}, 6},
		{"length", []Insn{{Code: abi.BPF_LD | abi.BPF_W | abi.BPF_LEN}, {Code: retA}}, 64},
		{"add", alu1(abi.BPF_ADD, 3, 4), 7},
		{"sub", alu1(abi.BPF_SUB, 3, 4), ^uint32(0)},
		{"mul", alu1(abi.BPF_MUL, 3, 4), 12},
		{"div", alu1(abi.BPF_DIV, 9, 4), 2},
		{"div by zero", alu1(abi.BPF_DIV, 9, 0), 0},
		{"and", alu1(abi.BPF_AND, 6, 3), 2},
		{"or", alu1(abi.BPF_OR, 6, 3), 7},
		{"xor", alu1(abi.BPF_XOR, 6, 3), 5},
		{"lsh", alu1(abi.BPF_LSH, 1, 4), 16},
		{"rsh", alu1(abi.BPF_RSH, 16, 4), 1},
		{"neg", []Insn{{Code: ldImm, K: 1}, {Code: abi.BPF_ALU | abi.BPF_NEG}, {Code: retA}}, ^uint32(0)},
		{"scratch", []Insn{{Code: ldImm, K: 9}, {Code: abi.BPF_ST, K: 3}, {Code: ldImm, K: 1}, {Code: ldMem, K: 3}, {Code: retA}}, 9},
		{"jump", []Insn{{Code: abi.BPF_JMP | abi.BPF_JA, K: 1}, {Code: retK, K: 1}, {Code: retK, K: 2}}, 2},
		{"jset", []Insn{{Code: ldImm, K: 6}, {Code: abi.BPF_JMP | abi.BPF_JSET | abi.BPF_K, K: 2, JT: 0, JF: 1}, {Code: retK, K: 1}, {Code: retK, K: 2}}, 1},
		{"jgt is unsigned", []Insn{{Code: ldImm, K: ^uint32(0)}, {Code: abi.BPF_JMP | abi.BPF_JGT | abi.BPF_K, K: 1, JT: 0, JF: 1}, {Code: retK, K: 1}, {Code: retK, K: 2}}, 1},
	} {
		p, err := Compile(c.p)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := p.Run(d); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	ret := Insn{Code: retK}
	for name, p := range map[string][]Insn{
		"empty":               {},
		"no return":           {{Code: ldImm}},
		"unaligned load":      {{Code: ldAbs, K: 2}, ret},
		"load past the end":   {{Code: ldAbs, K: 64}, ret},
		"byte load":           {{Code: abi.BPF_LD | abi.BPF_B | abi.BPF_ABS}, ret},
		"jump past the end":   {{Code: abi.BPF_JMP | abi.BPF_JA, K: 1}, ret},
		"huge jump":           {{Code: abi.BPF_JMP | abi.BPF_JA, K: ^uint32(0)}, ret},
		"branch past the end": {{Code: abi.BPF_JMP | abi.BPF_JEQ | abi.BPF_K, JT: 1}, ret},
		"division by zero":    {{Code: abi.BPF_ALU | abi.BPF_DIV | abi.BPF_K}, ret},
		"modulo":              {{Code: abi.BPF_ALU | abi.BPF_MOD | abi.BPF_K, K: 1}, ret},
		"wide shift":          {{Code: abi.BPF_ALU | abi.BPF_LSH | abi.BPF_K, K: 32}, ret},
		"scratch 16":          {{Code: abi.BPF_ST, K: 16}, ret},
		"unset scratch":       {{Code: ldMem, K: 1}, ret},
		"scratch set on one path": {{Code: abi.BPF_JMP | abi.BPF_JEQ | abi.BPF_K, JT: 0, JF: 1}, {Code: abi.BPF_ST, K: 0},
			{Code: ldMem, K: 0}, ret},
		"unknown": {{Code: 0xffff}, ret},
		"long":    make([]Insn, abi.BPF_MAXINSNS+1),
	} {
		if _, err := Compile(p); err != abi.EINVAL {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzCompileAndRun(f *testing.F) {
	f.Add([]byte{6, 0, 0, 0, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var in []Insn
		for len(b) >= InsnSize {
			in = append(in, Insn{Code: uint16(b[0]) | uint16(b[1])<<8, JT: b[2], JF: b[3],
				K: uint32(b[4]) | uint32(b[5])<<8 | uint32(b[6])<<16 | uint32(b[7])<<24})
			b = b[InsnSize:]
		}
		if p, err := Compile(in); err == nil {
			p.Run(&Data{})
		}
	})
}
