package shim

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// console is the engine's side of a process's terminal.
type console struct {
	master *os.File
	out    sync.WaitGroup
}

// consoleLimit is how long runsc has to send a terminal.
const consoleLimit = 30 * time.Second

// consoleSocket is where runsc sends a terminal to.
type consoleSocket struct {
	dir      string
	listener *net.UnixListener
}

// newConsoleSocket makes the socket in a folder of its own: a bundle's path can be too long
// for one.
func newConsoleSocket() (*consoleSocket, error) {
	dir, err := os.MkdirTemp("", "runsc-console-")
	if err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("make a console socket: %w", err)
	}
	return &consoleSocket{dir, l}, nil
}

func (s *consoleSocket) path() string { return filepath.Join(s.dir, "s") }

func (s *consoleSocket) close() {
	s.listener.Close()
	_ = os.RemoveAll(s.dir)
}

// receive takes the terminal that runsc has sent.
func (s *consoleSocket) receive() (*os.File, error) {
	if err := s.listener.SetDeadline(time.Now().Add(consoleLimit)); err != nil {
		return nil, err
	}
	conn, err := s.listener.AcceptUnix()
	if err != nil {
		return nil, fmt.Errorf("receive the terminal: %w", err)
	}
	defer conn.Close()
	buf, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4*4))
	_, n, _, _, err := conn.ReadMsgUnix(buf, oob)
	if err != nil {
		return nil, fmt.Errorf("receive the terminal: %w", err)
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(msgs) != 1 {
		return nil, fmt.Errorf("receive the terminal: %d messages, %w", len(msgs), err)
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != 1 {
		return nil, fmt.Errorf("receive the terminal: %d descriptors, %w", len(fds), err)
	}
	unix.CloseOnExec(fds[0])
	// With the poller, so that a read can be ended.
	if err := unix.SetNonblock(fds[0], true); err != nil {
		unix.Close(fds[0])
		return nil, err
	}
	return os.NewFile(uintptr(fds[0]), "ptmx"), nil
}

// newConsole joins a terminal to the engine's files.
func newConsole(master *os.File, s *streams) *console {
	c := &console{master: master}
	if in := s.files[0]; in != nil {
		s.files[0] = nil
		go func() {
			defer in.Close()
			_, _ = io.Copy(struct{ io.Writer }{master}, struct{ io.Reader }{in})
		}()
	}
	if out := s.files[1]; out != nil {
		s.files[1] = nil
		c.out.Go(func() {
			defer out.Close()
			_, _ = io.Copy(struct{ io.Writer }{out}, struct{ io.Reader }{master})
		})
	} else {
		go func() { _, _ = io.Copy(io.Discard, struct{ io.Reader }{master}) }()
	}
	return c
}

// resize gives the terminal a size.
func (c *console) resize(width, height uint32) error {
	raw, err := c.master.SyscallConn()
	if err != nil {
		return err
	}
	var ierr error
	err = raw.Control(func(fd uintptr) {
		ierr = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(height), Col: uint16(width)})
	})
	if err == nil {
		err = ierr
	}
	return err
}

// close passes on what is left, if the engine takes it, and ends the terminal.
func (c *console) close() {
	done := make(chan struct{})
	go func() { c.out.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(2 * time.Second):
		// A process that outlived this one keeps the other side open.
	}
	c.master.Close()
}
