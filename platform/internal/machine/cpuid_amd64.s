#include "textflag.h"

// func XsaveComponent(n uint32) (size, offset uint32)
TEXT ·XsaveComponent(SB), NOSPLIT, $0-16
	MOVL	$13, AX
	MOVL	n+0(FP), CX
	CPUID
	MOVL	AX, size+8(FP)
	MOVL	BX, offset+12(FP)
	RET
