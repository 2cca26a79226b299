#include "textflag.h"

#define SYS_madvise 233
#define SYS_prctl 167
#define PR_SET_TIMERSLACK 29
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#define SLACK_NS 1000000

// start is where the kernel enters the program (see doc.go). There is no runtime yet, and the
// stack holds what the kernel put there for it: only registers are used.
TEXT ·start(SB), NOSPLIT|NOFRAME, $0
	MOVD	$PR_SET_TIMERSLACK, R0
	MOVD	$SLACK_NS, R1
	MOVD	$SYS_prctl, R8
	SVC

	// Pages may be as large as 64 KiB.
	MOVD	$runtime·text(SB), R0
	AND	$~65535, R0
	MOVD	$runtime·erodata(SB), R1
	SUB	R0, R1
	MOVD	$MADV_POPULATE_READ, R2
	MOVD	$SYS_madvise, R8
	SVC

	MOVD	$runtime·noptrdata(SB), R0
	AND	$~65535, R0
	MOVD	$runtime·ebss(SB), R1
	SUB	R0, R1
	MOVD	$MADV_POPULATE_WRITE, R2
	MOVD	$SYS_madvise, R8
	SVC

	MOVD	$1, R0
	MOVB	R0, ·early(SB)
	JMP	_rt0_arm64_linux(SB)
