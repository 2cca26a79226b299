package kernel

import (
	"encoding/binary"

	"lazaret/syscalls/abi"
)

// minSigStack is MINSIGSTKSZ.
const minSigStack = 5120

// Layout of struct rt_sigframe on arm64 (arch/arm64/include/uapi/asm/sigcontext.h,
// ucontext.h): siginfo, ucontext, then a frame record.
const (
	frameUC       = abi.SiginfoSize
	ucStack       = 16
	ucSigmask     = 40
	ucMcontext    = 176
	scReserved    = 288
	frameSize     = frameUC + ucMcontext + scReserved + 4096
	frameRecord   = 16
	fpsimdMagic   = 0x46508001
	fpsimdCtxSize = 528
	fpsimdVregs   = 512
	fpsimdImage   = 528
	maxXsave      = 4096
	pstateSS      = 1 << 21
	pstateUser    = 0xf0001000 // N Z C V and SSBS: what an application may set
)

// pushFrame writes the frame and makes the registers enter the handler.
//
// TODO: handlers without SA_RESTORER return through the vDSO's trampoline on Linux.
func (t *Task) pushFrame(sig int, a *abi.Sigaction, info *abi.Siginfo, mask abi.SigSet) error {
	if a.Flags&abi.SA_RESTORER == 0 {
		return abi.EFAULT
	}
	fp, err := t.pctx.FPState()
	if err != nil || len(fp) < fpsimdImage {
		return abi.EFAULT
	}
	sp := t.regs.SP()
	nested, entering := t.onAltStack(sp), false
	if a.Flags&abi.SA_ONSTACK != 0 && t.altStackFlags(sp) == 0 {
		sp, entering = t.altStack.SP+abi.Addr(t.altStack.Size), true
	}
	record := (sp - frameRecord) &^ 15
	sp = (record - frameSize) &^ 15
	if (nested || entering) && (sp <= t.altStack.SP || uint64(sp-t.altStack.SP) > t.altStack.Size) {
		return abi.EFAULT
	}
	r := &t.regs
	var f [frameSize + frameRecord]byte
	copy(f[:], info.Bytes())
	uc := f[frameUC:]
	copy(uc[ucStack:], t.altStack.Bytes())
	binary.LittleEndian.PutUint64(uc[ucSigmask:], uint64(mask))
	sc := uc[ucMcontext:]
	binary.LittleEndian.PutUint64(sc, uint64(t.stop.faultAddr))
	for i, x := range r.X {
		binary.LittleEndian.PutUint64(sc[8+i*8:], x)
	}
	binary.LittleEndian.PutUint64(sc[256:], r.Sp)
	binary.LittleEndian.PutUint64(sc[264:], r.Pc)
	binary.LittleEndian.PutUint64(sc[272:], r.Pstate)
	ctx := sc[scReserved:]
	binary.LittleEndian.PutUint32(ctx, fpsimdMagic)
	binary.LittleEndian.PutUint32(ctx[4:], fpsimdCtxSize)
	copy(ctx[8:16], fp[fpsimdVregs:])
	copy(ctx[16:fpsimdCtxSize], fp[:fpsimdVregs])
	binary.LittleEndian.PutUint64(f[frameSize:], r.X[29])
	binary.LittleEndian.PutUint64(f[frameSize+8:], r.X[30])
	if err := t.mm.Load().CopyOut(sp, f[:]); err != nil {
		return err
	}
	if t.altStack.Flags&abi.SS_AUTODISARM != 0 {
		t.altStack = abi.SigStack{Flags: abi.SS_DISABLE}
	}
	r.X[0], r.X[1], r.X[2] = uint64(sig), uint64(sp), uint64(sp)+frameUC
	r.X[29], r.X[30] = uint64(sp)+frameSize, a.Restorer
	r.Sp, r.Pc = uint64(sp), a.Handler
	r.Pstate &^= pstateSS
	return nil
}

// popFrame takes registers, floating point state, mask and alternate stack from the
// frame. TRUST: all of it is the application's.
func (t *Task) popFrame() error {
	r := &t.regs
	if r.Sp&15 != 0 {
		return abi.EFAULT
	}
	var f [frameSize]byte
	if err := t.mm.Load().CopyIn(r.SP(), f[:]); err != nil {
		return err
	}
	uc := f[frameUC:]
	sc := uc[ucMcontext:]
	ctx := sc[scReserved:]
	if binary.LittleEndian.Uint32(ctx) != fpsimdMagic || binary.LittleEndian.Uint32(ctx[4:]) != fpsimdCtxSize {
		return abi.EINVAL
	}
	var fp [fpsimdImage]byte
	copy(fp[:], ctx[16:fpsimdCtxSize])
	copy(fp[fpsimdVregs:], ctx[8:16])
	if err := t.pctx.SetFPState(fp[:]); err != nil {
		return err
	}
	t.SetSignalMask(abi.SigSet(binary.LittleEndian.Uint64(uc[ucSigmask:])))
	for i := range r.X {
		r.X[i] = binary.LittleEndian.Uint64(sc[8+i*8:])
	}
	r.Sp = binary.LittleEndian.Uint64(sc[256:])
	r.Pc = binary.LittleEndian.Uint64(sc[264:])
	r.Pstate = binary.LittleEndian.Uint64(sc[272:]) & pstateUser
	_ = t.setAltStack(abi.SigStackFrom(uc[ucStack:]), r.SP())
	return nil
}

func (t *Task) singleStep() bool { return t.regs.Pstate&pstateSS != 0 }

func (t *Task) setSingleStep(on bool) {
	t.regs.Pstate &^= pstateSS
	if on {
		t.regs.Pstate |= pstateSS
	}
}

// resetRegs prepares the registers of a new program.
func (t *Task) resetRegs(entry, sp abi.Addr) {
	t.regs = zeroRegs
	t.regs.Pc, t.regs.Sp = uint64(entry), uint64(sp)
	t.regs.Nr = ^uint64(0)
}

const auditArch = abi.AUDIT_ARCH_AARCH64
