package tty

import (
	"sync"

	"lazaret/sentry/kernel"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Sizes in bytes.
const (
	inputSize  = 4096 // what can be read, N_TTY_BUF_SIZE
	queueSize  = 4096 // what waits to become input
	outputSize = 4096 // what waits to be shown
	echoRoom   = 4096 // beyond outputSize, for echoes
)

// TTY is a terminal: the end of a pseudoterminal that applications use.
type TTY struct {
	major, minor uint32

	queue       wait.Queue // of the terminal's own files
	masterQueue wait.Queue // of the Master

	mu       sync.Mutex
	k        *kernel.Kernel // who knows the session; nil: there was never one
	termios  Termios
	winsize  Winsize
	opens    int  // open files of the terminal
	opened   bool // ever: a Master without a terminal is at its end only then
	ptLocked bool // TIOCSPTLCK
	excl     bool // TIOCEXCL
	hung     bool
	stopped  bool // output, by VSTOP or TIOCSTI's kin
	tcStop   bool // output, by tcflow(TCOOFF): IXANY does not start it

	masterOpen bool
	packet     bool  // TIOCPKT
	status     uint8 // TIOCPKT_* events not yet read

	in  input
	out output
}

// Device implements kernel.TTY.
func (t *TTY) Device() (major, minor uint32) { return t.major, t.minor }

// effects are what a change under the lock has to tell others afterwards.
type effects struct {
	signals  []int // to the foreground
	readable bool  // the terminal
	writable bool
	shown    bool // output for the other side
	room     bool // input from the other side
	status   bool // packet mode
}

// tell does what e says. Preconditions: t.mu is not held.
func (t *TTY) tell(e *effects) {
	for _, s := range e.signals {
		t.signalForeground(s)
	}
	var own, master wait.Mask
	if e.readable {
		own |= wait.In | abi.POLLRDNORM
	}
	if e.writable {
		own |= wait.Out | abi.POLLWRNORM
	}
	if e.shown {
		master |= wait.In | abi.POLLRDNORM
	}
	if e.room {
		master |= wait.Out | abi.POLLWRNORM
	}
	if e.status {
		master |= wait.In | abi.POLLRDNORM | wait.Pri
	}
	if own != 0 {
		t.queue.Notify(own)
	}
	if master != 0 {
		t.masterQueue.Notify(master)
	}
}

// inputLocked processes what there is room for and keeps some more in the queue.
func (t *TTY) inputLocked(b []byte, e *effects) int {
	n := min(len(b), queueSize-len(t.in.queue))
	if n > 0 {
		t.in.queue = append(t.in.queue, b[:n]...)
	}
	t.processLocked(e)
	if n < len(b) && len(t.in.queue) < queueSize {
		return n + t.inputLocked(b[n:], e)
	}
	return n
}

// processLocked turns queued bytes into input while there is room.
func (t *TTY) processLocked(e *effects) {
	done := 0
	t.out.batchColumn, t.out.batchLine, t.out.batchLen = t.out.column, t.out.lineColumn, len(t.out.buf)
	for _, c := range t.in.queue {
		if !t.hasRoomLocked() {
			break
		}
		t.receiveLocked(c, e)
		done++
	}
	if done > 0 {
		t.in.queue = append(t.in.queue[:0], t.in.queue[done:]...)
		e.room = true
		e.readable = e.readable || t.readableLocked()
	}
}

// hasRoomLocked reports whether one more byte can be received. A line that is too long
// does not block the terminal: its last byte is overwritten.
func (t *TTY) hasRoomLocked() bool {
	return len(t.in.buf) < inputSize-1 || t.termios.canon() && t.in.committed == 0
}

func (t *TTY) takeOutputLocked(b []byte, e *effects) int {
	n := copy(b, t.shownLocked())
	was := len(t.out.buf)
	t.out.buf = append(t.out.buf[:0], t.out.buf[n:]...)
	t.out.held = max(0, t.out.held-n)
	if was >= outputSize/2 && len(t.out.buf) < outputSize/2 || len(t.out.buf) == 0 && n > 0 {
		e.writable = true
	}
	return n
}

// Hangup is the other side going away: reads end, writes fail, the session loses its
// terminal and gets SIGHUP and SIGCONT.
func (t *TTY) Hangup() {
	t.mu.Lock()
	was := t.hung
	t.hung = true
	t.in = input{}
	t.out = output{}
	t.mu.Unlock()
	if was {
		return
	}
	t.hangupSession()
	t.queue.Notify(wait.All)
	t.masterQueue.Notify(wait.All)
}

// Winsize returns the window size.
func (t *TTY) Winsize() Winsize {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.winsize
}

// SetWinsize sets the window size and sends SIGWINCH if it changed.
func (t *TTY) SetWinsize(w Winsize) {
	t.mu.Lock()
	changed := w != t.winsize
	t.winsize = w
	t.mu.Unlock()
	if changed {
		t.signalForeground(abi.SIGWINCH)
	}
}
