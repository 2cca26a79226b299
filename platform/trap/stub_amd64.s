#include "textflag.h"
#include "stub_amd64.h"

// func codePage() *[codeLen]byte
TEXT ·codePage(SB), NOSPLIT, $0-8
	LEAQ	·stubCode(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// stubCode is the code page. Its regions are at fixed offsets (layout_amd64.go), each
// begins with a move of its own offset into R11, by which a test recognizes it.
//
// The mapper (offsets below codeThread) runs with signals blocked, without a stack, and
// believes no word that the application can write.
TEXT ·stubCode(SB), NOSPLIT|NOFRAME, $0-0
	// 0x000 codeInit: the template drops all of the Sentry's memory.
	MOVL	$0x1000, R11
	XORL	DI, DI
	MOVQ	$CODE_BASE, SI
	MOVL	$SYS_munmap, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	die
	MOVQ	$DATA_END, DI
	MOVL	$(TOP-DATA_END), SI
	MOVL	$SYS_munmap, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	die
	JMP	child

	PCALIGN	$128
	// 0x080 codeMapper: wait for a request. R12: the number of the last.
	MOVL	$0x1080, R11
mapper:
	MOVQ	$REQ_BASE, BX
	MOVL	REQ_SEQ(BX), AX
	CMPL	AX, R12
	JNE	work
	// futex(&seq, FUTEX_WAIT, R12, nil)
	MOVQ	BX, DI
	XORL	SI, SI
	MOVL	R12, DX
	XORL	R10, R10
	MOVL	$SYS_futex, AX
	SYSCALL
	JMP	mapper
work:
	MOVL	AX, R12
	MOVQ	REQ_EVENT(BX), R14
	MOVQ	REQ_COUNT(BX), R15
	LEAQ	REQ_OPS(BX), R13
next:
	TESTQ	R15, R15
	JZ	ok
	MOVQ	0(R13), AX
	MOVQ	8(R13), DI
	MOVQ	16(R13), SI
	MOVQ	24(R13), DX
	MOVQ	32(R13), R10
	MOVQ	40(R13), R8
	MOVQ	48(R13), R9
	SYSCALL
	CMPQ	AX, $-4095
	JCC	failed
	ADDQ	$64, R13
	DECQ	R15
	JMP	next
ok:
	MOVL	REQ_KIND(BX), CX
	CMPL	CX, $1
	JEQ	thread
	CMPL	CX, $2
	JEQ	fork
	MOVQ	$(DATA_BASE+40*8), R15
	JMP	done
failed:
	NEGQ	AX
	BTSQ	$39, AX
	// Report AX: one write to the result's eventfd for each bit, then bit 40. Nobody
	// waits there yet; the last write, to the other eventfd, wakes the Sentry. An
	// application cannot write to either, so the Sentry may believe it.
report:
	MOVQ	$(DATA_BASE+41*8), R15
result:
	MOVQ	REQ_RESULT(BX), DI
	MOVQ	AX, R13
	BTSQ	$40, R13
bits:
	BSFQ	R13, CX
	JZ	done
	BTRQ	CX, R13
	MOVQ	$DATA_BASE, SI
	LEAQ	(SI)(CX*8), SI
	MOVL	$8, DX
	MOVL	$SYS_write, AX
	SYSCALL
	JMP	bits
done:
	// R15 is the constant to write, 0 for none.
	TESTQ	R15, R15
	JZ	mapper
	MOVQ	R14, DI
	MOVQ	R15, SI
	MOVL	$8, DX
	MOVL	$SYS_write, AX
	SYSCALL
	JMP	mapper

thread:
	// clone(threadFlags, stack)
	MOVL	$0x50f00, DI
	MOVQ	REQ_STACK(BX), SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVL	$SYS_clone, AX
	SYSCALL
	TESTQ	AX, AX
	JZ	start
	CMPQ	AX, $-4095
	JCC	failed
	JMP	report

fork:
	MOVQ	REQ_FILE(BX), R13
	MOVQ	REQ_CHILD(BX), R15
	MOVQ	REQ_PARENT(BX), BP
	// clone(forkFlags)
	MOVL	$0x8600, DI
	XORL	SI, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVL	$SYS_clone, AX
	SYSCALL
	TESTQ	AX, AX
	JZ	child
	CMPQ	AX, $-4095
	JCC	failed
	// The child wakes the Sentry.
	XORL	R15, R15
	JMP	result
child:
	// A new process: no slot of the old one's, and a request page of its own.
	MOVL	$109, BX
	MOVQ	$AREA_BASE, DI
	MOVQ	$AREA_LEN, SI
	MOVL	$SYS_munmap, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	die
	MOVL	$110, BX
	MOVQ	$REQ_BASE, DI
	MOVL	$4096, SI
	MOVL	$1, DX
	MOVL	$0x11, R10 // MAP_SHARED|MAP_FIXED
	MOVQ	R13, R8
	MOVQ	R15, R9
	MOVL	$SYS_mmap, AX
	SYSCALL
	CMPQ	AX, DI
	JNE	die
	// prctl(PR_SET_PDEATHSIG, SIGKILL); then the parent must still be BP (0: in another
	// pid namespace), or it died before the call.
	MOVL	$111, BX
	MOVL	$1, DI
	MOVL	$9, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVL	$SYS_prctl, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	die
	MFENCE
	MOVL	$SYS_getppid, AX
	SYSCALL
	CMPQ	AX, BP
	JEQ	born
	TESTQ	AX, AX
	JNZ	die
born:
	MOVQ	R14, DI
	MOVQ	$(DATA_BASE+41*8), SI
	MOVL	$8, DX
	MOVL	$SYS_write, AX
	SYSCALL
	XORL	R12, R12
	JMP	mapper
die:
	MOVL	BX, DI
	MOVL	$SYS_exit_group, AX
	SYSCALL
	HLT

	PCALIGN	$1024
	// 0x400 codeThread: a new thread, with the mapper's filter and signals blocked. Only
	// after it has the stricter filter may a signal come: handlers use memory that the
	// application can write.
	MOVL	$0x1400, R11
start:
	MOVQ	SP, BX
	ANDQ	$-32768, BX
	// sigaltstack(&slot.altstack, nil)
	LEAQ	S_ALTSTACK(BX), DI
	XORL	SI, SI
	MOVL	$SYS_sigaltstack, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	die
	// seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, prog)
	MOVL	$1, DI
	MOVL	$4, SI
	MOVQ	$(DATA_BASE+DATA_PROG), DX
	MOVL	$SYS_seccomp, AX
	SYSCALL
	TESTQ	AX, AX
	JNZ	die
	// The Sentry may have said go already.
	MOVL	$1, S_MASKED(BX)
	JMP	wait

	PCALIGN	$256
	// 0x500 codeHandler: RSP is the frame, RDI the signal, RDX the ucontext, and RSP
	// does not change in here. From fresh on all is found from RSP, so an interrupt that
	// hits this region begins it again. (Interrupt: any signal sent by a process.) The post
	// is not in it: what the Sentry has been told must not be told twice.
	MOVL	$0x1500, R11
handler:
	MOVQ	SP, BX
	ANDQ	$-32768, BX
	CMPL	DI, $31 // SIGSYS, the only signal that blocks none
	JEQ	check
	MOVL	$1, S_MASKED(BX)
check:
	MOVQ	UC_RIP(DX), AX
	MOVQ	$CODE_BASE, CX
	SUBQ	CX, AX
	CMPQ	AX, $(CODE_END-CODE_BASE)
	JCS	nested
fresh:
	MOVQ	SP, S_FRAME(BX)
	MOVL	F_SIGNO(SP), AX
	MOVL	AX, S_KIND(BX)
	MOVQ	F_FPSTATE(SP), AX
	MOVQ	AX, S_FP(BX)
	MOVQ	$DATA_BASE, CX
	CMPL	DATA_FSGS(CX), $0
	JEQ	post
	RDFSBASEQ	AX
	MOVQ	AX, S_FS(BX)
	RDGSBASEQ	AX
	MOVQ	AX, S_GS(BX)
post:
	MOVL	$0, S_GO(BX)
	MOVL	$1, AX
	JMP	handlerpost

	PCALIGN	$256
	// 0x600 codeWait: posted; wait until the Sentry says go. RSP is on the signal stack,
	// below all that is still needed. An interrupt sets pending and begins again.
	MOVL	$0x1600, R11
	// 0x606: the gate's post. An interrupt at this instruction comes before it, any
	// later one finds the call with the Sentry.
gatepost:
	XCHGL	R11, S_POST(CX)
	MOVQ	CX, BX
	JMP	posted
	PCALIGN	$32
	// 0x620: the handler's, likewise.
handlerpost:
	XCHGL	AX, S_POST(BX)
	JMP	posted
	PCALIGN	$16
	// 0x630: codeAgain's, likewise.
againpost:
	XCHGL	AX, S_POST(BX)
	JMP	posted
rewait:
	MOVQ	R8, SP
	// Again from here: the wake-up may not have been done.
posted:
	CMPL	S_HOST_SLEEPS(BX), $0
	JEQ	wait
	// futex(&post, FUTEX_WAKE, all)
	LEAQ	S_POST(BX), DI
	MOVL	$1, SI
	MOVL	$0x7fffffff, DX
	MOVL	$SYS_futex, AX
	SYSCALL
wait:
	MOVL	S_SPIN(BX), CX
spin:
	MOVL	S_GO(BX), DX
	TESTL	DX, DX
	JNE	told
more:
	PAUSE
	SUBL	$1, CX
	JGT	spin
	MOVL	$1, AX
	XCHGL	AX, S_STUB_SLEEPS(BX)
	MOVL	S_GO(BX), DX
	TESTL	DX, DX
	JEQ	sleep
	CMPL	DX, $2
	JNE	awake
	CMPL	S_POST(BX), $0
	JEQ	awake
sleep:
	// futex(&go, FUTEX_WAIT, DX, nil)
	LEAQ	S_GO(BX), DI
	XORL	SI, SI
	XORL	R10, R10
	MOVL	$SYS_futex, AX
	SYSCALL
awake:
	MOVL	$0, S_STUB_SLEEPS(BX)
	JMP	wait
told:
	CMPL	DX, $2
	JNE	go
	// The Sentry wants the vectors. It clears S_POST before it says so, and takes back
	// what it said once they are there.
	CMPL	S_POST(BX), $0
	JNE	more
	CMPQ	S_FP(BX), $0
	JNE	saved
	MOVL	S_XMASK(BX), AX
	MOVL	(S_XMASK+4)(BX), DX
	LEAQ	S_FPAREA(BX), DI
	XSAVE64	(DI)
	MOVQ	DI, S_FP(BX)
saved:
	MOVL	$1, AX
	XCHGL	AX, S_POST(BX)
	JMP	posted
go:
	MOVL	S_FLAGS(BX), R12
	TESTL	$4, R12
	JZ	stay
	XORL	DI, DI
	MOVL	$SYS_exit, AX
	SYSCALL
stay:
	CMPL	S_MASKED(BX), $0
	JEQ	bases
	MOVL	$0, S_MASKED(BX)
	// rt_sigprocmask(SIG_SETMASK, &mask, nil, 8)
	MOVL	$2, DI
	MOVQ	$(DATA_BASE+DATA_MASK), SI
	XORL	DX, DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigprocmask, AX
	SYSCALL
bases:
	TESTL	$3, R12
	JZ	vectors
	MOVQ	S_NEW_FS(BX), R13
	MOVQ	S_NEW_GS(BX), R14
	MOVQ	$DATA_BASE, CX
	CMPL	DATA_FSGS(CX), $0
	JEQ	slow
	WRFSBASEQ	R13
	WRGSBASEQ	R14
	JMP	vectors
slow:
	// arch_prctl(ARCH_SET_FS, fs), arch_prctl(ARCH_SET_GS, gs)
	MOVL	$0x1002, DI
	MOVQ	R13, SI
	MOVL	$SYS_arch_prctl, AX
	SYSCALL
	MOVL	$0x1001, DI
	MOVQ	R14, SI
	MOVL	$SYS_arch_prctl, AX
	SYSCALL
vectors:
	// None: they are in their registers, where the gate left them.
	MOVQ	S_FP(BX), DI
	TESTQ	DI, DI
	JEQ	loaded
	MOVL	S_XMASK(BX), AX
	MOVL	(S_XMASK+4)(BX), DX
	XRSTOR64	(DI)
loaded:
	CMPL	S_PENDING(BX), $0
	JNE	again
	JMP	resume

	PCALIGN	$512
	// 0x800 codeAgain: tell the Sentry that the thread has not run. An interrupt here
	// begins it again.
	MOVL	$0x1800, R11
reagain:
	MOVQ	R8, SP
again:
	MOVL	$0, S_PENDING(BX)
	MOVL	$0x100, S_KIND(BX)
	MOVL	$0, S_GO(BX)
	MOVL	$1, AX
	JMP	againpost

	PCALIGN	$128
	// 0x880 codeResume: load the registers that the Sentry wrote. An interrupt from here
	// on means that the thread has not run; the vectors are those of its frame.
	MOVL	$0x1880, R11
resume:
	LEAQ	S_IRET(BX), SP
	// IRETQ faults while NT is set.
	MOVL	$0x202, AX
	MOVQ	AX, -8(SP)
	LEAQ	-8(SP), SP
	BYTE	$0x9D // POPFQ
	MOVQ	(S_REGS+0x00)(BX), R15
	MOVQ	(S_REGS+0x08)(BX), R14
	MOVQ	(S_REGS+0x10)(BX), R13
	MOVQ	(S_REGS+0x18)(BX), R12
	MOVQ	(S_REGS+0x20)(BX), BP
	MOVQ	(S_REGS+0x30)(BX), R11
	MOVQ	(S_REGS+0x38)(BX), R10
	MOVQ	(S_REGS+0x40)(BX), R9
	MOVQ	(S_REGS+0x48)(BX), R8
	MOVQ	(S_REGS+0x50)(BX), AX
	MOVQ	(S_REGS+0x58)(BX), CX
	MOVQ	(S_REGS+0x60)(BX), DX
	MOVQ	(S_REGS+0x68)(BX), SI
	MOVQ	(S_REGS+0x70)(BX), DI
	MOVQ	(S_REGS+0x28)(BX), BX
	IRETQ

	PCALIGN	$128
	// 0x980 codeNested: a signal has hit this page; AX is where. Those of processes are
	// blocked; a fault means that the application has jumped here.
	MOVL	$0x1980, R11
nested:
	CMPL	F_CODE(SP), $0
	JGT	fresh
	// Also for the handler that this one hit before it could say so.
	MOVL	$1, S_MASKED(BX)
	MOVQ	UC_RSP(DX), R8
	CMPQ	AX, $0x500
	JCS	fresh
	CMPQ	AX, $0x600
	JCS	below
	CMPQ	AX, $0x606
	JEQ	fresh
	CMPQ	AX, $0x620
	JEQ	below
	CMPQ	AX, $0x630
	JEQ	reagain
	CMPQ	AX, $0x800
	JCS	inWait
	CMPQ	AX, $0x880
	JCS	reagain
	CMPQ	AX, $0xa80
	JCC	fresh // in the gate: the Sentry undoes the half that has been done
	CMPQ	AX, $0x980
	JCC	below
	// In codeResume: this frame's vectors are the thread's.
	MOVQ	SP, S_FRAME(BX)
	MOVQ	F_FPSTATE(SP), AX
	MOVQ	AX, S_FP(BX)
	JMP	again
inWait:
	// RSP moves only there: what hits this region goes by the frame that RSP names.
	MOVL	$1, S_PENDING(BX)
	// After the gate the vectors were in their registers: now they are in this frame,
	// which stays, unless the Sentry has just given others.
	MOVQ	F_FPSTATE(SP), CX
	XORL	AX, AX
	LOCK
	CMPXCHGQ	CX, S_FP(BX)
	JNE	rewait
	JMP	posted
below:
	// Begin the handler again with the frame that this one hit, which may have hit the
	// page too.
	MOVQ	R8, SP
	LEAQ	8(SP), DX
	MOVL	F_SIGNO(SP), DI
	JMP	check

	PCALIGN	$128
	// 0xa80 codeGate: patched code jumps here (to 0xa86) instead of making a system call.
	// R11 is where to return to, with the tags of layout_amd64.go; the other registers are
	// as for the call, of which R11 and RCX may change. No flag changes before PUSHFQ, and no memory does before GS is known
	// to be the slot. Up to gatepost the Sentry can undo it: it needs all registers but RCX
	// and R11 as they were, and goes by RSP (gate_amd64.go).
	MOVL	$0x1a80, R11
	MOVQ	S_MAGIC(GS), CX
	LEAQ	-MAGIC(CX), CX
	JCXZQ	ours
	BYTE	$0x0F; BYTE $0x0B // UD2
ours:
	MOVQ	S_SELF(GS), CX
	MOVQ	R11, S_IRET(CX)
	MOVQ	SP, (S_IRET+24)(CX)
	LEAQ	(S_IRET+24)(CX), SP
	BYTE	$0x9C // PUSHFQ
	CMPL	AX, $LOCALS
	JCC	full
	MOVL	AX, R11
	MOVL	S_LOCAL(CX)(R11*4), R11
	SUBL	$1, R11
	JCC	local
full:
	MOVQ	R15, (S_REGS+0x00)(CX)
	MOVQ	R14, (S_REGS+0x08)(CX)
	MOVQ	R13, (S_REGS+0x10)(CX)
	MOVQ	R12, (S_REGS+0x18)(CX)
	MOVQ	BP, (S_REGS+0x20)(CX)
	MOVQ	BX, (S_REGS+0x28)(CX)
	MOVQ	R10, (S_REGS+0x38)(CX)
	MOVQ	R9, (S_REGS+0x40)(CX)
	MOVQ	R8, (S_REGS+0x48)(CX)
	MOVQ	AX, (S_REGS+0x50)(CX)
	MOVQ	DX, (S_REGS+0x60)(CX)
	MOVQ	SI, (S_REGS+0x68)(CX)
	MOVQ	DI, (S_REGS+0x70)(CX)
	MOVQ	$DATA_BASE, R11
	CMPL	DATA_FSGS(R11), $0
	JEQ	based
	RDFSBASEQ	R11
	MOVQ	R11, S_FS(CX)
based:
	MOVL	$0x200, S_KIND(CX)
	MOVQ	$0, S_FP(CX)
	MOVL	$0, S_GO(CX)
	MOVL	$1, R11
	JMP	gatepost

	PCALIGN	$128
	// 0xb80 codeLocal: the answer is in R11. After the first instruction (0xb86) the
	// Sentry ends what is left of this instead of undoing it.
	MOVL	$0x1b80, R11
local:
	MOVQ	R11, AX
	INCQ	S_ANSWERED(CX)
	MOVQ	S_IRET(CX), R11
	TESTQ	R11, R11
	JMI	over
	MOVQ	(S_IRET+16)(CX), R11
	BYTE	$0x9D // POPFQ
	MOVQ	(S_IRET+24)(CX), SP
	MOVQ	S_IRET(CX), CX
	JMP	CX
over:
	// The jump covers the comparison behind the call, which is done here.
	SHLQ	$16, R11
	SHRQ	$16, R11
	MOVQ	R11, S_END(CX)
	ADDQ	$6, R11
	MOVQ	R11, S_BACK(CX)
	BTQ	$62, S_IRET(CX)
	MOVQ	(S_IRET+16)(CX), R11
	JCS	other
	BYTE	$0x9D // POPFQ
	CMPQ	AX, $-4095
	JMP	away
other:
	BYTE	$0x9D // POPFQ
	CMPQ	AX, $-4096
away:
	MOVQ	(S_IRET+24)(CX), SP
	MOVQ	S_END(CX), CX
	// JMP *S_BACK(GS)
	BYTE	$0x65; BYTE $0xFF; BYTE $0x24; BYTE $0x25; LONG $S_BACK

	PCALIGN	$128
	// 0xc80 codeReset: handler of resetSignal, with all signals of the others blocked. The
	// thread's life has ended: nothing of its registers and its slot is used. It waits
	// until the Sentry, which alone can write the request page, has made the slot
	// new, drops what is left in registers, and waits for the next life like a new thread.
	MOVL	$0x1c80, R11
	MOVQ	$REQ_BASE, AX
	CMPL	REQ_HOLD(AX), $0
	JEQ	handler // somebody else's signal
	MOVQ	SP, BX
	ANDQ	$-32768, BX
hold:
	MOVQ	$REQ_BASE, DI
	CMPL	REQ_HOLD(DI), $1
	JNE	unheld
	// futex(&hold, FUTEX_WAIT, 1, nil)
	ADDQ	$REQ_HOLD, DI
	XORL	SI, SI
	MOVL	$1, DX
	XORL	R10, R10
	MOVL	$SYS_futex, AX
	SYSCALL
	JMP	hold
unheld:
	LEAQ	SLOT_TOP(BX), SP
	BYTE	$0x6A; BYTE $0x02 // PUSHQ $2
	BYTE	$0x9D // POPFQ
	XORL	AX, AX
	BYTE	$0x8E; BYTE $0xD8 // MOVW AX, DS
	BYTE	$0x8E; BYTE $0xC0 // MOVW AX, ES
	BYTE	$0x8E; BYTE $0xE0 // MOVW AX, FS
	BYTE	$0x8E; BYTE $0xE8 // MOVW AX, GS
	MOVL	S_XMASK(BX), AX
	MOVL	(S_XMASK+4)(BX), DX
	LEAQ	S_FPAREA(BX), DI
	XRSTOR64	(DI)
	XORL	AX, AX
	XORL	CX, CX
	XORL	DX, DX
	XORL	BP, BP
	XORL	SI, SI
	XORL	DI, DI
	XORL	R8, R8
	XORL	R9, R9
	XORL	R10, R10
	XORL	R11, R11
	XORL	R12, R12
	XORL	R13, R13
	XORL	R14, R14
	XORL	R15, R15
	JMP	wait

	PCALIGN	$128
	// 0xd80 codeEnd
	MOVL	$0x1d80, R11
	RET
