package tty

import (
	"encoding/binary"

	"lazaret/syscalls/abi"
)

// Termios is struct ktermios.
type Termios struct {
	Iflag, Oflag, Cflag, Lflag uint32
	Line                       uint8
	CC                         [abi.NCCS]uint8
	Ispeed, Ospeed             uint32
}

// defaultTermios are the settings of a new pseudoterminal (tty_std_termios).
func defaultTermios() Termios {
	return Termios{
		Iflag: abi.ICRNL | abi.IXON,
		Oflag: abi.OPOST | abi.ONLCR,
		Cflag: abi.B38400 | abi.CS8 | abi.CREAD,
		Lflag: abi.ISIG | abi.ICANON | abi.ECHO | abi.ECHOE | abi.ECHOK | abi.ECHOCTL | abi.ECHOKE | abi.IEXTEN,
		CC: [abi.NCCS]uint8{
			abi.VINTR: 'C' & 0x1f, abi.VQUIT: '\\' & 0x1f, abi.VERASE: 0x7f, abi.VKILL: 'U' & 0x1f,
			abi.VEOF: 'D' & 0x1f, abi.VMIN: 1, abi.VSTART: 'Q' & 0x1f, abi.VSTOP: 'S' & 0x1f,
			abi.VSUSP: 'Z' & 0x1f, abi.VREPRINT: 'R' & 0x1f, abi.VDISCARD: 'O' & 0x1f,
			abi.VWERASE: 'W' & 0x1f, abi.VLNEXT: 'V' & 0x1f,
		},
		Ispeed: 38400, Ospeed: 38400,
	}
}

// Sizes of struct termios, termios2 and termio of the kernel's ABI.
const (
	termiosSize  = 36
	termios2Size = 44
	termioSize   = 18
	termioNCC    = 8
)

func (t *Termios) encode() []byte {
	b := make([]byte, 0, termios2Size)
	for _, f := range []uint32{t.Iflag, t.Oflag, t.Cflag, t.Lflag} {
		b = binary.LittleEndian.AppendUint32(b, f)
	}
	b = append(b, t.Line)
	b = append(b, t.CC[:]...)
	b = binary.LittleEndian.AppendUint32(b, t.Ispeed)
	return binary.LittleEndian.AppendUint32(b, t.Ospeed)
}

// decode sets t from a struct termios or termios2.
func (t *Termios) decode(b []byte) {
	t.Iflag = binary.LittleEndian.Uint32(b)
	t.Oflag = binary.LittleEndian.Uint32(b[4:])
	t.Cflag = binary.LittleEndian.Uint32(b[8:])
	t.Lflag = binary.LittleEndian.Uint32(b[12:])
	t.Line = b[16]
	copy(t.CC[:], b[17:])
	if len(b) >= termios2Size {
		t.Ispeed = binary.LittleEndian.Uint32(b[36:])
		t.Ospeed = binary.LittleEndian.Uint32(b[40:])
	}
}

// encodeOld and decodeOld are for struct termio: the low halves of the flags.
func (t *Termios) encodeOld() []byte {
	b := make([]byte, 0, termioSize)
	for _, f := range []uint32{t.Iflag, t.Oflag, t.Cflag, t.Lflag} {
		b = binary.LittleEndian.AppendUint16(b, uint16(f))
	}
	b = append(b, t.Line)
	b = append(b, t.CC[:termioNCC]...)
	return append(b, 0)
}

func (t *Termios) decodeOld(b []byte) {
	for i, f := range []*uint32{&t.Iflag, &t.Oflag, &t.Cflag, &t.Lflag} {
		*f = *f&^0xffff | uint32(binary.LittleEndian.Uint16(b[2*i:]))
	}
	t.Line = b[8]
	copy(t.CC[:termioNCC], b[9:])
}

// is reports whether c is the control character i; 0 switches a character off.
func (t *Termios) is(c byte, i int) bool { return c != 0 && t.CC[i] == c }

func (t *Termios) canon() bool { return t.Lflag&abi.ICANON != 0 }

// Winsize is struct winsize.
type Winsize struct{ Rows, Cols, XPixel, YPixel uint16 }

func (w *Winsize) encode() []byte {
	b := binary.LittleEndian.AppendUint16(nil, w.Rows)
	b = binary.LittleEndian.AppendUint16(b, w.Cols)
	b = binary.LittleEndian.AppendUint16(b, w.XPixel)
	return binary.LittleEndian.AppendUint16(b, w.YPixel)
}

func (w *Winsize) decode(b []byte) {
	w.Rows, w.Cols = binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
	w.XPixel, w.YPixel = binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:])
}
