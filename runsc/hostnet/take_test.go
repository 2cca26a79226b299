package hostnet

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOwner: a network namespace has one owner at a time, whom others can ask for, until that
// one's descriptors are closed.
func TestOwner(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	path := fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid)
	warn := func(text string) { t.Error(text) }
	for range 2 {
		if owner, err := Owner(path); owner != "" || err != nil {
			t.Errorf("before: %q %v", owner, err)
		}
		n, err := Take(path, "one", warn)
		if err != nil {
			t.Fatal(err)
		}
		if owner, err := Owner(path); owner != "one" || err != nil {
			t.Errorf("taken: %q %v", owner, err)
		}
		if _, err := Take(path, "two", warn); err == nil || !strings.Contains(err.Error(), "another sandbox") {
			t.Errorf("a second: %v", err)
		}
		n.Close()
	}
	if owner, err := Owner("/proc/self/ns/net"); owner != "" || err != nil {
		t.Errorf("the own one: %q %v", owner, err)
	}
}
