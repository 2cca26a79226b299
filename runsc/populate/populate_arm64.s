#include "textflag.h"

#define SYS_madvise 233

// func madvise(addr, length, advice uintptr) int
TEXT ·madvise(SB), NOSPLIT, $0-32
	MOVD	addr+0(FP), R0
	MOVD	length+8(FP), R1
	MOVD	advice+16(FP), R2
	MOVD	$SYS_madvise, R8
	SVC
	MOVD	R0, ret+24(FP)
	RET

// func readOnly() (begin, end uintptr)
TEXT ·readOnly(SB), NOSPLIT, $0-16
	MOVD	$runtime·text(SB), R0
	MOVD	R0, begin+0(FP)
	MOVD	$runtime·erodata(SB), R0
	MOVD	R0, end+8(FP)
	RET

// func variables() (begin, end uintptr)
TEXT ·variables(SB), NOSPLIT, $0-16
	MOVD	$runtime·noptrdata(SB), R0
	MOVD	R0, begin+0(FP)
	MOVD	$runtime·ebss(SB), R0
	MOVD	R0, end+8(FP)
	RET

// func tables() (end uintptr)
TEXT ·tables(SB), NOSPLIT, $0-8
	MOVD	$runtime·epclntab(SB), R0
	MOVD	R0, end+0(FP)
	RET
