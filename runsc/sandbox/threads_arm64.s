#include "textflag.h"

#define SYS_rt_sigreturn 139
#define SYS_futex 98
#define FUTEX_WAKE_PRIVATE 129

// threadHandler is a signal handler, outside of Go: it makes the calls of threadList on
// the thread that got the signal. rt_sigreturn restores every register.
TEXT ·threadHandler(SB), NOSPLIT|NOFRAME, $0-0
	MOVD	R30, R20
	MOVD	$·threadList(SB), R19
next:
	MOVD	0(R19), R8
	TBNZ	$63, R8, end
	MOVD	8(R19), R0
	MOVD	16(R19), R1
	MOVD	24(R19), R2
	MOVD	32(R19), R3
	MOVD	40(R19), R4
	SVC
	CBZ	R0, ok
	MOVD	R0, ·threadErr(SB)
	MOVD	R19, ·threadFailed(SB)
ok:
	ADD	$48, R19
	B	next
end:
	MOVD	$·threadDone(SB), R0
	MOVW	$1, R1
	STLRW	R1, (R0)
	MOVD	$FUTEX_WAKE_PRIVATE, R1
	MOVD	$1, R2
	MOVD	$SYS_futex, R8
	SVC
	MOVD	R20, R30
	RET

TEXT ·threadReturn(SB), NOSPLIT|NOFRAME, $0-0
	MOVD	$SYS_rt_sigreturn, R8
	SVC
	BRK

// func handlerAddrs() (handler, restorer uintptr)
TEXT ·handlerAddrs(SB), NOSPLIT, $0-16
	MOVD	$·threadHandler(SB), R0
	MOVD	R0, handler+0(FP)
	MOVD	$·threadReturn(SB), R0
	MOVD	R0, restorer+8(FP)
	RET
