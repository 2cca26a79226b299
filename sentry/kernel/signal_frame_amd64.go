package kernel

import (
	"encoding/binary"

	"lazaret/sentry/mm"
	"lazaret/syscalls/abi"
)

// minSigStack is MINSIGSTKSZ.
const minSigStack = 2048

// Layout of struct rt_sigframe on x86-64 (arch/x86/include/asm/sigframe.h,
// asm/sigcontext.h, asm/ucontext.h): the restorer's address, the ucontext, the siginfo.
// The floating point state lies above it.
const (
	frameUC       = 8
	ucLink        = 8
	ucStack       = 16
	ucMcontext    = 40
	ucSigmask     = ucMcontext + 256
	ucSize        = ucSigmask + 8
	frameInfo     = frameUC + ucSize
	frameSize     = frameInfo + abi.SiginfoSize
	scFlags       = 17 * 8
	scSegments    = 18 * 8 // cs, gs, fs, ss: 16 bits each
	scErr         = 19 * 8
	scFPState     = 23 * 8
	redZone       = 128
	ucFPXstate    = 1
	ucSigcontext  = 2
	ucStrictSS    = 4
	fxsaveSize    = 512
	xsaveHeader   = 64
	fpSWBytes     = 464
	fpXstateMag1  = 0x46505853
	fpXstateMag2  = 0x46505845
	userCS        = 0x33
	userSS        = 0x2b
	eflagsTF      = 1 << 8
	eflagsDF      = 1 << 10
	eflagsRF      = 1 << 16
	eflagsRestore = 0x40000 | 0x800 | eflagsDF | eflagsTF | 0x80 | 0x40 | 0x10 | 0x4 | 0x1 | eflagsRF
	maxXsave      = 16384 // bound of a state image, AMX included
)

// frameSP returns where frame and floating point state of size fpLen go.
func (t *Task) frameSP(a *abi.Sigaction, fpLen int) (sp, fp abi.Addr, err error) {
	sp = t.regs.SP()
	nested := t.onAltStack(sp)
	entering := false
	if a.Flags&abi.SA_ONSTACK != 0 && t.altStackFlags(sp) == 0 {
		sp, entering = t.altStack.SP+abi.Addr(t.altStack.Size), true
	} else {
		sp -= redZone
	}
	fp = (sp - abi.Addr(fpLen)) &^ 63
	sp = (fp-frameSize)&^15 - 8
	if (nested || entering) && (sp <= t.altStack.SP || uint64(sp-t.altStack.SP) > t.altStack.Size) {
		return 0, 0, abi.EFAULT // would overflow the alternate stack
	}
	if sp > t.regs.SP() && !entering {
		return 0, 0, abi.EFAULT
	}
	return sp, fp, nil
}

// fpImage returns the XSAVE image as a signal frame has it: with the software bytes and
// the second magic number.
func (t *Task) fpImage() ([]byte, error) {
	img, err := t.pctx.FPState()
	if err != nil || len(img) < fxsaveSize {
		return nil, abi.EFAULT
	}
	if len(img) < fxsaveSize+xsaveHeader {
		return img[:fxsaveSize], nil
	}
	// ptrace's image carries XCR0 in the first software word.
	features := binary.LittleEndian.Uint64(img[fpSWBytes:])
	size := len(img)
	out := make([]byte, size+4)
	copy(out, img)
	sw := out[fpSWBytes:fxsaveSize]
	clear(sw)
	binary.LittleEndian.PutUint32(sw, fpXstateMag1)
	binary.LittleEndian.PutUint32(sw[4:], uint32(size+4))
	binary.LittleEndian.PutUint64(sw[8:], features)
	binary.LittleEndian.PutUint32(sw[16:], uint32(size))
	binary.LittleEndian.PutUint32(out[size:], fpXstateMag2)
	return out, nil
}

// pushFrame writes the frame and makes the registers enter the handler.
func (t *Task) pushFrame(sig int, a *abi.Sigaction, info *abi.Siginfo, mask abi.SigSet) error {
	if a.Flags&abi.SA_RESTORER == 0 {
		return abi.EFAULT
	}
	fpImg, err := t.fpImage()
	if err != nil {
		return err
	}
	sp, fp, err := t.frameSP(a, len(fpImg))
	if err != nil {
		return err
	}
	m := t.mm.Load()
	if err := m.CopyOut(fp, fpImg); err != nil {
		return err
	}
	var f [frameSize]byte
	binary.LittleEndian.PutUint64(f[:], a.Restorer)
	t.fillContext(f[frameUC:frameInfo], fp, mask, len(fpImg) > fxsaveSize)
	copy(f[frameInfo:], info.Bytes())
	if err := m.CopyOut(sp, f[:]); err != nil {
		return err
	}
	// Handlers begin with the floating point state of a new program.
	if err := t.pctx.SetFPState(nil); err != nil {
		return err
	}
	if t.altStack.Flags&abi.SS_AUTODISARM != 0 {
		t.altStack = abi.SigStack{Flags: abi.SS_DISABLE}
	}
	r := &t.regs
	r.Rdi, r.Rsi, r.Rdx, r.Rax = uint64(sig), uint64(sp)+frameInfo, uint64(sp)+frameUC, 0
	r.Rsp, r.Rip = uint64(sp), a.Handler
	r.Cs, r.Ss = userCS, userSS
	r.Eflags &^= eflagsDF | eflagsRF | eflagsTF
	r.OrigRax = ^uint64(0)
	return nil
}

