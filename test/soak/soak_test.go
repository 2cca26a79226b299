package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/test/internal/harness"
)

// classes of stress-ng's work. Each runs for classSeconds with two workers.
var classes = []string{"cpu", "vm", "pipe", "signal", "fork", "clone", "mmap", "futex", "pthread", "switch", "sock", "poll", "dir"}

const (
	classSeconds = 2
	classLimit   = 3 * time.Minute // a loaded machine, and work that ends late
	settle       = 20 * time.Second
)

// What may be more after a rotation: caches that fill, threads that Go keeps, garbage
// that is not collected yet. A leak grows past this in a long run.
const (
	slackFDs        = 8
	slackThreads    = 16
	slackGoroutines = 16
	slackKiB        = 64 << 10
)

// sandbox is one container that waits (and reaps orphans) while work is executed in it.
type sandbox struct {
	bin, state, log string
	proc            harness.Processes
}

const id = "soak"

func (s *sandbox) runsc(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), classLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.bin, append([]string{"--root", s.state, "--debug-log", s.log}, args...)...)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func start(t *testing.T) *sandbox {
	t.Helper()
	dir := t.TempDir()
	s := &sandbox{bin: harness.Runsc(t), state: filepath.Join(dir, "state"), log: filepath.Join(dir, "sentry.log")}
	spec := &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: "/", Readonly: true},
		Process: &specs.Process{Args: []string{"bash", "-c", "sleep infinity & wait"}, Cwd: "/tmp", Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs"},
			{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs"},
		},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.NetworkNamespace}}},
	}
	config, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(s.bin, "--root", s.state, "--debug-log", s.log, "run", "--detach", "--bundle", dir, id)
	if err := cmd.Run(); err != nil { // without pipes, which the container would keep open
		t.Fatalf("run: %v\n%s", err, s.logText())
	}
	t.Cleanup(func() { _, _ = s.runsc("delete", "--force", id) })
	if s.proc = harness.Sandbox(s.state); s.proc.Sentry == 0 || s.proc.Gofer == 0 {
		t.Fatalf("processes of the sandbox: %+v", s.proc)
	}
	return s
}

func (s *sandbox) logText() string {
	b, _ := os.ReadFile(s.log)
	return fmt.Sprintf("%.8000s", b)
}

// work runs one class and fails if it fails, inside or out.
func (s *sandbox) work(t *testing.T, class string) {
	t.Helper()
	out, err := s.runsc("exec", id, "stress-ng", "--"+class, "2", "--timeout", strconv.Itoa(classSeconds), "--vm-bytes", "64M", "--temp-path", "/tmp", "--oomable")
	if err == nil && strings.Contains(out, "successful run") {
		return
	}
	stacks, _ := s.runsc("debug", "--stacks", id)
	t.Fatalf("stress-ng --%s: %v\n%s\n%.8000s\n%s", class, err, out, stacks, s.logText())
}

// footprint is what a sandbox has of the host.
type footprint struct {
	FDs, Threads, Goroutines, Stubs, Tasks, KiB int
}

var goroutine = regexp.MustCompile(`(?m)^goroutine \d+`)

func (s *sandbox) measure(t *testing.T) footprint {
	t.Helper()
	var f footprint
	for _, pid := range []int{s.proc.Sentry, s.proc.Gofer} {
		dir := "/proc/" + strconv.Itoa(pid)
		fds, err := os.ReadDir(dir + "/fd")
		if err != nil {
			t.Fatalf("%v\n%s", err, s.logText())
		}
		tasks, _ := os.ReadDir(dir + "/task")
		f.FDs, f.Threads, f.KiB = f.FDs+len(fds), f.Threads+len(tasks), f.KiB+pssKiB(t, dir)
	}
	stats, err := s.runsc("debug", "--platform-stats", id)
	if err != nil {
		t.Fatalf("debug --platform-stats: %v\n%s", err, stats)
	}
	f.Stubs = children(s.proc.Sentry) - kept(stats)
	stacks, err := s.runsc("debug", "--stacks", id)
	if err != nil {
		t.Fatalf("debug --stacks: %v\n%s", err, stacks)
	}
	f.Goroutines = len(goroutine.FindAllString(stacks, -1))
	ps, err := s.runsc("ps", id)
	if err != nil {
		t.Fatalf("ps: %v\n%s", err, ps)
	}
	f.Tasks = strings.Count(ps, "\n") - 1 // a line of titles
	return f
}

