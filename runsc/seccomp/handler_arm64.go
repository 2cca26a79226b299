package seccomp

import "encoding/binary"

// handlerCode is the handler of SIGSYS as machine code; see catchDenials.
func handlerCode(table uint64) []byte {
	var code []byte
	for _, w := range []uint32{
		0xb9401820, // ldr w0, [x1, #24]       siginfo.si_syscall
		0x52803fe2, // mov w2, #511
		0x6b02001f, // cmp w0, w2
		0x1a823000, // csel w0, w0, w2, lo
		0xd37ae400, // lsl x0, x0, #6          deniedEntryLen
		0x580001e3, // ldr x3, [pc, #60]       table
		0x8b000063, // add x3, x3, x0
		0x39400062, // ldrb w2, [x3]
		0x91000461, // add x1, x3, #1
		0xd2800040, // mov x0, #2
		0xd2800808, // mov x8, #64             SYS_write
		0xd4000001, // svc #0
		0xd28011c8, // mov x8, #142            SYS_reboot (KillCall)
		0xd4000001, // svc #0
		0xd28013e0, // mov x0, #159            128+SIGSYS
		0xd2800bc8, // mov x8, #94             SYS_exit_group
		0xd4000001, // svc #0
		0xd4200000, // brk #0
		0xd503201f, // nop
		0xd503201f, // nop                     aligns the literal: word 20 = 5 + 60/4
	} {
		code = binary.LittleEndian.AppendUint32(code, w)
	}
	return binary.LittleEndian.AppendUint64(code, table)
}
