#include "textflag.h"

#define SYS_exit 93
#define SYS_rt_sigprocmask 135
#define SYS_clone 220
#define SIG_SETMASK 2

DATA ·allSignals+0(SB)/8, $-1
GLOBL ·allSignals(SB), RODATA|NOPTR, $8

// func cloneAndCall(flags uintptr, pidFD *int32, running *uint32, calls *threadCall, failed *int64, mask *uint64) int
//
// The child has the parent's stack pointer and never touches the stack.
TEXT ·cloneAndCall(SB), NOSPLIT|NOFRAME, $0-56
	MOVD	$SIG_SETMASK, R0
	MOVD	$·allSignals(SB), R1
	MOVD	mask+40(FP), R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigprocmask, R8
	SVC

	MOVD	calls+24(FP), R19
	MOVD	failed+32(FP), R20
	MOVD	flags+0(FP), R0
	MOVD	ZR, R1
	MOVD	pidFD+8(FP), R2
	MOVD	ZR, R3
	MOVD	running+16(FP), R4
	MOVD	$SYS_clone, R8
	SVC
	CBZ	R0, child

	MOVD	R0, ret+48(FP)
	MOVD	$SIG_SETMASK, R0
	MOVD	mask+40(FP), R1
	MOVD	ZR, R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigprocmask, R8
	SVC
	RET

child:
	MOVD	ZR, R21 // index
next:
	MOVD	0(R19), R8
	MOVD	8(R19), R0
	MOVD	16(R19), R1
	MOVD	24(R19), R2
	MOVD	32(R19), R3
	MOVD	40(R19), R4
	SVC
	CMN	$4095, R0
	BHS	fail
	ADD	$48, R19
	ADD	$1, R21
	B	next
fail:
	MOVD	R21, 0(R20)
	MOVD	R0, 8(R20)
	MOVD	$1, R0
	MOVD	$SYS_exit, R8
	SVC
	BRK