// pssKiB is the memory of a process that is its own, and its share of what it shares.
func pssKiB(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(dir + "/smaps_rollup")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\nPss:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// kept is how many stubs the platform has for processes to come.
func kept(stats string) int {
	_, rest, _ := strings.Cut(stats, "stubs kept for use")
	n := 0
	_, _ = fmt.Sscan(rest, &n) // none where nothing is kept
	return n
}

// children counts the processes below pid.
func children(pid int) int {
	n := 0
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		b, _ := os.ReadFile(file)
		for _, f := range strings.Fields(string(b)) {
			if kid, err := strconv.Atoi(f); err == nil {
				n += 1 + children(kid)
			}
		}
	}
	return n
}

// grown says what f has more of than base allows.
func (f footprint) grown(base footprint) string {
	var out []string
	for _, g := range []struct {
		what             string
		now, was, allows int
	}{
		{"descriptors", f.FDs, base.FDs, slackFDs},
		{"host threads", f.Threads, base.Threads, slackThreads},
		{"goroutines", f.Goroutines, base.Goroutines, slackGoroutines},
		{"stubs", f.Stubs, base.Stubs, 0},
		{"tasks", f.Tasks, base.Tasks, 0},
		{"KiB of memory", f.KiB, base.KiB, slackKiB},
	} {
		if g.now > g.was+g.allows {
			out = append(out, fmt.Sprintf("%s: %d, was %d", g.what, g.now, g.was))
		}
	}
	return strings.Join(out, "; ")
}

// calm waits until what is being torn down is gone, and says what stays too much.
func (s *sandbox) calm(t *testing.T, base footprint) (footprint, string) {
	t.Helper()
	for end := time.Now().Add(settle); ; time.Sleep(time.Second) {
		f := s.measure(t)
		grown := f.grown(base)
		if grown == "" || time.Now().After(end) {
			return f, grown
		}
	}
}

// idle waits until the container's two processes are up and nothing else is.
func (s *sandbox) idle(t *testing.T) footprint {
	t.Helper()
	last := s.measure(t)
	for end := time.Now().Add(settle); time.Now().Before(end); {
		time.Sleep(200 * time.Millisecond)
		f := s.measure(t)
		if f.Tasks == 2 && f.Tasks == last.Tasks && f.Stubs == last.Stubs {
			return f
		}
		last = f
	}
	t.Fatalf("the container does not come to rest: %+v", last)
	return last
}

func TestSoak(t *testing.T) {
	var duration time.Duration
	if v := os.Getenv("SOAK"); v != "" {
		var err error
		if duration, err = time.ParseDuration(v); err != nil {
			t.Fatalf("SOAK: %v", err)
		}
	}
	s := start(t)
	rotate := func() {
		for _, class := range classes {
			s.work(t, class)
		}
	}
	idle := s.idle(t)
	rotate()
	// Caches and pools are warm now; only stubs and tasks must be as at the start.
	time.Sleep(time.Second)
	base := s.measure(t)
	base.Stubs, base.Tasks = idle.Stubs, idle.Tasks
	t.Logf("idle %+v, warm %+v", idle, base)
	rounds := 0
	for began := time.Now(); rounds == 0 || time.Since(began) < duration; rounds++ {
		rotate()
		f, grown := s.calm(t, base)
		if t.Logf("round %d: %+v", rounds+1, f); grown != "" {
			t.Fatalf("after round %d: %s", rounds+1, grown)
		}
	}
	if log := s.logText(); strings.Contains(log, "panic") || strings.Contains(log, "fatal error") {
		t.Errorf("the Sentry's log:\n%s", log)
	}
}
