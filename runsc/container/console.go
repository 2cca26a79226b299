package container

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Console is a host terminal pair: the slave goes to the Sentry as the application's
// stdin, stdout and stderr, the master to the engine or to this process.
type Console struct {
	Master *os.File
	Slave  *os.File
	Name   string // /dev/pts/N
}

// NewConsole makes a pair. size may be nil.
func NewConsole(size *specs.Box) (*Console, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("allocate a terminal: open /dev/ptmx: %w", err)
	}
	fail := func(what string, err error) (*Console, error) {
		unix.Close(fd)
		return nil, fmt.Errorf("allocate a terminal: %s: %w", what, err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return fail("unlock", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return fail("number", err)
	}
	// By ioctl, not by name: another devpts may be mounted at /dev/pts.
	slave, err := openPeer(fd)
	if err != nil {
		return fail("open the slave side", err)
	}
	c := &Console{Name: fmt.Sprintf("/dev/pts/%d", n)}
	// Non-blocking, so that a read of the master can be ended with a deadline.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(slave)
		return fail("set non-blocking", err)
	}
	c.Master, c.Slave = os.NewFile(uintptr(fd), "ptmx"), os.NewFile(uintptr(slave), c.Name)
	if size != nil && size.Height > 0 && size.Width > 0 {
		err := unix.IoctlSetWinsize(slave, unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(size.Height), Col: uint16(size.Width)})
		if err != nil {
			c.Close()
			return nil, fmt.Errorf("set process.consoleSize: %w", err)
		}
	}
	return c, nil
}

// Stdio returns the slave as the three standard files.
func (c *Console) Stdio() [3]*os.File { return [3]*os.File{c.Slave, c.Slave, c.Slave} }

// CloseSlave closes our copy, so that the master sees the end of the last other one.
func (c *Console) CloseSlave() {
	if c.Slave != nil {
		c.Slave.Close()
		c.Slave = nil
	}
}

// Close closes what is still open.
func (c *Console) Close() {
	c.CloseSlave()
	if c.Master != nil {
		c.Master.Close()
		c.Master = nil
	}
}

// SendMaster hands the master to the engine that listens at path.
func (c *Console) SendMaster(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("--console-socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return fmt.Errorf("--console-socket: dial unix %s: %w", path, err)
	}
	err = c.onMaster(func(master int) error {
		// The flag is part of what is sent, and engines expect a blocking file.
		if err := unix.SetNonblock(master, false); err != nil {
			return err
		}
		return unix.Sendmsg(fd, []byte(c.Name), unix.UnixRights(master), nil, unix.MSG_NOSIGNAL)
	})
	if err != nil {
		return fmt.Errorf("--console-socket: send the terminal: %w", err)
	}
	return nil
}

// onMaster calls f with the master's descriptor, which File.Fd would make blocking.
func (c *Console) onMaster(f func(fd int) error) error {
	raw, err := c.Master.SyscallConn()
	if err != nil {
		return err
	}
	var ferr error
	if err := raw.Control(func(fd uintptr) { ferr = f(int(fd)) }); err != nil {
		return err
	}
	return ferr
}

// TerminalSize is the size of the terminal f, nil if it is none or has none.
func TerminalSize(f *os.File) *specs.Box {
	ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || ws.Row == 0 || ws.Col == 0 {
		return nil
	}
	return &specs.Box{Height: uint(ws.Row), Width: uint(ws.Col)}
}

// Attachment joins the caller's terminal to a console's master.
type Attachment struct {
	console *Console
	in      *os.File
	saved   *unix.Termios // nil: the caller's stdin is no terminal
	out     sync.WaitGroup

	mu   sync.Mutex
	size unix.Winsize // that the console has got
}

// Attach puts the caller's terminal into raw mode and starts to copy both ways. Detach
// must follow.
func (c *Console) Attach(in, out *os.File) (*Attachment, error) {
	a := &Attachment{console: c, in: in}
	if t, err := unix.IoctlGetTermios(int(in.Fd()), unix.TCGETS); err == nil {
		a.saved = t
		raw := *t
		makeRaw(&raw)
		if err := unix.IoctlSetTermios(int(in.Fd()), unix.TCSETS, &raw); err != nil {
			return nil, fmt.Errorf("set the terminal to raw mode: %w", err)
		}
		a.Resize()
	}
	// Reading stdin cannot be interrupted; this goroutine ends with the process.
	go a.copyInput(c.Master)
	a.out.Go(func() { _, _ = io.Copy(out, c.Master) })
	return a, nil
}

// copyInput passes on what is typed. A change of the size that came before it goes first,
// as in a terminal of the application's own: SIGWINCH may reach this process later.
func (a *Attachment) copyInput(master *os.File) {
	buf := make([]byte, 4096)
	for {
		n, err := a.in.Read(buf)
		if n > 0 {
			a.Resize()
			if _, werr := master.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err == nil {
			continue
		}
		if err == io.EOF && a.saved == nil {
			// End of a piped stdin: what ^D means to a terminal.
			_, _ = master.Write([]byte{4})
		}
		return
	}
}

// Resize gives the console the size of the caller's terminal.
func (a *Attachment) Resize() {
	if a.saved == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	ws, err := unix.IoctlGetWinsize(int(a.in.Fd()), unix.TIOCGWINSZ)
	if err != nil || *ws == a.size {
		return
	}
	a.size = *ws
	_ = a.console.onMaster(func(fd int) error { return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, ws) })
}

// Detach copies what is left and gives the caller's terminal back.
func (a *Attachment) Detach() {
	done := make(chan struct{})
	go func() { a.out.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(500 * time.Millisecond):
		// A process that outlived init in another session keeps the slave open.
		if err := a.console.Master.SetReadDeadline(time.Now()); err == nil || errors.Is(err, os.ErrNoDeadline) {
			break
		}
	}
	if a.saved != nil {
		_ = unix.IoctlSetTermios(int(a.in.Fd()), unix.TCSETS, a.saved)
	}
}

// makeRaw is cfmakeraw(3).
func makeRaw(t *unix.Termios) {
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag &^= unix.CSIZE | unix.PARENB
	t.Cflag |= unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
}

// openPeer opens the slave side of a pseudoterminal by its master (ioctl_tty(2)).
func openPeer(master int) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}
