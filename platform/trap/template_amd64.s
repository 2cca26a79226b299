#include "textflag.h"
#include "stub_amd64.h"

// func forkTemplate(p *forkParams)
//
// Makes the template stub: the caller's thread clones A, which shares its memory (and so
// starts without an rseq registration, which a plain fork would inherit), and A clones
// the template B as a sibling with a copy of the memory, then ends. Signals stay blocked:
// no handler runs in A or B, and B's mapper never takes a signal.
TEXT ·forkTemplate(SB), NOSPLIT|NOFRAME, $0-8
	MOVQ	p+0(FP), R12
	// rt_sigprocmask(SIG_SETMASK, &p.allSignals, &oldMask, 8)
	MOVL	$2, DI
	LEAQ	24(R12), SI
	LEAQ	8(R12), DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigprocmask, AX
	SYSCALL
	// clone(CLONE_VM|CLONE_VFORK|CLONE_FILES|CLONE_FS): A
	MOVL	$0x4700, DI
	XORL	SI, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVL	$SYS_clone, AX
	SYSCALL
	TESTQ	AX, AX
	JZ	intermediate
	MOVQ	AX, 40(R12)
	// rt_sigprocmask(SIG_SETMASK, &oldMask, nil, 8)
	MOVL	$2, DI
	LEAQ	8(R12), SI
	XORL	DX, DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigprocmask, AX
	SYSCALL
	RET

intermediate:
	// clone(CLONE_PARENT|CLONE_FILES|CLONE_FS): B
	MOVL	$0x8600, DI
	XORL	SI, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVL	$SYS_clone, AX
	SYSCALL
	TESTQ	AX, AX
	JZ	template
	MOVQ	AX, 0(R12)
	XORL	DI, DI
	MOVL	$SYS_exit, AX
	SYSCALL
	BYTE	$0xCC // int3

template:
	// rt_sigaction(1..64, &p.actions[i], nil, 8); SIGKILL and SIGSTOP fail, which is fine.
	MOVL	$64, BX
actions:
	MOVL	BX, DI
	MOVQ	BX, SI
	SHLQ	$5, SI
	ADDQ	96(R12), SI
	XORL	DX, DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigaction, AX
	SYSCALL
	DECL	BX
	JNZ	actions
	// prctl(PR_SET_NO_NEW_PRIVS, 1)
	MOVL	$101, BX
	MOVL	$38, DI
	MOVL	$1, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVL	$SYS_prctl, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	fail
	// capset(&p.capHeader, &none)
	MOVL	$102, BX
	LEAQ	104(R12), DI
	LEAQ	112(R12), SI
	MOVL	$SYS_capset, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	fail
	MOVL	$SYS_setsid, AX
	SYSCALL
	// setrlimit(RLIMIT_CORE, &noCore)
	MOVL	$103, BX
	MOVL	$4, DI
	LEAQ	80(R12), SI
	MOVL	$SYS_setrlimit, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	fail
	// prctl(PR_SET_NAME, p.name)
	MOVL	$15, DI
	LEAQ	136(R12), SI
	MOVL	$SYS_prctl, AX
	SYSCALL
	// The two pages of code and data: anonymous memory, filled, then made read-only.
	MOVL	$105, BX
	MOVQ	$CODE_BASE, DI
	MOVL	$(DATA_END-CODE_BASE), SI
	MOVL	$3, DX
	MOVL	$0x32, R10 // MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS
	MOVQ	$-1, R8
	XORL	R9, R9
	MOVL	$SYS_mmap, AX
	SYSCALL
	CMPQ	AX, DI
	JNE	fail
	MOVQ	48(R12), SI
	MOVL	$(DATA_END-CODE_BASE), CX
	CLD
	REP; MOVSB
	MOVL	$106, BX
	MOVQ	$CODE_BASE, DI
	MOVL	$(CODE_END-CODE_BASE), SI
	MOVL	$5, DX
	MOVL	$SYS_mprotect, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	fail
	MOVL	$107, BX
	MOVQ	$DATA_BASE, DI
	MOVL	$(DATA_END-DATA_BASE), SI
	MOVL	$1, DX
	MOVL	$SYS_mprotect, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	fail
	// What the code below needs: file, offset of the first slot, eventfd, parent.
	MOVQ	56(R12), R13
	MOVQ	64(R12), R15
	MOVQ	72(R12), R14
	MOVQ	32(R12), BP
	// seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, p.filter)
	MOVL	$108, BX
	MOVL	$1, DI
	MOVL	$4, SI
	MOVQ	16(R12), DX
	MOVL	$SYS_seccomp, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	fail
	MOVQ	$CODE_BASE, AX
	JMP	AX
fail:
	MOVL	BX, DI
	MOVL	$SYS_exit_group, AX
	SYSCALL
	BYTE	$0xCC // int3
