package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stepLimit bounds the wait for what one line typed is to bring.
const stepLimit = 20 * time.Second

// typist is the master's side of a pseudoterminal on which a command runs.
type typist struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	hung   func() string // what to say when nothing comes any more, nil: nothing

	mu   sync.Mutex
	seen []byte // what came and no expect has taken yet
	all  []byte
	eof  bool
}

// onTerminal starts a command as the session leader of a new terminal of 24 rows and 80 columns.
func onTerminal(t *testing.T, argv ...string) *typist {
	t.Helper()
	master, slave, err := newPTY()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "TERM=xterm")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	tm := &typist{t: t, master: master, cmd: cmd}
	tm.resize(24, 80)
	err = cmd.Start()
	slave.Close()
	if err != nil {
		t.Fatal(err)
	}
	go tm.read()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		master.Close()
	})
	return tm
}

func newPTY() (master, slave *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open /dev/ptmx: %w", err)
	}
	master = os.NewFile(uintptr(fd), "ptmx")
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		master.Close()
		return nil, nil, fmt.Errorf("open a terminal: %w", err)
	}
	return master, slave, nil
}

func (tm *typist) read() {
	buf := make([]byte, 4096)
	for {
		n, err := tm.master.Read(buf)
		tm.mu.Lock()
		tm.seen = append(tm.seen, buf[:n]...)
		tm.all = append(tm.all, buf[:n]...)
		tm.eof = err != nil
		tm.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (tm *typist) resize(rows, cols uint16) {
	tm.t.Helper()
	if err := unix.IoctlSetWinsize(int(tm.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}); err != nil {
		tm.t.Fatal(err)
	}
}

// send types text.
func (tm *typist) send(text string) {
	tm.t.Helper()
	if _, err := tm.master.WriteString(text); err != nil {
		tm.t.Fatalf("type %q: %v", text, err)
	}
}

// expect waits for a match and takes everything up to its end.
func (tm *typist) expect(pattern string) {
	tm.t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(stepLimit); ; time.Sleep(10 * time.Millisecond) {
		tm.mu.Lock()
		at, eof := re.FindIndex(tm.seen), tm.eof
		if at != nil {
			tm.seen = tm.seen[at[1]:]
		}
		rest := string(tm.seen)
		tm.mu.Unlock()
		if at != nil {
			return
		}
		if eof || time.Now().After(end) {
			why := ""
			if tm.hung != nil {
				why = tm.hung()
			}
			tm.t.Fatalf("waited for %q, ended %v, got %q; all:\n%s\n%s", pattern, eof, rest, tm.transcript(), why)
		}
	}
}

func (tm *typist) transcript() string {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	return strings.ReplaceAll(string(tm.all), "\r", "")
}

// exit waits for the command's end.
func (tm *typist) exit() int {
	tm.t.Helper()
	done := make(chan struct{})
	go func() {
		_ = tm.cmd.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(stepLimit):
		tm.t.Fatalf("does not end; all:\n%s", tm.transcript())
	}
	return exitCode(tm.cmd.ProcessState)
}
