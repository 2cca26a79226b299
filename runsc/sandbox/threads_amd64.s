#include "textflag.h"

#define SYS_rt_sigreturn 15
#define SYS_futex 202
#define FUTEX_WAKE_PRIVATE 129

// threadHandler is a signal handler, outside of Go: it makes the calls of threadList on
// the thread that got the signal. rt_sigreturn restores every register.
TEXT ·threadHandler(SB), NOSPLIT|NOFRAME, $0-0
	LEAQ	·threadList(SB), BX
next:
	MOVQ	0(BX), AX
	TESTQ	AX, AX
	JLT	end
	MOVQ	8(BX), DI
	MOVQ	16(BX), SI
	MOVQ	24(BX), DX
	MOVQ	32(BX), R10
	MOVQ	40(BX), R8
	SYSCALL
	TESTQ	AX, AX
	JZ	ok
	MOVQ	AX, ·threadErr(SB)
	MOVQ	BX, ·threadFailed(SB)
ok:
	ADDQ	$48, BX
	JMP	next
end:
	MOVL	$1, AX
	XCHGL	AX, ·threadDone(SB)
	LEAQ	·threadDone(SB), DI
	MOVL	$FUTEX_WAKE_PRIVATE, SI
	MOVL	$1, DX
	MOVL	$SYS_futex, AX
	SYSCALL
	RET

TEXT ·threadReturn(SB), NOSPLIT|NOFRAME, $0-0
	MOVL	$SYS_rt_sigreturn, AX
	SYSCALL
	BYTE	$0xCC // int3

// func handlerAddrs() (handler, restorer uintptr)
TEXT ·handlerAddrs(SB), NOSPLIT, $0-16
	LEAQ	·threadHandler(SB), AX
	MOVQ	AX, handler+0(FP)
	LEAQ	·threadReturn(SB), AX
	MOVQ	AX, restorer+8(FP)
	RET
