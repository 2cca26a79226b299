#include "textflag.h"

#define SYS_dup3 24
#define SYS_chdir 49
#define SYS_read 63
#define SYS_exit 93
#define SYS_rt_sigprocmask 135
#define SYS_setsid 157
#define SYS_prctl 167
#define SYS_munmap 215
#define SYS_clone 220
#define SYS_mmap 222
#define SYS_close_range 436

// func cloneWitness(a *witnessArgs) (pid int)
//
// The child runs on registers alone once its memory is gone; every signal stays blocked.
TEXT ·cloneWitness(SB), NOSPLIT, $16-16
	MOVD	a+0(FP), R19
	MOVD	$-1, R0
	MOVD	R0, all-8(SP)
	MOVD	$2, R0 // SIG_SETMASK
	MOVD	$all-8(SP), R1
	MOVD	$old-16(SP), R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigprocmask, R8
	SVC
	MOVD	$17, R0 // SIGCHLD
	MOVD	$0, R1
	MOVD	$0, R2
	MOVD	$0, R3
	MOVD	$0, R4
	MOVD	$SYS_clone, R8
	SVC
	CBZ	R0, child
	MOVD	R0, pid+8(FP)
	MOVD	$2, R0
	MOVD	$old-16(SP), R1
	MOVD	$0, R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigprocmask, R8
	SVC
	RET
child:
	MOVD	$SYS_setsid, R8
	SVC
	ADD	$40, R19, R0 // "/"
	MOVD	$SYS_chdir, R8
	SVC
	MOVD	$15, R0 // PR_SET_NAME
	ADD	$48, R19, R1
	MOVD	$SYS_prctl, R8
	SVC
	MOVD	$4, R0 // PR_SET_DUMPABLE
	MOVD	$0, R1
	MOVD	$SYS_prctl, R8
	SVC
	MOVD	0(R19), R0 // fd
	MOVD	$0, R1
	MOVD	$0, R2
	MOVD	$SYS_dup3, R8
	SVC
	MOVD	$1, R0
	MOVD	$0xffffffff, R1
	MOVD	$0, R2
	MOVD	$SYS_close_range, R8
	SVC
	MOVD	8(R19), R20  // size
	MOVD	16(R19), R21 // text
	MOVD	24(R19), R22 // end of text
	MOVD	32(R19), R23 // end of memory
	MOVD	$0, R0
	MOVD	R21, R1
	MOVD	$SYS_munmap, R8
	SVC
	MOVD	R22, R0
	SUB	R22, R23, R1
	MOVD	$SYS_munmap, R8
	SVC
	MOVD	$0, R0
	MOVD	R20, R1
	MOVD	$3, R2      // PROT_READ|PROT_WRITE
	MOVD	$0x4022, R3 // MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE
	MOVD	$-1, R4
	MOVD	$0, R5
	MOVD	$SYS_mmap, R8
	SVC
	CMN	$4095, R0
	BCS	end
	MOVD	R0, R19
	MOVD	$22, R0 // PR_SET_SECCOMP
	MOVD	$1, R1  // SECCOMP_MODE_STRICT
	MOVD	$SYS_prctl, R8
	SVC
	CBNZ	R0, end
	MOVD	$0, R0
	MOVD	R19, R1
	MOVD	$1, R2
	MOVD	$SYS_read, R8
	SVC
	CMP	$1, R0
	BNE	end
	ADD	R19, R20, R20
	MOVD	$1, R1
touch:
	MOVB	R1, (R19)
	ADD	$4096, R19
	CMP	R20, R19
	BCC	touch
end:
	MOVD	$0, R0
	MOVD	$SYS_exit, R8
	SVC
	BRK

// func witnessText() uintptr
TEXT ·witnessText(SB), NOSPLIT, $0-8
	MOVD	$·cloneWitness(SB), R0
	MOVD	R0, ret+0(FP)
	RET
