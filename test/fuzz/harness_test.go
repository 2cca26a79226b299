package fuzz

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lazaret/test/internal/harness"
)

// build makes a static guest and returns its path.
func build(t *testing.T, name string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("gcc", "-O1", "-w", "-pthread", "-static", "-D_GNU_SOURCE", "-o", bin, filepath.Join("guest", name+".c"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return bin
}

// result is what one sandbox did.
type result struct {
	out, log string
	code     int
	timeout  bool
	stacks   string // of the tasks, when time ran out
	sentry   int
	heapKiB  int // most anonymous memory that the Sentry had
}

// runGuest runs a guest in a sandbox of its own and watches the Sentry from outside.
func runGuest(t *testing.T, guest string, limit time.Duration, args ...string) *result {
	t.Helper()
	dir := t.TempDir()
	state, log := filepath.Join(dir, "state"), filepath.Join(dir, "sentry.log")
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	argv := append([]string{"--root", state, "--debug-log", log, "do", "--memory", memoryLimit, "--pids-limit", "500",
		"--volume", filepath.Dir(guest) + ":/guest:ro", "/guest/" + filepath.Base(guest)}, args...)
	cmd := exec.CommandContext(ctx, harness.Runsc(t), argv...)
	r := &result{}
	cmd.Cancel = func() error {
		r.timeout = true
		r.stacks = stacks(t, state)
		if r.sentry != 0 {
			_ = syscall.Kill(r.sentry, syscall.SIGKILL)
		}
		return cmd.Process.Kill()
	}
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() { r.watch(state, stop); close(watched) }()
	err := cmd.Wait()
	close(stop)
	<-watched
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil {
		t.Fatal(err)
	}
	r.out, r.code = out.String(), cmd.ProcessState.ExitCode()
	if b, err := os.ReadFile(log); err == nil {
		r.log = string(b)
	}
	return r
}

// watch samples the Sentry until stop.
func (r *result) watch(state string, stop <-chan struct{}) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if r.sentry == 0 {
			r.sentry = harness.Sandbox(state).Sentry
			continue
		}
		r.heapKiB = max(r.heapKiB, anonKiB(r.sentry))
	}
}

func anonKiB(pid int) int {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "RssAnon:")
	f := strings.Fields(rest)
	if len(f) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(f[0])
	return n
}

// stacks asks a sandbox that hangs what its tasks are doing.
func stacks(t *testing.T, state string) string {
	dirs, _ := os.ReadDir(state)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, d := range dirs {
		out, _ := exec.CommandContext(ctx, harness.Runsc(t), "--root", state, "debug", "--stacks", d.Name()).CombinedOutput()
		return string(out)
	}
	return ""
}

// check is what must hold for every guest.
func (r *result) check(t *testing.T) {
	t.Helper()
	if r.timeout {
		t.Errorf("no end within the time\n%s", r.stacks)
	}
	for _, bad := range []string{"panic:", "fatal error:", "DATA RACE", "goroutine "} {
		if strings.Contains(r.log, bad) {
			t.Errorf("the Sentry's log:\n%.8000s", r.log)
			break
		}
	}
	if !strings.Contains(r.out, "done") {
		t.Errorf("the guest did not come to its end:\n%s\n%.8000s", r.out, r.log)
	}
	if r.heapKiB > heapBoundKiB {
		t.Errorf("the Sentry's heap grew to %d MiB", r.heapKiB>>10)
	}
	if r.sentry == 0 {
		t.Error("no Sentry seen")
		return
	}
	if comm, err := os.ReadFile("/proc/" + strconv.Itoa(r.sentry) + "/comm"); err == nil && strings.HasPrefix(string(comm), "lazaret") {
		t.Errorf("the Sentry %d is still there", r.sentry)
	}
}
