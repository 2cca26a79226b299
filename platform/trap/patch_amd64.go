package trap

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// A jump is five bytes long and a system call instruction two, so what is next to it has
// to go as well. Of a pair of instructions
//
//	mov $nr, %eax; syscall      the jump replaces the mov
//	syscall; cmp $imm, %rax     the jump replaces both
//
// In the first, the system call instruction stays as it was for those who jump there. In
// the second the jump ends inside the cmp; where a thread comes back from a call, or
// jumps, there is then the second byte of the jump's distance: trampolines are so placed
// that it is an instruction that does not exist.
//
// A trampoline is
//
//	mov $nr, %eax               in the first case
//	mov $End, %r11              with a tag in the second (gateOver)
//	jmp *24(trampoline)
//	int3 padding, and at 24 the address of the gate

const (
	jumpLen     = 5
	trampolineP = 24 // offset of the gate's address
)

// invalid are first bytes of no instruction in 64-bit mode.
var invalid = func() (set [256]bool) {
	for _, b := range []byte{0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x60, 0x61, 0x9a, 0xea} {
		set[b] = true
	}
	return set
}()

// FindSite implements platform.Patcher.
//
// TRUST: code is the application's.
func (p *trapPlatform) FindSite(code []byte, end int, addr abi.Addr, nr uint64) (platform.Site, bool) {
	call := end - syscallLen
	// Unwinders know a signal's frame by the bytes of the call that leaves it.
	if nr == unix.SYS_RT_SIGRETURN || call < 0 || end > len(code) || code[call] != 0x0f || code[call+1] != 0x05 {
		return platform.Site{}, false
	}
	s := platform.Site{End: addr}
	for _, mov := range [][]byte{{0xb8}, {0x48, 0xc7, 0xc0}} {
		start := call - len(mov) - 4
		if start < 0 || string(code[start:start+len(mov)]) != string(mov) {
			continue
		}
		imm := binary.LittleEndian.Uint32(code[call-4:])
		if uint64(imm) == nr && int32(imm) >= 0 && !partOfLonger(code[:call], start) {
			s.Start = addr - abi.Addr(end-start)
			s.Len = uint8(copy(s.Insn[:], code[start:call]))
			return s, true
		}
	}
	// cmp $imm32, %rax: anything else there might be a place to jump to with a meaning
	// of its own. This one only makes sense after the call.
	if next := code[end:]; len(next) >= 6 && next[0] == 0x48 && next[1] == 0x3d &&
		(next[2] == 0x00 || next[2] == 0x01) && string(next[3:6]) == "\xf0\xff\xff" {
		s.Start, s.Over = addr-syscallLen, true
		s.Len = uint8(copy(s.Insn[:], next[:6]))
		return s, true
	}
	return platform.Site{}, false
}

// partOfLonger says whether what looks like a mov at code[at], up to the end of code, may
// be the end of a longer instruction. It knows by which number the call was made, which
// is that mov's immediate, so the other reading must explain that by chance.
func partOfLonger(code []byte, at int) bool {
	back := func(n int) byte {
		if at < n {
			return 0x90
		}
		return code[at-n]
	}
	// A prefix: mov to another register, of another size, or of another meaning.
	if b := back(1); b&0xf0 == 0x40 || b == 0x66 || b == 0x67 || b == 0xf0 || b == 0xf2 || b == 0xf3 || b == 0x0f {
		return true
	}
	// A ModRM byte, and what is called the immediate is a displacement from R8. (From RAX,
	// which is that small number, the instruction would have faulted.)
	if rexB(back(2)) && hasModRM(back(1)) || rexB(back(3)) && back(2) == 0x0f || back(4) == 0xc4 {
		return true
	}
	// The displacement, or a part of the address, of an instruction with an immediate:
	// opcodes c7, 81, 69 and f7, and ModRM, SIB, displacement after them.
	for n := 1; n <= 6; n++ {
		switch back(n) {
		case 0xc7, 0x81, 0x69, 0xf7:
			if immediateAfter(code[at-n+1 : at+1]) {
				return true
			}
		}
	}
	// ... or of one without: SIB.
	return back(1)&0xc7 == 0x84
}

