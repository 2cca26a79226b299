package ptrace

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"

	"lazaret/syscalls/abi"
)

// Layout of an XSAVE image in standard format: the FXSAVE area, whose last 48 bytes are
// software's, the header, then the components.
const (
	offFCW       = 0
	offMXCSR     = 24
	offMXCSRMask = 28
	offXstateBV  = 512
	offXcompBV   = 520
	offReserved  = 528
	fxsaveLen    = 512
	xsaveMin     = 576

	initFCW   = 0x37f
	initMXCSR = 0x1f80

	xfeatureFPSSE = 3
	xfeaturePKRU  = 1 << 9

	maxXstate = 64 << 10
)

// learnXstate reads the format of the host's XSAVE image from a stopped stub and builds
// the image of a new program.
func (p *ptracePlatform) learnXstate(pid int32) error {
	buf := make([]byte, maxXstate)
	n, e := getXstate(pid, buf)
	if e != 0 {
		return templateFailed(e)
	}
	host := buf[:n]
	p.mxcsrMax = 0xffbf // what a zero mask means
	if m := binary.LittleEndian.Uint32(host[offMXCSRMask:]); m != 0 {
		p.mxcsrMax = m
	}
	// The software bytes of the FXSAVE area begin with the features that are saved.
	const offSwXfeatures = 464
	p.xfeature = binary.LittleEndian.Uint64(host[offSwXfeatures:])
	if p.xfeature == 0 {
		p.xfeature = binary.LittleEndian.Uint64(host[offXstateBV:]) | xfeatureFPSSE
	}

	init := make([]byte, n)
	binary.LittleEndian.PutUint16(init[offFCW:], initFCW)
	binary.LittleEndian.PutUint32(init[offMXCSR:], initMXCSR)
	binary.LittleEndian.PutUint32(init[offMXCSRMask:], p.mxcsrMax)
	binary.LittleEndian.PutUint64(init[offXstateBV:], xfeatureFPSSE)
	if p.xfeature&xfeaturePKRU != 0 {
		// Linux starts programs with every key but 0 denied; the template has that.
		bv := binary.LittleEndian.Uint64(host[offXstateBV:])
		const pkru = 9
		if _, off := xsaveComponent(pkru); bv&xfeaturePKRU != 0 && int(off)+4 <= n {
			copy(init[off:off+4], host[off:])
			binary.LittleEndian.PutUint64(init[offXstateBV:], xfeatureFPSSE|xfeaturePKRU)
		}
	}
	p.initFP = init
	if e := setXstate(pid, init); e != 0 {
		return templateFailed(e)
	}
	return nil
}

// FPState implements platform.Context.
func (c *context) FPState() ([]byte, error) {
	if c.fp != nil {
		return slices.Clone(c.fp), nil
	}
	return c.readFP()
}

func (c *context) readFP() ([]byte, error) {
	buf := make([]byte, len(c.p.initFP))
	if c.thread == nil {
		return nil, abi.ESRCH
	}
	n, e := getXstate(c.thread.tid, buf)
	if e != 0 {
		return nil, toErrno(e)
	}
	return buf[:n], nil
}

// SetFPState implements platform.Context.
func (c *context) SetFPState(data []byte) error {
	if data == nil {
		c.fp = c.p.initFP
		return nil
	}
	img, err := c.p.checkFP(data)
	if err != nil {
		return err
	}
	c.fp = img
	return nil
}

// checkFP returns a full image of the host's size made from data. It refuses what
// PTRACE_SETREGSET would. A bare FXSAVE image is accepted too.
//
// TRUST: data comes from a signal frame or a debugger inside the sandbox.
func (p *ptracePlatform) checkFP(data []byte) ([]byte, error) {
	if len(data) < fxsaveLen || len(data) > len(p.initFP) {
		return nil, abi.EINVAL
	}
	if len(data) > fxsaveLen && len(data) < xsaveMin {
		return nil, abi.EINVAL
	}
	img := make([]byte, len(p.initFP))
	copy(img, data)
	if len(data) == fxsaveLen && len(img) >= xsaveMin {
		binary.LittleEndian.PutUint64(img[offXstateBV:], xfeatureFPSSE)
	}
	if binary.LittleEndian.Uint32(img[offMXCSR:])&^p.mxcsrMax != 0 {
		return nil, abi.EINVAL
	}
	if len(img) < xsaveMin {
		return img, nil
	}
	if binary.LittleEndian.Uint64(img[offXstateBV:])&^p.xfeature != 0 ||
		binary.LittleEndian.Uint64(img[offXcompBV:]) != 0 {
		return nil, abi.EINVAL
	}
	for _, b := range img[offReserved:xsaveMin] {
		if b != 0 {
			return nil, abi.EINVAL
		}
	}
	return img, nil
}

// saveFP takes the state out of a stub thread that is about to end.
func (c *context) saveFP() error {
	if c.fp != nil {
		return nil
	}
	fp, err := c.readFP()
	if err != nil {
		return err
	}
	c.fp = fp
	return nil
}

// loadFP gives the pending state to the stub thread.
func (c *context) loadFP() error {
	e := setXstate(c.thread.tid, c.fp)
	if e == unix.EINVAL || e == unix.EFAULT {
		// Checked before, so this is a processor that we do not know well enough.
		e = setXstate(c.thread.tid, c.p.initFP)
	}
	if e != 0 {
		return c.lost(e)
	}
	c.fp = nil
	return nil
}
