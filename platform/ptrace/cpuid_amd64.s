#include "textflag.h"

// func pkruOffset() int
TEXT ·pkruOffset(SB), NOSPLIT, $0-8
	MOVL	$13, AX
	MOVL	$9, CX
	CPUID
	MOVL	BX, AX
	MOVQ	AX, ret+0(FP)
	RET
