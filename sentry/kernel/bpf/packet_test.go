package bpf

import (
	"testing"

	"lazaret/syscalls/abi"
)

const ld, ret = abi.BPF_LD, abi.BPF_RET

func TestRunPacket(t *testing.T) {
	data := []byte{1, 2, 3, 4, 0x45, 6, 7, 8}
	ad := func(v int) uint32 { return adOff + uint32(v) }
	for name, tc := range map[string]struct {
		prog []Insn
		want uint32
	}{
		"byte":            {[]Insn{{Code: ld | abi.BPF_B | abi.BPF_ABS, K: 7}, {Code: ret | abi.BPF_A}}, 8},
		"half":            {[]Insn{{Code: ld | abi.BPF_H | abi.BPF_ABS, K: 0}, {Code: ret | abi.BPF_A}}, 0x102},
		"word, unaligned": {[]Insn{{Code: ld | abi.BPF_W | abi.BPF_ABS, K: 1}, {Code: ret | abi.BPF_A}}, 0x2030445},
		"beyond":          {[]Insn{{Code: ld | abi.BPF_W | abi.BPF_ABS, K: 5}, {Code: ret, K: 9}}, 0},
		"far beyond":      {[]Insn{{Code: abi.BPF_LDX | abi.BPF_IMM, K: ^uint32(0)}, {Code: ld | abi.BPF_B | abi.BPF_IND, K: 9}, {Code: ret, K: 9}}, 0},
		"header length":   {[]Insn{{Code: abi.BPF_LDX | abi.BPF_B | abi.BPF_MSH, K: 4}, {Code: abi.BPF_MISC | abi.BPF_TXA}, {Code: ret | abi.BPF_A}}, 20},
		"indirect":        {[]Insn{{Code: abi.BPF_LDX | abi.BPF_IMM, K: 2}, {Code: ld | abi.BPF_B | abi.BPF_IND, K: 1}, {Code: ret | abi.BPF_A}}, 4},
		"network header":  {[]Insn{{Code: ld | abi.BPF_B | abi.BPF_ABS, K: netOff + 1}, {Code: ret | abi.BPF_A}}, 6},
		"link header":     {[]Insn{{Code: ld | abi.BPF_B | abi.BPF_ABS, K: llOff + 1}, {Code: ret | abi.BPF_A}}, 2},
		"length":          {[]Insn{{Code: ld | abi.BPF_LEN}, {Code: ret | abi.BPF_A}}, 8},
		"protocol":        {[]Insn{{Code: ld | abi.BPF_W | abi.BPF_ABS, K: ad(abi.SKF_AD_PROTOCOL)}, {Code: ret | abi.BPF_A}}, 0x800},
		"type":            {[]Insn{{Code: ld | abi.BPF_W | abi.BPF_ABS, K: ad(abi.SKF_AD_PKTTYPE)}, {Code: ret | abi.BPF_A}}, 4},
		"modulo":          {[]Insn{{Code: ld | abi.BPF_IMM, K: 17}, {Code: abi.BPF_ALU | abi.BPF_MOD, K: 5}, {Code: ret | abi.BPF_A}}, 2},
		"modulo 0":        {[]Insn{{Code: abi.BPF_ALU | abi.BPF_MOD | abi.BPF_X}, {Code: ret, K: 9}}, 0},
	} {
		p, err := CompilePacket(tc.prog)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := p.RunPacket(&Packet{Data: data, Net: 4, Protocol: 0x800, Type: 4}); got != tc.want {
			t.Errorf("%s: %#x, want %#x", name, got, tc.want)
		}
	}
	for name, prog := range map[string][]Insn{
		"no return":         {{Code: ld | abi.BPF_LEN}},
		"unknown extension": {{Code: ld | abi.BPF_W | abi.BPF_ABS, K: ad(abi.SKF_AD_MAX)}, {Code: ret}},
		"modulo 0":          {{Code: abi.BPF_ALU | abi.BPF_MOD}, {Code: ret}},
		"jump out":          {{Code: abi.BPF_JMP | abi.BPF_JEQ, JT: 9}, {Code: ret}},
		"fresh scratch":     {{Code: ld | abi.BPF_MEM, K: 1}, {Code: ret}},
	} {
		if _, err := CompilePacket(prog); err != abi.EINVAL {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRunPacket(f *testing.F) {
	f.Add([]byte{0x30, 0, 0, 0, 7, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0}, []byte("packet"))
	f.Fuzz(func(_ *testing.T, prog, data []byte) {
		var insns []Insn
		for ; len(prog) >= InsnSize; prog = prog[InsnSize:] {
			insns = append(insns, Insn{uint16(prog[0]) | uint16(prog[1])<<8, prog[2], prog[3],
				uint32(prog[4]) | uint32(prog[5])<<8 | uint32(prog[6])<<16 | uint32(prog[7])<<24})
		}
		if p, err := CompilePacket(insns); err == nil {
			p.RunPacket(&Packet{Data: data, Net: len(data)})
		}
	})
}
