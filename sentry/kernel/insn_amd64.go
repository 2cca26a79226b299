package kernel

// insn is what tells whether an instruction of the processor writes memory: the opcode
// and the byte behind it (Intel SDM 2, appendix A).
type insn struct {
	opmap     uint8 // 1: one byte; 2: 0F; 3: 0F 38; 4: 0F 3A
	op, modrm byte
	f2, f3    bool
	vector    bool // VEX or EVEX
	evex      bool
}

// insnAccess is how an instruction uses its memory operand.
type insnAccess uint8

const (
	accessRead insnAccess = iota
	accessWrite
	accessStack // reads its operand and pushes
	accessPop   // pops and writes its operand
	accessMove  // reads at RSI, writes at RDI
)

// decodeInsn reads the opcode; false: there is no whole one.
func decodeInsn(b []byte) (i insn, ok bool) {
	at := 0
	next := func() byte {
		if at >= len(b) {
			at = len(b) + 1
			return 0
		}
		at++
		return b[at-1]
	}
	c := next()
	for ; isPrefix(c) && at <= len(b); c = next() {
		i.f2, i.f3 = i.f2 || c == 0xf2, i.f3 || c == 0xf3
	}
	if c&0xf0 == 0x40 { // REX
		c = next()
	}
	i.opmap = 1
	switch c {
	case 0xc5, 0xc4, 0x62:
		i.vectorPrefix(c, next)
		c = next()
	case 0x0f:
		i.opmap = 2
		switch c = next(); c {
		case 0x38:
			i.opmap, c = 3, next()
		case 0x3a:
			i.opmap, c = 4, next()
		}
	}
	i.op = c
	whole := at <= len(b)
	i.modrm = next() // some have none: then it is not looked at
	return i, whole
}

func isPrefix(c byte) bool {
	switch c {
	case 0x66, 0x67, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0xf0:
		return true
	}
	return false
}

// vectorPrefix reads the rest of a VEX or EVEX prefix that began with c.
func (i *insn) vectorPrefix(c byte, next func() byte) {
	i.vector, i.evex, i.opmap = true, c == 0x62, 2
	p := next()
	if c != 0xc5 {
		i.opmap = p&7 + 1
		p = next()
	}
	if i.evex {
		next()
	}
	i.f3, i.f2 = p&3 == 2, p&3 == 3
}

func (i *insn) reg() byte { return i.modrm >> 3 & 7 }

func (i *insn) access() insnAccess {
	write := false
	switch i.opmap {
	case 1:
		return i.access1()
	case 2:
		write = i.writes2()
	case 3:
		write = i.writes3()
	case 4: // pextr*, extractps, vextract*, vcvtps2ph
		switch i.op {
		case 0x14, 0x15, 0x16, 0x17, 0x19, 0x1b, 0x1d, 0x39, 0x3b:
			write = true
		}
	}
	if write {
		return accessWrite
	}
	return accessRead
}

// access1 is for the opcodes of one byte.
func (i *insn) access1() insnAccess {
	op := i.op
	write := false
	switch {
	case op < 0x40: // add ... cmp
		write = op&7 < 2 && op>>3 != 7
	case op&0xf8 == 0x50, op == 0x68, op == 0x6a, op == 0x9c, op == 0xc8, op == 0xe8: // push, pushf, enter, call
		write = true
	case op >= 0x80 && op <= 0x83:
		write = i.reg() != 7
	case op >= 0x86 && op <= 0x89, op == 0x8c, op == 0xa2, op == 0xa3, op == 0xaa, op == 0xab,
		op == 0xc0, op == 0xc1, op == 0xc6, op == 0xc7, op >= 0xd0 && op <= 0xd3, op == 0xfe:
		write = true // xchg, mov, stos, shifts, inc, dec
	case op == 0x8f:
		return accessPop
	case op == 0xa4, op == 0xa5:
		return accessMove
	case op >= 0xd8 && op <= 0xdf:
		write = i.writesX87()
	case op == 0xf6, op == 0xf7: // not, neg
		write = i.reg() == 2 || i.reg() == 3
	case op == 0xff:
		if r := i.reg(); r == 2 || r == 6 {
			return accessStack
		}
		write = i.reg() < 2
	}
	if write {
		return accessWrite
	}
	return accessRead
}

// writesX87 is for the stores of the floating point unit.
func (i *insn) writesX87() bool {
	stores := [8]byte{1: 0b11001100, 3: 0b10001110, 5: 0b11001110, 7: 0b11001110} // by reg
	return stores[i.op&7]>>i.reg()&1 != 0
}

// writes2 is for the opcodes behind 0F.
func (i *insn) writes2() bool {
	switch op := i.op; op {
	case 0x11, 0x13, 0x17, 0x29, 0x2b, 0x7f, 0xd6, 0xe7, 0xf7: // vector stores
		return true
	case 0x7e: // movd; movq xmm, m64 reads
		return !i.f3
	case 0xa0, 0xa8, 0xa4, 0xa5, 0xac, 0xad, 0xab, 0xb3, 0xbb, 0xb0, 0xb1, 0xc0, 0xc1, 0xc3:
		return !i.vector // push fs, shld, bts, cmpxchg, xadd, movnti
	case 0xba: // bts, btr, btc
		return i.reg() > 4
	case 0xae: // fxsave, stmxcsr, xsave, xsaveopt
		return 0b01011001>>i.reg()&1 != 0
	case 0xc7: // cmpxchg8b, xsavec, xsaves
		return 0b00110010>>i.reg()&1 != 0
	default:
		return op >= 0x90 && op <= 0x9f // setcc, kmov
	}
}

// writes3 is for the opcodes behind 0F 38.
func (i *insn) writes3() bool {
	switch op := i.op; op {
	case 0xf1: // movbe; crc32 reads
		return !i.f2
	case 0xf5, 0xf6, 0xf9: // wruss, wrss, movdiri
		return !i.vector && !i.f2 && !i.f3
	case 0x2e, 0x2f, 0x8e: // masked stores
		return i.vector
	case 0xa0, 0xa1, 0xa2, 0xa3, 0x8a, 0x8b, 0x63: // scatter, compress
		return i.evex
	default: // narrowing moves
		return i.evex && i.f3 && op < 0x38 && op&0xf < 6
	}
}
