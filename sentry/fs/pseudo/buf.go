package pseudo

import (
	"fmt"
	"strconv"
)

// ChunkBytes is how much text of a long file is made at once.
const ChunkBytes = 64 << 10

// Buf is the text of a file, or a piece of it: files with long lists look at Cursor,
// which is 0 for the beginning, add from there while Full is false, and call Stop when
// something is left.
type Buf struct {
	B      []byte
	Cursor uint64

	next uint64
	more bool
}

// Full reports whether the piece is large enough.
func (b *Buf) Full() bool { return len(b.B) >= ChunkBytes }

// Stop says that the text goes on, and where: next is the Cursor of the next piece.
func (b *Buf) Stop(next uint64) { b.next, b.more = next, true }

// Stopped reports whether Stop was called.
func (b *Buf) Stopped() bool { return b.more }

// Printf appends formatted text.
func (b *Buf) Printf(format string, args ...any) { b.B = fmt.Appendf(b.B, format, args...) }

// Str appends text.
func (b *Buf) Str(s ...string) {
	for _, x := range s {
		b.B = append(b.B, x...)
	}
}

// Line appends text and a newline.
func (b *Buf) Line(s string) { b.B = append(append(b.B, s...), '\n') }

// Byte appends one byte.
func (b *Buf) Byte(c byte) { b.B = append(b.B, c) }

// Uint appends a number.
func (b *Buf) Uint(n uint64) { b.B = strconv.AppendUint(b.B, n, 10) }

// Int appends a number.
func (b *Buf) Int(n int64) { b.B = strconv.AppendInt(b.B, n, 10) }

// Hex appends a number of at least digits hexadecimal digits.
func (b *Buf) Hex(n uint64, digits int) {
	var t [16]byte
	s := strconv.AppendUint(t[:0], n, 16)
	for i := len(s); i < digits; i++ {
		b.B = append(b.B, '0')
	}
	b.B = append(b.B, s...)
}
