#include "textflag.h"

// func spinUntil(p *uint32, want uint32, n int) bool
TEXT ·spinUntil(SB), NOSPLIT, $0-25
	MOVQ	p+0(FP), DI
	MOVL	want+8(FP), SI
	MOVQ	n+16(FP), CX
loop:
	CMPL	(DI), SI
	JEQ	yes
	PAUSE
	DECQ	CX
	JGT	loop
	MOVB	$0, ret+24(FP)
	RET
yes:
	MOVB	$1, ret+24(FP)
	RET