// fillContext writes the ucontext.
func (t *Task) fillContext(b []byte, fp abi.Addr, mask abi.SigSet, xstate bool) {
	flags := uint64(ucSigcontext | ucStrictSS)
	if xstate {
		flags |= ucFPXstate
	}
	binary.LittleEndian.PutUint64(b, flags)
	copy(b[ucStack:], t.altStack.Bytes())
	sc := b[ucMcontext:]
	for i, p := range t.contextRegs() {
		binary.LittleEndian.PutUint64(sc[i*8:], *p)
	}
	r := &t.regs
	binary.LittleEndian.PutUint64(sc[scFlags:], r.Eflags)
	binary.LittleEndian.PutUint16(sc[scSegments:], uint16(r.Cs))
	binary.LittleEndian.PutUint16(sc[scSegments+6:], uint16(r.Ss))
	binary.LittleEndian.PutUint64(sc[scErr:], t.stop.errCode)
	binary.LittleEndian.PutUint64(sc[scErr+8:], t.stop.trapNo)
	binary.LittleEndian.PutUint64(sc[scErr+16:], uint64(mask))
	binary.LittleEndian.PutUint64(sc[scErr+24:], uint64(t.stop.faultAddr))
	binary.LittleEndian.PutUint64(sc[scFPState:], uint64(fp))
	binary.LittleEndian.PutUint64(b[ucSigmask:], uint64(mask))
}

// contextRegs returns the registers in the order of struct sigcontext.
func (t *Task) contextRegs() [17]*uint64 {
	r := &t.regs
	return [17]*uint64{&r.R8, &r.R9, &r.R10, &r.R11, &r.R12, &r.R13, &r.R14, &r.R15,
		&r.Rdi, &r.Rsi, &r.Rbp, &r.Rbx, &r.Rdx, &r.Rax, &r.Rcx, &r.Rsp, &r.Rip}
}

// popFrame takes registers, floating point state, mask and alternate stack from the
// frame. TRUST: all of it is the application's.
func (t *Task) popFrame() error {
	var f [frameSize]byte
	m := t.mm.Load()
	if err := m.CopyIn(t.regs.SP()-8, f[:frameInfo]); err != nil {
		return err
	}
	uc := f[frameUC:frameInfo]
	sc := uc[ucMcontext:]
	t.SetSignalMask(abi.SigSet(binary.LittleEndian.Uint64(uc[ucSigmask:])))
	// As on Linux since 6.12, before the stack pointer comes back: a handler that runs on
	// the alternate stack leaves it as it is. A bad one in the frame is ignored.
	_ = t.setAltStack(abi.SigStackFrom(uc[ucStack:]), t.regs.SP())
	fp := abi.Addr(binary.LittleEndian.Uint64(sc[scFPState:]))
	if err := t.restoreFP(m, fp); err != nil {
		return err
	}
	for i, p := range t.contextRegs() {
		*p = binary.LittleEndian.Uint64(sc[i*8:])
	}
	r := &t.regs
	r.Eflags = r.Eflags&^eflagsRestore | binary.LittleEndian.Uint64(sc[scFlags:])&eflagsRestore
	r.Cs, r.Ss, r.OrigRax = userCS, userSS, ^uint64(0)
	return nil
}

// restoreFP loads the floating point state of a frame.
func (t *Task) restoreFP(m *mm.MM, fp abi.Addr) error {
	if fp == 0 {
		return t.pctx.SetFPState(nil)
	}
	cur, err := t.pctx.FPState()
	if err != nil || len(cur) < fxsaveSize || len(cur) > maxXsave {
		return abi.EFAULT
	}
	img := make([]byte, len(cur))
	if err := m.CopyIn(fp, img[:fxsaveSize]); err != nil {
		return err
	}
	if len(img) <= fxsaveSize {
		return t.pctx.SetFPState(img)
	}
	sw := img[fpSWBytes:fxsaveSize]
	size, ext := binary.LittleEndian.Uint32(sw[16:]), binary.LittleEndian.Uint32(sw[4:])
	features := binary.LittleEndian.Uint64(sw[8:])
	full := binary.LittleEndian.Uint32(sw) == fpXstateMag1 && size >= fxsaveSize+xsaveHeader &&
		size <= uint32(len(img)) && size <= ext && t.hasMagic2(m, fp, size)
	copy(sw, cur[fpSWBytes:fxsaveSize])
	header := img[fxsaveSize:]
	if !full { // the legacy part only; the rest starts anew
		binary.LittleEndian.PutUint64(header, 3)
		return t.pctx.SetFPState(img)
	}
	if err := m.CopyIn(fp+fxsaveSize, img[fxsaveSize:size]); err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(header, binary.LittleEndian.Uint64(header)&features)
	return t.pctx.SetFPState(img)
}

func (t *Task) hasMagic2(m *mm.MM, fp abi.Addr, size uint32) bool {
	var b [4]byte
	return m.CopyIn(fp+abi.Addr(size), b[:]) == nil && binary.LittleEndian.Uint32(b[:]) == fpXstateMag2
}

// singleStep reports whether the trap flag is on.
func (t *Task) singleStep() bool { return t.regs.Eflags&eflagsTF != 0 }

// setSingleStep sets the trap flag.
func (t *Task) setSingleStep(on bool) {
	t.regs.Eflags &^= eflagsTF
	if on {
		t.regs.Eflags |= eflagsTF
	}
}

// resetRegs prepares the registers of a new program.
func (t *Task) resetRegs(entry, sp abi.Addr) {
	r := &t.regs
	*r = zeroRegs
	r.Rip, r.Rsp, r.Cs, r.Ss, r.Eflags = uint64(entry), uint64(sp), userCS, userSS, 0x202
	r.OrigRax = ^uint64(0)
}

const auditArch = abi.AUDIT_ARCH_X86_64
