package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"lazaret/runsc/sandbox"
)

// TestStartFails: one line that says what, nothing left.
func TestStartFails(t *testing.T) {
	tests := []struct {
		name   string
		change func(cfg *sandbox.Config)
		want   string
	}{
		{"sentry says why", func(c *sandbox.Config) { c.Spec.Annotations["standin.fail"] = "no\ngood" }, "sentry process: no?good"},
		{"sentry panics", func(c *sandbox.Config) { c.Spec.Annotations["standin.panic"] = "1" }, "panic: standin panics"},
		{"no root", func(c *sandbox.Config) { c.Spec.Root = nil }, "root.path is missing"},
		{"missing root", func(c *sandbox.Config) { c.Spec.Root.Path = "nowhere" }, "no such file"},
		{"root is a file", func(c *sandbox.Config) { c.Spec.Root.Path = "/etc/passwd" }, "not a directory"},
		{"missing bind source", func(c *sandbox.Config) {
			c.Spec.Mounts = []specs.Mount{{Destination: "/data", Type: "bind", Source: "/no/such/thing"}}
		}, `mounts[0] (/data): source "/no/such/thing": no such file`},
		{"bind without source", func(c *sandbox.Config) {
			c.Spec.Mounts = []specs.Mount{{Destination: "/data", Options: []string{"rbind"}}}
		}, "mounts[0] (/data): a bind mount needs a source"},
		{"no cgroup", func(c *sandbox.Config) { c.JoinCgroup = func(int) error { return errors.New("full") } }, "cgroup: full"},
		{"unknown platform", func(c *sandbox.Config) { c.Flags.Platform = "vax" }, `platform "vax"`},
		{"no log directory", func(c *sandbox.Config) { c.StateDir = "/no/such/dir" }, "open log"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := newConfig(t)
			tt.change(cfg)
			sb, err := sandbox.Start(cfg)
			if err == nil {
				sb.Kill()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q, want %q", err, tt.want)
			}
			checkNoStandin(t)
		})
	}
}

// TestPtraceUnderFilter runs the ptrace platform under the filter: nothing that it needs
// may be denied. The stubs carry the same confinement and end with the Sentry.
func TestPtraceUnderFilter(t *testing.T) {
	cfg := newConfig(t)
	cfg.Spec.Annotations["standin.stubs"] = "1"
	sb := startSandbox(t, cfg)
	ns := readlink(t, fmt.Sprintf("/proc/%d/ns/pid", sb.SentryPID))
	var left []int
	for _, pid := range pidsInNamespace(t, ns) {
		left = append(left, pid)
		if pid == sb.SentryPID {
			continue
		}
		got := status(t, fmt.Sprintf("/proc/%d/status", pid))
		if got["Uid"] != nobody || got["CapEff"] != noCaps || got["CapPrm"] != noCaps || got["Seccomp"] != "2" {
			t.Errorf("stub %d: %v", pid, got)
		}
	}
	if len(left) < 2 {
		t.Errorf("processes of the sandbox: %v, want a stub too", left)
	}
	must(t, unix.Kill(sb.SentryPID, unix.SIGKILL))
	waitGone(t, left...)
}

func pidsInNamespace(t *testing.T, ns string) []int {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/ns/pid")
	must(t, err)
	var pids []int
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && to == ns {
			pid, err := strconv.Atoi(strings.Split(l, "/")[2])
			must(t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

// listing is what the stand-in's lister Gofer sends.
type listing struct {
	Names  map[string][]string
	Writes map[string]string
	Root   []string
}

// TestGoferTrees looks at the trees from inside of a Gofer: a further container's, with
// bind mounts of a directory and of a file, a symlinked root and an overlay that is off.
func TestGoferTrees(t *testing.T) {
	sb := startSandbox(t, newConfig(t))
	cfg := newConfig(t)
	cfg.ID, cfg.SentryPID, cfg.Flags.Overlay = "lister", sb.SentryPID, "none"
	dir := filepath.Dir(cfg.Bundle)
	must(t, os.Mkdir(filepath.Join(dir, "data"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "data", "inner"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o600))
	must(t, os.WriteFile(filepath.Join(cfg.Bundle, "rootfs", "hello"), nil, 0o600))
	must(t, os.Symlink("rootfs", filepath.Join(cfg.Bundle, "link")))
	cfg.Spec.Root.Path = "link"
	cfg.Spec.Mounts = []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc"},
		{Destination: "/data", Type: "bind", Source: filepath.Join(dir, "data"), Options: []string{"rbind", "ro"}},
		{Destination: "/f", Type: "none", Source: "../file", Options: []string{"bind"}},
	}
	pid, conn, err := sandbox.StartGofer(cfg)
	if err != nil {
		t.Fatal(err, logs(cfg))
	}
	defer conn.Close()
	buf := make([]byte, 64<<10)
	n, err := unix.Read(int(conn.Fd()), buf)
	if err != nil {
		t.Fatal(err)
	}
	var l listing
	if err := json.Unmarshal(buf[:n], &l); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(l.Names["root"], "hello") || !slices.Contains(l.Names["m1"], "inner") {
		t.Errorf("names: %v", l.Names)
	}
	if !slices.Equal(l.Root, []string{"trees"}) {
		t.Errorf("root of the Gofer: %v", l.Root)
	}
	if l.Writes["root"] != "" || l.Writes["m2"] != "" || !strings.Contains(l.Writes["m1"], "read-only") {
		t.Errorf("writes: %v", l.Writes)
	}
	if _, err := os.Stat(filepath.Join(cfg.Bundle, "rootfs", "written")); err != nil {
		t.Error(err)
	}
	must(t, unix.Kill(sb.SentryPID, unix.SIGKILL))
	waitGone(t, pid)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
