package tty

import "lazaret/syscalls/abi"

// input is the state of what was typed.
type input struct {
	queue []byte // not yet processed

	// buf is what can be read and, behind committed, the line that is being typed. In
	// the former, ends tells the bytes that end a line; an end that is eof is not read.
	buf       []byte
	ends      []lineEnd
	committed int

	lnext   bool // the next byte is literal
	erasing bool // between the slashes of ECHOPRT
}

type lineEnd uint8

const (
	noEnd lineEnd = iota
	newline
	eof
)

func (in *input) put(c byte, end lineEnd) {
	in.buf = append(in.buf, c)
	in.ends = append(in.ends, end)
	if end != noEnd {
		in.committed = len(in.buf)
	}
}

// cut removes the first n bytes.
func (in *input) cut(n int) {
	in.buf = append(in.buf[:0], in.buf[n:]...)
	in.ends = append(in.ends[:0], in.ends[n:]...)
	in.committed = max(0, in.committed-n)
}

func (in *input) truncate(n int) {
	in.buf, in.ends = in.buf[:n], in.ends[:n]
}

// flush drops what can be read and the line that is being typed, not what has yet to be
// processed.
func (in *input) flush() { *in = input{queue: in.queue, buf: in.buf[:0], ends: in.ends[:0]} }

func isCntrl(c byte) bool { return c < 0x20 || c == 0x7f }

// The kernel's ctype is that of Latin-1.
func toLower(c byte) byte {
	if c >= 'A' && c <= 'Z' || c >= 0xc0 && c <= 0xde && c != 0xd7 {
		return c + 0x20
	}
	return c
}

func toUpper(c byte) byte {
	if c >= 'a' && c <= 'z' || c >= 0xdf && c != 0xf7 {
		return c - 0x20
	}
	return c
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
		c >= 0xc0 && c != 0xd7 && c != 0xf7
}

// continuation reports whether c is a byte of UTF-8 behind the first of a character.
func (t *TTY) continuation(c byte) bool {
	return t.termios.Iflag&abi.IUTF8 != 0 && c&0xc0 == 0x80
}

// receiveLocked is n_tty_receive_char: one typed byte.
func (t *TTY) receiveLocked(c byte, e *effects) {
	s := &t.termios
	if s.Iflag&abi.ISTRIP != 0 {
		c &= 0x7f
	}
	if s.Iflag&abi.IUCLC != 0 && s.Lflag&abi.IEXTEN != 0 {
		c = toLower(c)
	}
	if s.Lflag&abi.EXTPROC != 0 {
		t.storeLocked(c)
		return
	}
	if t.in.lnext {
		t.in.lnext = false
		t.receiveNormalLocked(c, false, e)
		return
	}
	if s.Iflag&abi.IXON != 0 {
		if s.is(c, abi.VSTART) {
			t.startLocked(e)
			return
		}
		if s.is(c, abi.VSTOP) {
			t.stopLocked(e)
			return
		}
	}
	if s.Lflag&abi.ISIG != 0 {
		for _, k := range [...]struct{ char, sig int }{
			{abi.VINTR, abi.SIGINT}, {abi.VQUIT, abi.SIGQUIT}, {abi.VSUSP, abi.SIGTSTP},
		} {
			if s.is(c, k.char) {
				t.signalCharLocked(c, k.sig, e)
				return
			}
		}
	}
	if t.stopped && s.Iflag&(abi.IXON|abi.IXANY) == abi.IXON|abi.IXANY {
		t.startLocked(e)
	}
	fromCR := false
	switch {
	case c == '\r' && s.Iflag&abi.IGNCR != 0:
		return
	case c == '\r' && s.Iflag&abi.ICRNL != 0:
		c, fromCR = '\n', true
	case c == '\n' && s.Iflag&abi.INLCR != 0:
		c = '\r'
	}
	if s.canon() && t.receiveCanonLocked(c, e) {
		return
	}
	t.receiveNormalLocked(c, fromCR, e)
}

