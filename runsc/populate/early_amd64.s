#include "textflag.h"

#define SYS_madvise 28
#define SYS_prctl 157
#define PR_SET_TIMERSLACK 29
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#define SLACK_NS 1000000

// start is where the kernel enters the program (see doc.go). There is no runtime yet, and the
// stack holds what the kernel put there for it: only registers are used.
TEXT ·start(SB), NOSPLIT|NOFRAME, $0
	MOVL	$PR_SET_TIMERSLACK, DI
	MOVL	$SLACK_NS, SI
	MOVL	$SYS_prctl, AX
	SYSCALL

	MOVQ	$runtime·text(SB), DI
	ANDQ	$~4095, DI
	MOVQ	$runtime·erodata(SB), SI
	SUBQ	DI, SI
	MOVL	$MADV_POPULATE_READ, DX
	MOVL	$SYS_madvise, AX
	SYSCALL

	MOVQ	$runtime·noptrdata(SB), DI
	ANDQ	$~4095, DI
	MOVQ	$runtime·ebss(SB), SI
	SUBQ	DI, SI
	MOVL	$MADV_POPULATE_WRITE, DX
	MOVL	$SYS_madvise, AX
	SYSCALL

	MOVB	$1, ·early(SB)
	JMP	_rt0_amd64_linux(SB)
