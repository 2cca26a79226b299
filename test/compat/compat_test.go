package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// platforms are the ones that every program runs on.
var platforms = []string{"ptrace"}

// runTimeout bounds one run of one program.
const runTimeout = 60 * time.Second

func runsc(t *testing.T) string {
	t.Helper()
	bin := os.Getenv("RUNSC")
	if bin == "" {
		bin = filepath.Join("..", "..", "bin", "runsc")
	}
	bin, err := filepath.Abs(bin)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	return bin
}

// result is how a program ended and what it said.
type result struct {
	stdout, stderr string
	code           int
}

func (r result) String() string {
	return fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", r.code, r.stdout, r.stderr)
}

func run(t *testing.T, name string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = 5 * time.Second
	var out, errb bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errb
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=/root", "LANG=C"}
	err := cmd.Run()
	r := result{out.String(), errb.String(), cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", name, err)
	}
	if ctx.Err() != nil {
		r.stderr += "(timed out)\n"
	}
	return r
}

// guests compiles every program of guest/ and returns the binaries by name.
func guests(t *testing.T) map[string]string {
	t.Helper()
	sources, err := filepath.Glob("guest/*.c")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no programs in guest/: %v", err)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	bins := map[string]string{}
	for _, src := range sources {
		name := strings.TrimSuffix(filepath.Base(src), ".c")
		bin := filepath.Join(dir, name)
		out, err := exec.Command("gcc", "-O1", "-Wall", "-Werror", "-pthread", "-static", "-o", bin, src).CombinedOutput()
		if err != nil {
			t.Fatalf("gcc %s: %v\n%s", src, err, out)
		}
		bins[name] = bin
	}
	return bins
}

func knownFailures(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("known-failures.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for _, line := range strings.Split(string(data), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		name, reason, ok := strings.Cut(line, " ")
		if !ok {
			t.Fatalf("known-failures.txt: %q names no reason", line)
		}
		known[name] = reason
	}
	return known
}

// TestPrograms is the comparison. Each program runs in an empty directory of its own
// that is on the same kind of file system (memory) in both runs.
func TestPrograms(t *testing.T) {
	bin, known := runsc(t), knownFailures(t)
	for name, prog := range guests(t) {
		t.Run(name, func(t *testing.T) {
			want := runNative(t, prog)
			if strings.Contains(want.stderr, "FATAL") {
				t.Fatalf("fails natively: a bug of the program\n%v", want)
			}
			for _, p := range platforms {
				t.Run(p, func(t *testing.T) {
					got := runSandboxed(t, bin, p, prog)
					reason, expected := known[name]
					switch {
					case got == want && expected:
						t.Errorf("passes, but known-failures.txt says: %s", reason)
					case got != want && expected:
						t.Logf("known failure: %s", reason)
					case got != want:
						t.Errorf("differs\n=== native: %v\n=== sandbox: %v\n%s", want, got, firstDifference(want.stdout, got.stdout))
					}
				})
			}
		})
	}
}

// inTmp runs $0 in an empty directory on a fresh tmpfs.
const inTmp = `mount -t tmpfs none /mnt && mkdir /mnt/w && cd /mnt/w && exec "$0"`

func runNative(t *testing.T, prog string) result {
	return run(t, "unshare", "-mpf", "--mount-proc", "--propagation", "private", "sh", "-c", inTmp, prog)
}

func runSandboxed(t *testing.T, bin, platform, prog string) result {
	root := t.TempDir()
	return run(t, bin, "--root", root, "--platform", platform, "do", "sh", "-c", inTmp, prog)
}

func firstDifference(a, b string) string {
	al, bl := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range al {
		if i >= len(bl) || al[i] != bl[i] {
			other := "(end)"
			if i < len(bl) {
				other = bl[i]
			}
			return fmt.Sprintf("first difference, line %d:\n  native:  %s\n  sandbox: %s", i+1, al[i], other)
		}
	}
	return ""
}
