package hostfile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

func hostPTY(t *testing.T) (master, slave int) {
	t.Helper()
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := unix.IoctlGetInt(master, unix.TIOCGPTN)
	unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0)
	slave, err = unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// readHost reads from the host's master until the text ends with want.
func readHost(t *testing.T, fd int, want string) {
	t.Helper()
	var got strings.Builder
	b := make([]byte, 4096)
	end := time.Now().Add(5 * time.Second)
	for !strings.HasSuffix(got.String(), want) {
		if time.Now().After(end) || pollNow(fd, wait.In) == 0 && !sleepShort(end) {
			t.Fatalf("shown %q, want %q", got.String(), want)
		}
		if pollNow(fd, wait.In) != 0 {
			n, err := unix.Read(fd, b)
			if err != nil {
				t.Fatal(err)
			}
			got.Write(b[:n])
		}
	}
}

func sleepShort(end time.Time) bool {
	time.Sleep(time.Millisecond)
	return time.Now().Before(end)
}

func TestConsole(t *testing.T) {
	master, slave := hostPTY(t)
	defer unix.Close(master)
	unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 99})
	c, err := NewConsole(newNotifier(t), slave, 136, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if w := c.TTY().Winsize(); w.Rows != 33 || w.Cols != 99 {
		t.Errorf("window %+v", w)
	}
	ops, err := c.TTY().Open(&vfs.Context{}, abi.O_NOCTTY)
	if err != nil {
		t.Fatal(err)
	}
	unix.Write(master, []byte("ab\x7fc\r"))
	readHost(t, master, "ab\b \bc\r\n")
	waitFor(t, ops, wait.In, func() {})
	b := make([]byte, 100)
	if n, err := ops.Read(nil, nil, uio.One(b), nil); string(b[:n]) != "ac\n" || err != nil {
		t.Fatalf("read %q %v", b[:n], err)
	}
	// More than all buffers hold, both ways.
	long := strings.Repeat("0123456789abcde\n", 4000)
	go func() {
		for rest := []byte(long); len(rest) > 0; {
			n, err := ops.Write(nil, nil, uio.One(rest), nil)
			if err == abi.EAGAIN {
				time.Sleep(100 * time.Microsecond)
			}
			rest = rest[n:]
		}
	}()
	readHost(t, master, strings.ReplaceAll(long, "\n", "\r\n"))
	go func() {
		for range 2000 {
			unix.Write(master, []byte("line of text\n"))
		}
	}()
	go func() { // somebody must look at the echo
		for {
			if _, err := unix.Read(master, make([]byte, 4096)); err != nil {
				return
			}
		}
	}()
	for total := 0; total < 2000*13; {
		n, err := ops.Read(nil, nil, uio.One(b), nil)
		if err == abi.EAGAIN {
			waitFor(t, ops, wait.In, func() {})
			continue
		}
		if err != nil || n == 0 {
			t.Fatalf("after %d: %d %v", total, n, err)
		}
		total += n
	}
	unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, &unix.Winsize{Row: 10, Col: 20})
	c.Resize()
	if w := c.TTY().Winsize(); w.Rows != 10 {
		t.Errorf("window after a change: %+v", w)
	}
}

func TestConsoleHangup(t *testing.T) {
	master, slave := hostPTY(t)
	c, err := NewConsole(newNotifier(t), slave, 136, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ops, err := c.TTY().Open(&vfs.Context{}, abi.O_NOCTTY)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(master)
	if m := waitFor(t, ops, wait.Hup, func() {}); m&wait.Hup == 0 {
		t.Fatalf("poll %#x", m)
	}
	if n, err := ops.Read(nil, nil, uio.One(make([]byte, 4)), nil); n != 0 || err != nil {
		t.Errorf("read: %d %v", n, err)
	}
}
