package sandbox

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// residentKB is how much memory a process has.
func residentKB(t *testing.T, pid int) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var kb int
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			return kb
		}
	}
	t.Fatalf("no memory in\n%s", data)
	return 0
}

// The witness is small, is confined, fills what it is told to when it is asked, and ends with
// its socket.
func TestWitness(t *testing.T) {
	for _, ask := range []bool{true, false} {
		w, err := StartWitness(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		status := func() string {
			data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.PID))
			return string(data)
		}
		for deadline := time.Now().Add(10 * time.Second); !strings.Contains(status(), "Seccomp:\t1"); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it is not confined:\n%s", status())
			}
		}
		if kb := residentKB(t, w.PID); kb > 64 && !threadsRegistered {
			t.Errorf("it has %d kB", kb)
		}
		if fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.PID)); len(fds) != 1 {
			t.Errorf("it has %d descriptors", len(fds))
		}
		fd := int(w.File.Fd())
		if ask {
			if _, err := unix.Write(fd, []byte{1}); err != nil {
				t.Error(err)
			}
		} else if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
			t.Error(err)
		}
		n, err := unix.Read(fd, make([]byte, 1))
		for err == unix.EINTR {
			n, err = unix.Read(fd, make([]byte, 1))
		}
		if n != 0 || err != nil {
			t.Errorf("asked %v: read %d %v", ask, n, err)
		}
		_ = w.File.Close()
	}
}
