package machine

import (
	"encoding/binary"
	"slices"

	"lazaret/syscalls/abi"
)

// Layout of an XSAVE image in standard format: the FXSAVE area, whose last 48 bytes are
// software's, the header, then the components.
const (
	offFCW        = 0
	offMXCSR      = 24
	offMXCSRMask  = 28
	offSoftware   = 464
	offXstateBV   = 512
	offXcompBV    = 520
	offReserved   = 528
	FxsaveLen     = 512
	XsaveMin      = 576
	initFCW       = 0x37f
	initMXCSR     = 0x1f80
	featureFPSSE  = 3
	featurePKRU   = 1 << 9
	numComponents = 63
)

// Xstate is the format of the host's XSAVE image, and the image of a new program.
type Xstate struct {
	Init      []byte
	Features  uint64 // the state components that the host saves
	mxcsrMask uint32 // the MXCSR bits that the processor has
}

// NewXstate learns the format from an image of a new process. Features of 0 means that
// the image's software bytes say which.
func NewXstate(host []byte, features uint64) *Xstate {
	x := &Xstate{Features: features, mxcsrMask: 0xffbf} // what a zero mask means
	if m := binary.LittleEndian.Uint32(host[offMXCSRMask:]); m != 0 {
		x.mxcsrMask = m
	}
	if x.Features == 0 {
		x.Features = binary.LittleEndian.Uint64(host[offSoftware:])
	}
	if x.Features == 0 && len(host) >= XsaveMin {
		x.Features = binary.LittleEndian.Uint64(host[offXstateBV:]) | featureFPSSE
	}
	init := make([]byte, len(host))
	binary.LittleEndian.PutUint16(init[offFCW:], initFCW)
	binary.LittleEndian.PutUint32(init[offMXCSR:], initMXCSR)
	binary.LittleEndian.PutUint32(init[offMXCSRMask:], x.mxcsrMask)
	if len(init) >= XsaveMin {
		binary.LittleEndian.PutUint64(init[offXstateBV:], featureFPSSE)
		if x.Features&featurePKRU != 0 {
			x.copyKeys(init, host)
		}
	}
	x.Init = init
	return x
}

// copyKeys copies the protection keys: Linux starts programs with every key but 0
// denied, and so was host.
func (x *Xstate) copyKeys(init, host []byte) {
	const pkru = 9
	bv := binary.LittleEndian.Uint64(host[offXstateBV:])
	if _, off := XsaveComponent(pkru); bv&featurePKRU != 0 && int(off)+4 <= len(host) {
		copy(init[off:off+4], host[off:])
		binary.LittleEndian.PutUint64(init[offXstateBV:], featureFPSSE|featurePKRU)
	}
}

// Check returns a full image of the host's size made from data. It refuses what
// PTRACE_SETREGSET would. A bare FXSAVE image is accepted too.
//
// TRUST: data comes from a signal frame or a debugger inside the sandbox.
func (x *Xstate) Check(data []byte) ([]byte, error) {
	if len(data) < FxsaveLen || len(data) > len(x.Init) {
		return nil, abi.EINVAL
	}
	if len(data) > FxsaveLen && len(data) < XsaveMin {
		return nil, abi.EINVAL
	}
	img := make([]byte, len(x.Init))
	copy(img, data)
	if len(data) == FxsaveLen && len(img) >= XsaveMin {
		binary.LittleEndian.PutUint64(img[offXstateBV:], featureFPSSE)
	}
	if binary.LittleEndian.Uint32(img[offMXCSR:])&^x.mxcsrMask != 0 {
		return nil, abi.EINVAL
	}
	if len(img) < XsaveMin {
		return img, nil
	}
	if binary.LittleEndian.Uint64(img[offXstateBV:])&^x.Features != 0 ||
		binary.LittleEndian.Uint64(img[offXcompBV:]) != 0 {
		return nil, abi.EINVAL
	}
	for _, b := range img[offReserved:XsaveMin] {
		if b != 0 {
			return nil, abi.EINVAL
		}
	}
	return img, nil
}

// FromFrame turns the image of a host signal frame into the form that PTRACE_GETREGSET
// gives: other software bytes, and components that are in their initial state hold that.
//
// TRUST: the application can write the frame. Whatever it holds, the result passes Check.
func (x *Xstate) FromFrame(frame []byte) []byte {
	img := slices.Clone(x.Init)
	copy(img, frame)
	if mxcsr := binary.LittleEndian.Uint32(img[offMXCSR:]); mxcsr&^x.mxcsrMask != 0 {
		binary.LittleEndian.PutUint32(img[offMXCSR:], mxcsr&x.mxcsrMask)
	}
	binary.LittleEndian.PutUint32(img[offMXCSRMask:], x.mxcsrMask)
	if len(img) < XsaveMin {
		return img
	}
	clear(img[offSoftware:FxsaveLen])
	binary.LittleEndian.PutUint64(img[offSoftware:], x.Features)
	bv := binary.LittleEndian.Uint64(img[offXstateBV:]) & x.Features
	binary.LittleEndian.PutUint64(img[offXstateBV:], bv)
	clear(img[offXcompBV:XsaveMin])
	if bv&1 == 0 {
		copy(img[:offMXCSR], x.Init[:offMXCSR])
		clear(img[32:160]) // ST0-ST7
	}
	if bv&2 == 0 {
		clear(img[160:416]) // XMM0-XMM15
		if bv&4 == 0 {
			binary.LittleEndian.PutUint32(img[offMXCSR:], initMXCSR)
		}
	}
	for n := range uint32(numComponents) {
		if n < 2 || x.Features&(1<<n) == 0 || bv&(1<<n) != 0 {
			continue
		}
		if size, off := XsaveComponent(n); int(off)+int(size) <= len(img) {
			clear(img[off : off+size])
		}
	}
	return img
}
