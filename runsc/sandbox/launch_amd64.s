#include "textflag.h"

#define SYS_rt_sigprocmask 14
#define SYS_clone 56
#define SYS_exit 60
#define SIG_SETMASK 2

DATA ·allSignals+0(SB)/8, $-1
GLOBL ·allSignals(SB), RODATA|NOPTR, $8

// func cloneAndCall(flags uintptr, pidFD *int32, running *uint32, calls *threadCall, failed *int64, mask *uint64) int
//
// The child has the parent's stack pointer and never touches the stack.
TEXT ·cloneAndCall(SB), NOSPLIT|NOFRAME, $0-56
	MOVL	$SIG_SETMASK, DI
	LEAQ	·allSignals(SB), SI
	MOVQ	mask+40(FP), DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigprocmask, AX
	SYSCALL

	MOVQ	calls+24(FP), R12
	MOVQ	failed+32(FP), R13
	MOVQ	flags+0(FP), DI
	XORL	SI, SI
	MOVQ	pidFD+8(FP), DX
	MOVQ	running+16(FP), R10
	XORL	R8, R8
	MOVL	$SYS_clone, AX
	SYSCALL
	TESTQ	AX, AX
	JZ	child

	MOVQ	AX, ret+48(FP)
	MOVL	$SIG_SETMASK, DI
	MOVQ	mask+40(FP), SI
	XORL	DX, DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigprocmask, AX
	SYSCALL
	RET

child:
	XORL	R14, R14 // index
next:
	MOVQ	0(R12), AX
	MOVQ	8(R12), DI
	MOVQ	16(R12), SI
	MOVQ	24(R12), DX
	MOVQ	32(R12), R10
	MOVQ	40(R12), R8
	SYSCALL
	CMPQ	AX, $-4095
	JCC	fail
	ADDQ	$48, R12
	INCQ	R14
	JMP	next
fail:
	MOVQ	R14, 0(R13)
	MOVQ	AX, 8(R13)
	MOVL	$1, DI
	MOVL	$SYS_exit, AX
	SYSCALL
	BYTE	$0xCC // int3
