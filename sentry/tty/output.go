package tty

import "lazaret/syscalls/abi"

// output is the state of what is to be shown.
type output struct {
	buf        []byte
	column     int
	lineColumn int // where the line that is being typed began

	// The columns before what is being processed: a signal character drops its echoes.
	// Linux difference: there are batches in other places too, so that a tab that is
	// expanded or erased after a signal character may come out a few columns off.
	batchColumn, batchLine int
	batchLen               int // bytes of buf before it

	held int // while output is stopped: the bytes of buf that had left before
}

// arrived is how much of what was written a flush does not get back: as soon as it can,
// Linux moves output into the other side's own buffer, which holds this much.
const arrived = 4095

// flush drops what is beyond the first n bytes and has not arrived at the other side.
func (o *output) flush(n int) {
	o.buf = o.buf[:min(len(o.buf), n, arrived)]
	o.held = min(o.held, len(o.buf))
}

// shownLocked returns what the other side can read now: echoes made while output is
// stopped have to wait.
func (t *TTY) shownLocked() []byte {
	if t.stopped || t.tcStop {
		return t.out.buf[:t.out.held]
	}
	return t.out.buf
}

// put adds a byte for the other side. What exceeds the room for echoes is lost: nobody
// reads, and the typist gets no bigger a buffer for that.
func (o *output) put(c byte, e *effects) {
	if len(o.buf) >= outputSize+echoRoom {
		return
	}
	o.buf = append(o.buf, c)
	e.shown = true
}

// room returns how many bytes an application may write now.
func (t *TTY) roomLocked() int {
	if t.stopped || t.tcStop {
		return 0
	}
	return max(0, outputSize-len(t.out.buf))
}

// outCharLocked puts one byte through OPOST. false: it needs more room than
// space.
func (t *TTY) outCharLocked(c byte, space int, e *effects) bool {
	o, f := &t.out, t.termios.Oflag
	if space < 1 {
		return false
	}
	switch c {
	case '\n':
		if f&abi.ONLRET != 0 {
			o.column = 0
		}
		if f&abi.ONLCR != 0 {
			if space < 2 {
				return false
			}
			o.lineColumn, o.column = 0, 0
			o.put('\r', e)
			o.put('\n', e)
			return true
		}
		o.lineColumn = o.column
	case '\r':
		if f&abi.ONOCR != 0 && o.column == 0 {
			return true
		}
		if f&abi.OCRNL != 0 {
			c = '\n'
			if f&abi.ONLRET != 0 {
				o.lineColumn, o.column = 0, 0
			}
			break
		}
		o.lineColumn, o.column = 0, 0
	case '\t':
		spaces := 8 - o.column&7
		if f&abi.TABDLY == abi.TAB3 {
			if space < spaces {
				return false
			}
			o.column += spaces
			for range spaces {
				o.put(' ', e)
			}
			return true
		}
		o.column += spaces
	case '\b':
		if o.column > 0 {
			o.column--
		}
	default:
		c = t.printableLocked(c)
	}
	o.put(c, e)
	return true
}

// printableLocked counts the column of an ordinary byte and applies OLCUC.
func (t *TTY) printableLocked(c byte) byte {
	if isCntrl(c) {
		return c
	}
	if t.termios.Oflag&abi.OLCUC != 0 {
		c = toUpper(c)
	}
	if !t.continuation(c) {
		t.out.column++
	}
	return c
}

// writeLocked takes as much of b as there is room for.
func (t *TTY) writeLocked(b []byte, e *effects) int {
	if t.termios.Oflag&abi.OPOST == 0 {
		n := min(len(b), t.roomLocked())
		if n > 0 {
			t.out.buf = append(t.out.buf, b[:n]...)
			e.shown = true
		}
		return n
	}
	for i, c := range b {
		if !t.outCharLocked(c, t.roomLocked(), e) {
			return i
		}
	}
	return len(b)
}

// echoRawLocked echoes a byte as it is.
func (t *TTY) echoRawLocked(c byte, e *effects) {
	if t.termios.Oflag&abi.OPOST != 0 {
		t.outCharLocked(c, echoRoom, e)
	} else {
		t.out.put(c, e)
	}
}

// echoLocked echoes a byte, a control character as ^X with ECHOCTL.
func (t *TTY) echoLocked(c byte, e *effects) {
	if c == 0xff { // past OPOST, as Linux's echo buffer has it
		t.out.put(c, e)
		t.out.column++
		return
	}
	if t.termios.Lflag&abi.ECHOCTL != 0 && isCntrl(c) && c != '\t' {
		t.out.put('^', e)
		t.out.put(c^0x40, e)
		t.out.column += 2
		return
	}
	t.echoRawLocked(c, e)
}
