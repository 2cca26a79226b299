package tty

import "lazaret/syscalls/abi"

// Kinds of erasing.
const (
	eraseChar = iota
	eraseWord
	eraseLine
)

// eraseLocked is eraser: VERASE, VWERASE or VKILL.
func (t *TTY) eraseLocked(c byte, e *effects) {
	in, s := &t.in, &t.termios
	if len(in.buf) == in.committed {
		return
	}
	kind := eraseChar
	echo := s.Lflag&abi.ECHO != 0
	switch {
	case s.is(c, abi.VERASE):
	case s.is(c, abi.VWERASE) && s.Lflag&abi.IEXTEN != 0:
		kind = eraseWord
	default:
		if !echo {
			in.truncate(in.committed)
			return
		}
		const nice = abi.ECHOK | abi.ECHOKE | abi.ECHOE
		if s.Lflag&nice != nice {
			in.truncate(in.committed)
			t.finishErasingLocked(e)
			t.echoLocked(s.CC[abi.VKILL], e)
			if s.Lflag&abi.ECHOK != 0 {
				t.echoRawLocked('\n', e)
			}
			return
		}
		kind = eraseLine
	}
	word := false
	for len(in.buf) > in.committed {
		head := len(in.buf) - 1
		for t.continuation(in.buf[head]) && head > in.committed {
			head--
		}
		last := in.buf[head]
		if t.continuation(last) {
			break // a piece of a character: what is before it was read already
		}
		if kind == eraseWord {
			if isWord(last) {
				word = true
			} else if word {
				break
			}
		}
		gone := append([]byte(nil), in.buf[head:]...)
		in.truncate(head)
		if echo {
			t.echoEraseLocked(last, gone, kind, e)
		}
		if kind == eraseChar {
			break
		}
	}
	if len(in.buf) == in.committed && echo {
		t.finishErasingLocked(e)
	}
}

// echoEraseLocked shows that a character is gone.
func (t *TTY) echoEraseLocked(c byte, gone []byte, kind int, e *effects) {
	l := t.termios.Lflag
	switch {
	case l&abi.ECHOPRT != 0:
		if !t.in.erasing {
			t.echoRawLocked('\\', e)
			t.in.erasing = true
		}
		t.echoLocked(c, e)
		for _, b := range gone[1:] {
			t.echoRawLocked(b, e)
		}
	case kind == eraseChar && l&abi.ECHOE == 0:
		t.echoLocked(t.termios.CC[abi.VERASE], e)
	case c == '\t':
		t.eraseTabLocked(e)
	default:
		if isCntrl(c) && l&abi.ECHOCTL != 0 {
			t.rubOutLocked(e)
		}
		if !isCntrl(c) || l&abi.ECHOCTL != 0 {
			t.rubOutLocked(e)
		}
	}
}

func (t *TTY) rubOutLocked(e *effects) {
	t.echoRawLocked('\b', e)
	t.echoRawLocked(' ', e)
	t.echoRawLocked('\b', e)
}

// eraseTabLocked moves back over a tab: to where the characters before it end.
func (t *TTY) eraseTabLocked(e *effects) {
	col, afterTab := 0, false
	for i := len(t.in.buf) - 1; i >= t.in.committed; i-- {
		c := t.in.buf[i]
		if c == '\t' {
			afterTab = true
			break
		}
		if isCntrl(c) {
			if t.termios.Lflag&abi.ECHOCTL != 0 {
				col += 2
			}
		} else if !t.continuation(c) {
			col++
		}
	}
	if !afterTab {
		col += t.out.lineColumn
	}
	for range 8 - col&7 {
		t.out.put('\b', e)
		if t.out.column > 0 {
			t.out.column--
		}
	}
}

func (t *TTY) finishErasingLocked(e *effects) {
	if t.in.erasing {
		t.echoRawLocked('/', e)
		t.in.erasing = false
	}
}