// rexB says whether b is a prefix that makes of register 0 register 8.
func rexB(b byte) bool { return b&0xf1 == 0x41 }

// hasModRM says whether an opcode is followed by a ModRM byte and by no immediate.
func hasModRM(b byte) bool {
	switch {
	case b < 0x40:
		return b&7 < 4
	case b >= 0x84 && b < 0x90, b >= 0xd0 && b < 0xd4, b >= 0xd8 && b < 0xe0:
		return true
	}
	return b == 0x63 || b == 0xf6 || b == 0xf7 || b >= 0xfe
}

// immediateAfter says whether b is the whole of a ModRM byte, SIB byte and displacement.
func immediateAfter(b []byte) bool {
	mod, rm := b[0]>>6, b[0]&7
	n := 1
	if mod == 3 {
		return len(b) == n
	}
	if rm == 4 {
		if n++; len(b) < n {
			return false
		}
		if mod == 0 && b[1]&7 == 5 {
			n += 4
		}
	}
	switch {
	case mod == 1:
		n++
	case mod == 2, mod == 0 && rm == 5:
		n += 4
	}
	return len(b) == n
}

// Link implements platform.Patcher.
func (p *trapPlatform) Link(s platform.Site, tramp abi.Addr) (jump, trampoline []byte, ok bool) {
	there := int64(tramp - s.Start - jumpLen)
	near := there == int64(int32(there))
	jump = binary.LittleEndian.AppendUint32([]byte{0xe9}, uint32(there))
	if s.Over && !invalid[jump[2]] {
		return nil, nil, false
	}
	code := make([]byte, 0, platform.TrampolineLen)
	if !s.Over {
		code = append(code, s.Insn[:s.Len]...)
	}
	back := uint64(s.End)
	if s.Over {
		if back |= gateOver; s.Insn[2] == 0 {
			back |= gateOther
		}
	}
	code = binary.LittleEndian.AppendUint64(append(code, 0x49, 0xbb), back)
	code = binary.LittleEndian.AppendUint32(append(code, 0xff, 0x25), uint32(trampolineP-len(code)-6))
	for len(code) < trampolineP {
		code = append(code, 0xcc)
	}
	return jump, binary.LittleEndian.AppendUint64(code, gateEntry), near
}

// Rewind implements platform.Patcher. Of the registers only those can have changed that
// the system call changes.
func (p *trapPlatform) Rewind(s platform.Site, off uint64, regs *platform.Regs) {
	if off == 0 {
		regs.SetIP(s.Start)
		return
	}
	regs.SetIP(s.End - syscallLen)
}

// Bits of EFLAGS that a comparison sets.
const (
	flagCF = 1 << 0
	flagPF = 1 << 2
	flagAF = 1 << 4
	flagZF = 1 << 6
	flagSF = 1 << 7
	flagOF = 1 << 11
)

// Skip implements platform.Patcher: cmp $imm32, %rax.
func (p *trapPlatform) Skip(s platform.Site, regs *platform.Regs) {
	a, b := regs.Rax, uint64(int64(int32(binary.LittleEndian.Uint32(s.Insn[2:]))))
	d := a - b
	f := regs.Eflags &^ (flagCF | flagPF | flagAF | flagZF | flagSF | flagOF)
	if a < b {
		f |= flagCF
	}
	if d == 0 {
		f |= flagZF
	}
	if int64(d) < 0 {
		f |= flagSF
	}
	if int64((a^b)&(a^d)) < 0 {
		f |= flagOF
	}
	f |= (a ^ b ^ d) & flagAF
	even := uint64(flagPF)
	for i := range 8 {
		even ^= d >> i & 1 << 2
	}
	regs.Eflags = f | even
	regs.Rip = uint64(s.End) + uint64(s.Len)
}
