package confine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"lazaret/runsc/sandbox"
)

// standin is the binary that plays runsc.
var standin string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "confine")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	standin = filepath.Join(dir, "standin")
	cmd := exec.Command("go", "build", "-o", standin, "./standin")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the stand-in: %v\n%s", err, out)
		return 1
	}
	// 0700 as a careful administrator may have it: the Sentry's user cannot execute it.
	if err := os.Chmod(standin, 0o700); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// newConfig makes a bundle with an empty root and a state directory.
func newConfig(t *testing.T) *sandbox.Config {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"bundle/rootfs", "state"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return &sandbox.Config{
		ID: "c1", StateDir: filepath.Join(dir, "state"), Bundle: filepath.Join(dir, "bundle"), Exe: standin,
		Spec: &specs.Spec{Version: "1.3.0", Root: &specs.Root{Path: "rootfs"}, Annotations: map[string]string{}},
	}
}

// startSandbox starts one and ends it with the test.
func startSandbox(t *testing.T, cfg *sandbox.Config) *sandbox.Sandbox {
	t.Helper()
	sb, err := sandbox.Start(cfg)
	if err != nil {
		t.Fatalf("start: %v\n%s", err, logs(cfg))
	}
	t.Cleanup(func() {
		sb.Kill()
		waitGone(t, sb.SentryPID, sb.GoferPID)
	})
	return sb
}

func logs(cfg *sandbox.Config) string {
	var all []byte
	for _, name := range []string{"sentry.log", "gofer.log"} {
		data, _ := os.ReadFile(filepath.Join(cfg.StateDir, name))
		all = append(all, data...)
	}
	return string(all)
}

// alive says whether a process exists and is no zombie.
func alive(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, ok := bytes.Cut(data, []byte(") "))
	return ok && len(rest) > 0 && rest[0] != 'Z' && rest[0] != 'X'
}

// waitGone fails the test if a process is still there after a generous time.
func waitGone(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		for end := time.Now().Add(10 * time.Second); alive(pid); time.Sleep(2 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("process %d is still there", pid)
				break
			}
		}
	}
}

// status reads the fields of /proc/PID/status of one thread; nil if it has ended.
func status(t *testing.T, path string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(path)
	if strings.Contains(path, "/task/") && (errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH)) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.Join(strings.Fields(value), " ")
	}
	return fields
}

// input is what `standin start` reads.
func input(t *testing.T, cfg *sandbox.Config) []byte {
	t.Helper()
	data, err := json.Marshal(map[string]any{
		"ID": cfg.ID, "StateDir": cfg.StateDir, "Bundle": cfg.Bundle, "Spec": cfg.Spec})
	if err != nil {
		t.Fatal(err)
	}
	return data
}