// receiveNormalLocked echoes and stores a byte without a meaning. A newline that was typed
// as one is echoed like a control character (without ICANON), one from ICRNL is not.
func (t *TTY) receiveNormalLocked(c byte, fromCR bool, e *effects) {
	if t.termios.Lflag&abi.ECHO != 0 {
		t.finishErasingLocked(e)
		if fromCR {
			t.echoRawLocked('\n', e)
		} else {
			if len(t.in.buf) == t.in.committed {
				t.out.lineColumn = t.out.column
			}
			t.echoLocked(c, e)
		}
	}
	if c == 0xff && t.termios.Iflag&abi.PARMRK != 0 {
		t.storeLocked(c)
	}
	t.storeLocked(c)
}

// storeLocked adds a byte; when the line is too long it replaces the last.
func (t *TTY) storeLocked(c byte) {
	if len(t.in.buf) >= inputSize-1 {
		t.in.truncate(inputSize - 2)
	}
	t.in.put(c, noEnd)
	if !t.termios.canon() {
		t.in.committed = len(t.in.buf)
	}
}

// signalCharLocked is a character that sends a signal.
func (t *TTY) signalCharLocked(c byte, sig int, e *effects) {
	e.signals = append(e.signals, sig)
	if t.termios.Lflag&abi.NOFLSH == 0 {
		t.in.flush()
		t.out.flush(t.out.batchLen)
		t.out.column, t.out.lineColumn = t.out.batchColumn, t.out.batchLine
		e.room, e.writable = true, true
		if t.packet {
			t.statusLocked(pktFlushRead|pktFlushWrite, 0, e)
		}
	}
	if t.termios.Iflag&abi.IXON != 0 {
		t.startLocked(e)
	}
	if t.termios.Lflag&abi.ECHO != 0 {
		t.echoLocked(c, e)
	}
}

// receiveCanonLocked handles the characters that edit or end a line.
func (t *TTY) receiveCanonLocked(c byte, e *effects) bool {
	s := &t.termios
	ext := s.Lflag&abi.IEXTEN != 0
	switch {
	case s.is(c, abi.VERASE) || s.is(c, abi.VKILL) || ext && s.is(c, abi.VWERASE):
		t.eraseLocked(c, e)
		return true
	case ext && s.is(c, abi.VLNEXT):
		t.in.lnext = true
		if s.Lflag&abi.ECHO != 0 {
			t.finishErasingLocked(e)
			if s.Lflag&abi.ECHOCTL != 0 {
				t.echoRawLocked('^', e)
				t.echoRawLocked('\b', e)
			}
		}
		return true
	case ext && s.Lflag&abi.ECHO != 0 && s.is(c, abi.VREPRINT):
		t.finishErasingLocked(e)
		t.echoLocked(c, e)
		t.echoRawLocked('\n', e)
		for _, b := range t.in.buf[t.in.committed:] {
			t.echoLocked(b, e)
		}
		return true
	case c == '\n':
		if s.Lflag&(abi.ECHO|abi.ECHONL) != 0 {
			t.echoRawLocked('\n', e)
		}
		t.endLineLocked(c, newline)
		return true
	case s.is(c, abi.VEOF):
		t.endLineLocked(0, eof)
		return true
	case s.is(c, abi.VEOL) || ext && s.is(c, abi.VEOL2):
		if s.Lflag&abi.ECHO != 0 {
			if len(t.in.buf) == t.in.committed {
				t.out.lineColumn = t.out.column
			}
			t.echoLocked(c, e)
		}
		if c == 0xff && s.Iflag&abi.PARMRK != 0 {
			t.storeLocked(c)
		}
		t.endLineLocked(c, newline)
		return true
	}
	return false
}

func (t *TTY) endLineLocked(c byte, end lineEnd) {
	if len(t.in.buf) >= inputSize {
		t.in.truncate(inputSize - 1)
	}
	t.in.put(c, end)
}

func (t *TTY) startLocked(e *effects) {
	if !t.stopped {
		return
	}
	t.stopped = false
	e.writable, e.shown = true, true
	if t.packet && !t.tcStop {
		t.statusLocked(pktStart, pktStop, e)
	}
}

func (t *TTY) stopLocked(e *effects) {
	if t.stopped {
		return
	}
	if !t.tcStop {
		t.out.held = t.out.batchLen
	}
	t.stopped = true
	if t.packet {
		t.statusLocked(pktStop, pktStart, e)
	}
}
