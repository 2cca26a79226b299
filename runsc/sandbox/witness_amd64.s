#include "textflag.h"

#define SYS_read 0
#define SYS_mmap 9
#define SYS_munmap 11
#define SYS_rt_sigprocmask 14
#define SYS_clone 56
#define SYS_exit 60
#define SYS_chdir 80
#define SYS_setsid 112
#define SYS_prctl 157
#define SYS_dup3 292
#define SYS_close_range 436

// func cloneWitness(a *witnessArgs) (pid int)
//
// The child runs on registers alone once its memory is gone; every signal stays blocked.
TEXT ·cloneWitness(SB), NOSPLIT, $16-16
	MOVQ	a+0(FP), BX
	MOVQ	$-1, all-8(SP)
	MOVL	$2, DI // SIG_SETMASK
	LEAQ	all-8(SP), SI
	LEAQ	old-16(SP), DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigprocmask, AX
	SYSCALL
	MOVL	$17, DI // SIGCHLD
	XORL	SI, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVL	$SYS_clone, AX
	SYSCALL
	TESTQ	AX, AX
	JZ	child
	MOVQ	AX, pid+8(FP)
	MOVL	$2, DI
	LEAQ	old-16(SP), SI
	XORL	DX, DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigprocmask, AX
	SYSCALL
	RET
child:
	MOVL	$SYS_setsid, AX
	SYSCALL
	LEAQ	40(BX), DI // "/"
	MOVL	$SYS_chdir, AX
	SYSCALL
	MOVL	$15, DI // PR_SET_NAME
	LEAQ	48(BX), SI
	MOVL	$SYS_prctl, AX
	SYSCALL
	MOVL	$4, DI // PR_SET_DUMPABLE
	XORL	SI, SI
	MOVL	$SYS_prctl, AX
	SYSCALL
	MOVQ	0(BX), DI // fd
	XORL	SI, SI
	XORL	DX, DX
	MOVL	$SYS_dup3, AX
	SYSCALL
	MOVL	$1, DI
	MOVL	$-1, SI
	XORL	DX, DX
	MOVL	$SYS_close_range, AX
	SYSCALL
	MOVQ	8(BX), R13  // size
	MOVQ	16(BX), R12 // text
	MOVQ	24(BX), R14 // end of text
	MOVQ	32(BX), R15 // end of memory
	XORL	DI, DI
	MOVQ	R12, SI
	MOVL	$SYS_munmap, AX
	SYSCALL
	MOVQ	R14, DI
	MOVQ	R15, SI
	SUBQ	R14, SI
	MOVL	$SYS_munmap, AX
	SYSCALL
	XORL	DI, DI
	MOVQ	R13, SI
	MOVL	$3, DX       // PROT_READ|PROT_WRITE
	MOVL	$0x4022, R10 // MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE
	MOVQ	$-1, R8
	XORL	R9, R9
	MOVL	$SYS_mmap, AX
	SYSCALL
	CMPQ	AX, $-4095
	JCC	end
	MOVQ	AX, BX
	MOVL	$22, DI // PR_SET_SECCOMP
	MOVL	$1, SI  // SECCOMP_MODE_STRICT
	MOVL	$SYS_prctl, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	end
	XORL	DI, DI
	MOVQ	BX, SI
	MOVL	$1, DX
	MOVL	$SYS_read, AX
	SYSCALL
	CMPQ	AX, $1
	JNE	end
	ADDQ	BX, R13
touch:
	MOVB	$1, (BX)
	ADDQ	$4096, BX
	CMPQ	BX, R13
	JCS	touch
end:
	XORL	DI, DI
	MOVL	$SYS_exit, AX
	SYSCALL
	BYTE	$0xCC // int3

// func witnessText() uintptr
TEXT ·witnessText(SB), NOSPLIT, $0-8
	LEAQ	·cloneWitness(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
