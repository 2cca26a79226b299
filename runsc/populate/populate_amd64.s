#include "textflag.h"

#define SYS_madvise 28

// func madvise(addr, length, advice uintptr) int
TEXT ·madvise(SB), NOSPLIT, $0-32
	MOVQ	addr+0(FP), DI
	MOVQ	length+8(FP), SI
	MOVQ	advice+16(FP), DX
	MOVL	$SYS_madvise, AX
	SYSCALL
	MOVQ	AX, ret+24(FP)
	RET

// func readOnly() (begin, end uintptr)
TEXT ·readOnly(SB), NOSPLIT, $0-16
	LEAQ	runtime·text(SB), AX
	MOVQ	AX, begin+0(FP)
	LEAQ	runtime·erodata(SB), AX
	MOVQ	AX, end+8(FP)
	RET

// func variables() (begin, end uintptr)
TEXT ·variables(SB), NOSPLIT, $0-16
	LEAQ	runtime·noptrdata(SB), AX
	MOVQ	AX, begin+0(FP)
	LEAQ	runtime·ebss(SB), AX
	MOVQ	AX, end+8(FP)
	RET

// func tables() (end uintptr)
TEXT ·tables(SB), NOSPLIT, $0-8
	LEAQ	runtime·epclntab(SB), AX
	MOVQ	AX, end+0(FP)
	RET
