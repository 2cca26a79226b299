#include "textflag.h"

// func cpuidFeatures() uint32
TEXT ·cpuidFeatures(SB), NOSPLIT, $0-4
	MOVL $1, AX
	XORL CX, CX
	CPUID
	MOVL DX, ret+0(FP)
	RET
