package proto

import (
	"encoding/binary"
	"strings"

	"lazaret/syscalls/abi"
)

// Encoder builds one message in a buffer that it keeps for the next one.
type Encoder struct {
	b []byte
}

// Begin starts a message, dropping what was there.
func (e *Encoder) Begin(typ uint8, tag uint16) {
	e.b = append(e.b[:0], 0, 0, 0, 0, typ, byte(tag), byte(tag>>8))
}

// Bytes finishes the message and returns it; it is valid until the next Begin.
func (e *Encoder) Bytes() []byte {
	binary.LittleEndian.PutUint32(e.b, uint32(len(e.b)))
	return e.b
}

// Len returns the bytes so far, header included.
func (e *Encoder) Len() int { return len(e.b) }

// Truncate drops everything after the first n bytes.
func (e *Encoder) Truncate(n int) { e.b = e.b[:n] }

// U8 appends a byte.
func (e *Encoder) U8(v uint8) { e.b = append(e.b, v) }

// U16 appends a 16-bit number.
func (e *Encoder) U16(v uint16) { e.b = binary.LittleEndian.AppendUint16(e.b, v) }

// U32 appends a 32-bit number.
func (e *Encoder) U32(v uint32) { e.b = binary.LittleEndian.AppendUint32(e.b, v) }

// U64 appends a 64-bit number.
func (e *Encoder) U64(v uint64) { e.b = binary.LittleEndian.AppendUint64(e.b, v) }

// String appends a string; only the first 65535 bytes fit the format.
func (e *Encoder) String(s string) {
	s = s[:min(len(s), 0xffff)]
	e.U16(uint16(len(s)))
	e.b = append(e.b, s...)
}

// Data appends a 32-bit length and the bytes.
func (e *Encoder) Data(p []byte) {
	e.U32(uint32(len(p)))
	e.b = append(e.b, p...)
}

// SetU16 overwrites the 16-bit number at offset off.
func (e *Encoder) SetU16(off int, v uint16) { binary.LittleEndian.PutUint16(e.b[off:], v) }

// SetU32 overwrites the 32-bit number at offset off.
func (e *Encoder) SetU32(off int, v uint32) { binary.LittleEndian.PutUint32(e.b[off:], v) }

// SetU64 overwrites the 64-bit number at offset off.
func (e *Encoder) SetU64(off int, v uint64) { binary.LittleEndian.PutUint64(e.b[off:], v) }

// SetU8 overwrites the byte at offset off.
func (e *Encoder) SetU8(off int, v uint8) { e.b[off] = v }

// Grow appends n bytes and returns them to be filled; shrink with Truncate.
func (e *Encoder) Grow(n int) []byte {
	old := len(e.b)
	if cap(e.b)-old < n {
		nb := make([]byte, old, old+n)
		copy(nb, e.b)
		e.b = nb
	}
	e.b = e.b[:old+n]
	return e.b[old:]
}

// Decoder reads a message's body. Reading past the end gives zero values and makes OK
// false; callers check once at the end. TRUST: every byte is the peer's.
type Decoder struct {
	b   []byte
	bad bool
}

// NewDecoder returns a decoder of body.
func NewDecoder(body []byte) Decoder { return Decoder{b: body} }

// Header splits a message. It fails unless the size field is the message's length.
func Header(msg []byte) (typ uint8, tag uint16, body []byte, ok bool) {
	if len(msg) < HeaderSize || binary.LittleEndian.Uint32(msg) != uint32(len(msg)) {
		return 0, 0, nil, false
	}
	return msg[4], binary.LittleEndian.Uint16(msg[5:]), msg[HeaderSize:], true
}

func (d *Decoder) take(n int) []byte {
	if d.bad || n < 0 || len(d.b) < n {
		d.bad = true
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

// OK reports whether everything read so far was there.
func (d *Decoder) OK() bool { return !d.bad }

// Done reports whether everything read was there and nothing is left.
func (d *Decoder) Done() bool { return !d.bad && len(d.b) == 0 }

// Left returns the number of bytes not yet read.
func (d *Decoder) Left() int { return len(d.b) }

// U8 reads a byte.
func (d *Decoder) U8() uint8 {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

// U16 reads a 16-bit number.
func (d *Decoder) U16() uint16 {
	if p := d.take(2); p != nil {
		return binary.LittleEndian.Uint16(p)
	}
	return 0
}

// U32 reads a 32-bit number.
func (d *Decoder) U32() uint32 {
	if p := d.take(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

// U64 reads a 64-bit number.
func (d *Decoder) U64() uint64 {
	if p := d.take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

// String reads a string.
func (d *Decoder) String() string { return string(d.take(int(d.U16()))) }

// Name reads a path component; a name that ValidName refuses makes OK false.
func (d *Decoder) Name() string {
	s := d.String()
	if !ValidName(s) {
		d.bad = true
	}
	return s
}

// target reads the target of a symbolic link; one that no link has makes OK false.
func (d *Decoder) target() string {
	s := d.String()
	if s == "" || len(s) > MaxTarget+1 || strings.IndexByte(s, 0) >= 0 {
		d.bad = true
	}
	return s
}

// Data reads a 32-bit length and that many bytes, which are part of the message's buffer.
func (d *Decoder) Data() []byte {
	n := d.U32()
	if uint64(n) > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	return d.take(int(n))
}

// wireErrno turns an error number from the wire into an error, nil for 0. Numbers that
// Linux does not use, and its internal restart codes, become EIO.
func wireErrno(n uint32) error {
	if n == 0 {
		return nil
	}
	if n >= uint32(abi.ERESTARTSYS) {
		return abi.EIO
	}
	return abi.Errno(n)
}
