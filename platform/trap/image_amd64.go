package trap

import (
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// regions are the offsets of the code page's parts, each of which begins with
// MOVL $(0x1000+offset), R11.
var regions = []int{
	codeInit, codeMapper, codeThread, codeHandler, codeWait, codeAgain, codeResume, codeNested,
	codeGate, codeLocal, codeReset, codeEnd,
}

// buildImage returns the two pages of code and data that every stub has.
func buildImage(code []byte, fsgs bool) ([]byte, error) {
	post := []byte{0x87, 0x03} // XCHGL AX, S_POST(BX)
	expect := map[int][]byte{handlerPost: post, againPost: post}
	for _, off := range regions {
		expect[off] = binary.LittleEndian.AppendUint32([]byte{0x41, 0xbb}, uint32(0x1000+off))
	}
	for off, want := range expect {
		if got := code[off : off+len(want)]; !slices.Equal(got, want) {
			return nil, fmt.Errorf("%w: the stub's code is not laid out as expected at %#x", platform.ErrUnsupported, off)
		}
	}
	// Where there is no code there are breakpoints.
	image := slices.Repeat([]byte{0xcc}, 2*abi.PageSize)
	copy(image, code)
	data := image[abi.PageSize:]
	clear(data)
	for i := range 64 {
		binary.LittleEndian.PutUint64(data[dataPowers+8*i:], 1<<i)
	}
	mask := ^uint64(0)
	for _, sig := range handled {
		mask &^= 1 << (sig - 1)
	}
	mask &^= 1 << (resetSignal - 1)
	binary.LittleEndian.PutUint64(data[dataMask:], mask)
	prog := threadFilter(fsgs)
	binary.LittleEndian.PutUint16(data[dataProg:], uint16(len(prog)))
	binary.LittleEndian.PutUint64(data[dataProg+8:], dataBase+dataFilter)
	for i, in := range prog {
		b := data[dataFilter+8*i:]
		binary.LittleEndian.PutUint16(b, in.Code)
		b[2], b[3] = in.Jt, in.Jf
		binary.LittleEndian.PutUint32(b[4:], in.K)
	}
	if fsgs {
		data[dataFSGS] = 1
	}
	return image, nil
}

// Flags of struct sigaction.
const (
	saSiginfo  = 4
	saRestorer = 0x4000000
	saOnStack  = 0x8000000
	saNoDefer  = 0x40000000
)

// sigaction is the kernel's struct.
type sigaction struct {
	handler  uint64
	flags    uint64
	restorer uint64
	mask     uint64
}

// buildActions returns what the template does about each signal: those of handled have
// the handler, resetSignal has its own, the others are ignored.
func buildActions() *[65]sigaction {
	var all [65]sigaction
	for i := range all {
		all[i].handler = 1 // SIG_IGN
	}
	var mask uint64
	for _, sig := range handled {
		if sig != unix.SIGSYS {
			mask |= 1 << (sig - 1)
		}
	}
	for _, sig := range handled {
		// The host insists on a restorer. Handlers never return to it. They block each
		// other, so that no two signals from outside nest, but for the one that comes
		// with every system call: there it would cost another call to undo it.
		all[sig] = sigaction{
			handler: codeBase + codeHandler, restorer: codeBase + codeLen,
			flags: saSiginfo | saRestorer | saOnStack, mask: mask,
		}
		if sig == unix.SIGSYS {
			all[sig].flags |= saNoDefer
			all[sig].mask = 0
		}
	}
	// A thread that resets blocks the others, and begins anew if told so again.
	all[resetSignal] = sigaction{
		handler: codeBase + codeReset, restorer: codeBase + codeLen,
		flags: saSiginfo | saRestorer | saOnStack | saNoDefer, mask: mask,
	}
	return &all
}

// userFSGS says whether user code may use RDFSBASE and its kin (HWCAP2_FSGSBASE).
func userFSGS() bool {
	const atHWCAP2, fsgsbase = 26, 2
	aux, err := unix.Auxv()
	if err != nil {
		return false
	}
	for _, v := range aux {
		if v[0] == atHWCAP2 {
			return v[1]&fsgsbase != 0
		}
	}
	return false
}
