package hostfile

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lazaret/sentry/tty"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Console is a terminal whose other side is a host terminal that belongs to the sandbox
// alone: the slave that runsc made for an OCI process with "terminal": true. The host
// side is raw; editing, echo, signals and job control are those of package tty.
type Console struct {
	fd    int
	tty   *tty.TTY
	watch *Watch

	outMu sync.Mutex
	out   []byte // taken from the terminal, not yet written

	inMu  sync.Mutex
	in    []byte // read from the host, not yet taken by the terminal
	again atomic.Bool

	closed atomic.Bool
}

// NewConsole makes a terminal with the device number (major, minor) over the host terminal
// fd, which it owns from then on. It makes fd raw and non-blocking.
func NewConsole(n *Notifier, fd int, major, minor uint32) (*Console, error) {
	if err := makeRaw(fd); err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, hostErr(err)
	}
	c := &Console{fd: fd}
	c.tty = tty.New(major, minor, c)
	c.Resize()
	w, err := n.Watch(fd, c)
	if err != nil {
		return nil, err
	}
	c.watch = w
	w.Arm(wait.In | wait.RdHup)
	return c, nil
}

// makeRaw is cfmakeraw(3) on fd.
func makeRaw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return hostErr(err)
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag &^= unix.CSIZE | unix.PARENB
	t.Cflag |= unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return hostErr(unix.IoctlSetTermios(fd, unix.TCSETS, t))
}

// TTY returns the terminal.
func (c *Console) TTY() *tty.TTY { return c.tty }

// Resize takes the window size over from the host; SIGWINCH follows if it changed.
func (c *Console) Resize() {
	if w, err := unix.IoctlGetWinsize(c.fd, unix.TIOCGWINSZ); err == nil {
		c.tty.SetWinsize(tty.Winsize{Rows: w.Row, Cols: w.Col, XPixel: w.Xpixel, YPixel: w.Ypixel})
	}
}

// HostReady implements Handler.
func (c *Console) HostReady(events wait.Mask) {
	if events&(wait.In|wait.RdHup|wait.Hup|wait.Err) != 0 {
		c.InputRoom()
	}
	if events&wait.Out != 0 {
		c.OutputReady()
	}
}

// InputRoom implements tty.Line. It may be called by what it calls itself, and by several
// tasks: whoever has inMu goes round again for the others.
func (c *Console) InputRoom() {
	c.again.Store(true)
	for c.again.Load() && c.inMu.TryLock() {
		for c.again.Swap(false) {
			c.pumpLocked()
		}
		c.inMu.Unlock()
	}
}

// pumpLocked moves what was typed into the terminal until there is nothing more, or no room.
func (c *Console) pumpLocked() {
	var buf [4096]byte
	for !c.closed.Load() {
		if len(c.in) > 0 {
			n := c.tty.Input(c.in)
			if c.in = c.in[n:]; len(c.in) > 0 {
				return // InputRoom will be called
			}
		}
		n, err := again(func() (int, error) { return unix.Read(c.fd, buf[:]) })
		switch {
		case err == abi.EAGAIN:
			c.watch.Arm(wait.In | wait.RdHup)
			return
		case err != nil || n == 0:
			c.tty.Hangup()
			return
		}
		c.in = append(c.in[:0], buf[:n]...)
	}
}

// OutputReady implements tty.Line.
func (c *Console) OutputReady() {
	c.outMu.Lock()
	defer c.outMu.Unlock()
	var buf [4096]byte
	for !c.closed.Load() {
		if len(c.out) == 0 {
			n := c.tty.Output(buf[:])
			if n == 0 {
				return
			}
			c.out = append(c.out[:0], buf[:n]...)
		}
		n, err := again(func() (int, error) { return unix.Write(c.fd, c.out) })
		if err == abi.EAGAIN {
			c.watch.Arm(wait.Out)
			return
		}
		if err != nil {
			c.out = nil
			c.tty.Hangup()
			return
		}
		c.out = c.out[n:]
	}
}

// Close hangs the terminal up and gives the host's back.
func (c *Console) Close() {
	if c.closed.Swap(true) {
		return
	}
	c.tty.Hangup()
	c.watch.Close()
	c.outMu.Lock()
	c.inMu.Lock()
	unix.Close(c.fd)
	c.inMu.Unlock()
	c.outMu.Unlock()
}
