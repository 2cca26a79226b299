#include "textflag.h"

// Everything in this file runs in processes that are not Go any more: no stack, no
// runtime, registers only. Offsets into R12 are those of forkParams (fork_unsafe.go).

#define SYS_mmap 9
#define SYS_mprotect 10
#define SYS_munmap 11
#define SYS_rt_sigaction 13
#define SYS_rt_sigprocmask 14
#define SYS_pause 34
#define SYS_clone 56
#define SYS_exit 60
#define SYS_getppid 110
#define SYS_setsid 112
#define SYS_capset 126
#define SYS_prctl 157
#define SYS_setrlimit 160
#define SYS_exit_group 231
#define SYS_seccomp 317

// markCall of layout.go.
#define MARK_CALL 0x4c5a

// stubBase of layout.go.
#define STUB_BASE 0x7fffffffe000

// func forkTemplate(p *forkParams)
//
// Makes the template stub: the caller's thread clones A, which shares its memory (and so
// starts without an rseq registration, which a plain fork would inherit), and A clones
// the template B as a sibling with a copy of the memory, then ends. Signals stay blocked
// so that no handler runs in A or B.
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
	// rt_sigaction(1..64, &p.ignore, nil, 8); SIGKILL and SIGSTOP fail, which is fine.
	MOVL	$64, BX
ignore:
	MOVL	BX, DI
	LEAQ	48(R12), SI
	XORL	DX, DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigaction, AX
	SYSCALL
	DECL	BX
	JNZ	ignore
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
	// capset(&p.capHeader, &none): none
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
	// prctl(PR_SET_DUMPABLE, 1): or the Sentry without capabilities could not trace it.
	MOVL	$104, BX
	MOVL	$4, DI
	MOVL	$1, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVL	$SYS_prctl, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	fail
	// mmap(STUB_BASE, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS)
	MOVL	$105, BX
	MOVQ	$STUB_BASE, DI
	MOVL	$4096, SI
	MOVL	$3, DX
	MOVL	$0x32, R10
	MOVQ	$-1, R8
	XORL	R9, R9
	MOVL	$SYS_mmap, AX
	SYSCALL
	CMPQ	AX, DI
	JNE	fail
	// Copy the code, and the expected parent into R15.
	MOVQ	32(R12), R15
	LEAQ	·stubCode(SB), SI
	MOVQ	96(R12), CX
	CLD
	REP; MOVSB
	// mprotect(STUB_BASE, 4096, PROT_READ|PROT_EXEC)
	MOVL	$106, BX
	MOVQ	$STUB_BASE, DI
	MOVL	$4096, SI
	MOVL	$5, DX
	MOVL	$SYS_mprotect, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	fail
	// rt_sigprocmask(SIG_SETMASK, &none, nil, 8)
	MOVL	$2, DI
	LEAQ	152(R12), SI
	XORL	DX, DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigprocmask, AX
	SYSCALL
	// seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, p.filter)
	MOVL	$107, BX
	MOVL	$1, DI
	MOVL	$4, SI
	MOVQ	16(R12), DX
	MOVL	$SYS_seccomp, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	fail
	MOVQ	$(STUB_BASE+0xc0), AX
	JMP	AX
fail:
	MOVL	BX, DI
	MOVL	$SYS_exit_group, AX
	SYSCALL
	BYTE	$0xCC // int3

// stubCode is the only page of a stub that is not the application's. Entry points are at
// fixed offsets (layout.go).
TEXT ·stubCode(SB), NOSPLIT|NOFRAME, $0-0
	// 0x00 entryCall: one system call with the registers that the tracer set. The call
	// that no kernel has stops the thread by the filter's SECCOMP_RET_TRACE, which is
	// cheaper than an exception or a single step. The result is in RBX.
	SYSCALL
done:
	MOVQ	AX, BX
	MOVL	$MARK_CALL, AX
	SYSCALL
	BYTE	$0xCC // int3
	PCALIGN	$64
	// 0x40 entryFork: a clone that makes a new process, which comes to rest below.
	SYSCALL
	TESTQ	AX, AX
	JZ	child
	JMP	done
	PCALIGN	$64
	// 0x80 entryRest: asleep until traced. Ignored signals do not wake it.
rest:
	MOVL	$SYS_pause, AX
	SYSCALL
	JMP	rest
	PCALIGN	$64
	// 0xc0 entryInit: the template drops the Sentry's memory.
	MOVL	$108, BX
	XORL	DI, DI
	MOVQ	$STUB_BASE, SI
	MOVL	$SYS_munmap, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	stop
	XORL	BX, BX
	PCALIGN	$64
	// 0x100 entryArm, where a new process begins.
child:
	// prctl(PR_SET_PDEATHSIG, SIGKILL); then the parent must still be R15 (0: in
	// another pid namespace), or it died before the call.
	MOVL	$1, DI
	MOVL	$9, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVL	$SYS_prctl, AX
	SYSCALL
	MFENCE
	MOVL	$SYS_getppid, AX
	SYSCALL
	CMPQ	AX, R15
	JEQ	rest
	TESTQ	AX, AX
	JEQ	rest
stop:
	MOVL	BX, DI
	MOVL	$SYS_exit_group, AX
	SYSCALL
	BYTE	$0xCC // int3
	PCALIGN	$64
	// 0x140 entryProtect: mprotect of up to five ranges, whose starts and lengths are in
	// RDI RSI, R8 R9, R10 R12, R13 R14 and RBP RSP, until one is empty or fails.
	MOVL	$SYS_mprotect, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	end
	TESTQ	R9, R9
	JZ	end
	MOVQ	R8, DI
	MOVQ	R9, SI
	MOVL	$SYS_mprotect, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	end
	TESTQ	R12, R12
	JZ	end
	MOVQ	R10, DI
	MOVQ	R12, SI
	MOVL	$SYS_mprotect, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	end
	TESTQ	R14, R14
	JZ	end
	MOVQ	R13, DI
	MOVQ	R14, SI
	MOVL	$SYS_mprotect, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	end
	TESTQ	SP, SP
	JZ	end
	MOVQ	BP, DI
	MOVQ	SP, SI
	MOVL	$SYS_mprotect, AX
	SYSCALL
end:
	JMP	done
	PCALIGN	$64
	RET
