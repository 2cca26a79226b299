package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lazaret/test/internal/harness"
)

// platforms are the ones that every program runs on.
var platforms = []string{"ptrace", "trap"}

// runTimeout bounds one run of one program, on a machine that has much else to do.
const runTimeout = 120 * time.Second

// nativeOnly is for those who write programs: no sandbox, each program runs twice
// natively and must say the same.
var nativeOnly = os.Getenv("COMPAT_NATIVE_ONLY") != ""

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
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C"}
	err := cmd.Run()
	r := result{out.String(), errb.String(), cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatalf("%s: %v", name, err)
	}
	if ctx.Err() != nil {
		r.stderr += "(timed out)\n"
	}
	return r
}

// program is a guest: a C file or a folder with a Go command.
type program struct {
	name, source string
}

func programs(t *testing.T) []program {
	t.Helper()
	sources, err := filepath.Glob("guest/*.c")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no programs in guest/: %v", err)
	}
	folders, err := filepath.Glob("guest/go*")
	if err != nil {
		t.Fatal(err)
	}
	var all []program
	for _, src := range append(sources, folders...) {
		all = append(all, program{strings.TrimSuffix(filepath.Base(src), ".c"), src})
	}
	return all
}

// build makes a static binary of p in a directory that all can read, and returns its path.
func (p program) build(t *testing.T) string {
	t.Helper()
	// Not below /tmp, where `runsc do` has a directory of its own; and open to all, since
	// programs that drop root exec themselves.
	dir, err := os.MkdirTemp("/var/tmp", "compat")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, p.name)
	cmd := exec.Command("go", "build", "-trimpath", "-o", bin, "./"+p.source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if strings.HasSuffix(p.source, ".c") {
		cmd = exec.Command("gcc", "-O1", "-Wall", "-Werror", "-pthread", "-static", "-D_GNU_SOURCE", "-o", bin, p.source)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", p.source, err, out)
	}
	return bin
}

// checkKnown fails for a listed name that is no program: the list must not outlive them.
func checkKnown(t *testing.T, known map[string]string, all []program) {
	t.Helper()
	for name := range known {
		platform, base, ok := strings.Cut(name, "/")
		if !ok {
			base = platform
		} else if !slices.Contains(platforms, platform) {
			t.Errorf("known-failures.txt: %s: no such platform", name)
		}
		if !slices.ContainsFunc(all, func(p program) bool { return p.name == base }) {
			t.Errorf("known-failures.txt: %s: no such program", name)
		}
	}
}

// TestPrograms is the comparison. Each program runs in an empty directory of its own
// that is on the same kind of file system (memory) in both runs.
func TestPrograms(t *testing.T) {
	known, all := harness.KnownFailures(t), programs(t)
	var bin string
	if !nativeOnly {
		bin = harness.Runsc(t)
	}
	checkKnown(t, known, all)
	var same, differ atomic.Int32
	t.Run("all", func(t *testing.T) {
		for _, p := range all {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				prog := p.build(t)
				want := runNative(t, prog)
				if strings.Contains(want.stderr, "FATAL") || want.code != 0 {
					t.Fatalf("fails natively: a bug of the program\n%v", want)
				}
				if nativeOnly {
					if again := runNative(t, prog); again != want {
						t.Errorf("says something else the second time\n%s", firstDifference(want, again))
					}
					return
				}
				for _, platform := range platforms {
					t.Run(platform, func(t *testing.T) {
						got := runSandboxed(t, bin, platform, prog)
						reason, expected := known[p.name]
						if r, ok := known[platform+"/"+p.name]; ok {
							reason, expected = r, true
						}
						compare(t, want, got, reason, expected)
						if got == want {
							same.Add(1)
						} else if expected {
							differ.Add(1)
						}
					})
				}
			})
		}
	})
	fmt.Printf("compat: %d programs, %d runs the same as native, %d known failures\n", len(all), same.Load(), differ.Load())
}

// compare fails the test unless the sandbox did what the native run did, or differs as
// known-failures.txt says.
func compare(t *testing.T, want, got result, reason string, expected bool) {
	t.Helper()
	switch {
	case got == want && expected:
		t.Errorf("passes, but known-failures.txt says: %s", reason)
	case got != want && expected:
		t.Logf("known failure: %s\n%s", reason, firstDifference(want, got))
	case got != want && os.Getenv("COMPAT_FULL") != "":
		t.Errorf("differs\n=== native: %v\n=== sandbox: %v\n%s", want, got, firstDifference(want, got))
	case got != want:
		t.Errorf("differs (COMPAT_FULL=1 prints everything)\n%s", firstDifference(want, got))
	}
}

// inTmp runs $0 in an empty directory on a fresh tmpfs. The shell stays as init, so
// that a program is an ordinary process: signals of the default action end it.
const inTmp = `mount -t tmpfs none /mnt && mkdir /mnt/w && cd /mnt/w && "$0"; exit $?`

func runNative(t *testing.T, prog string) result {
	t.Helper()
	return run(t, "unshare", "-mpiunf", "--kill-child", "--mount-proc", "--propagation", "private", "sh", "-c", inTmp, prog)
}

func runSandboxed(t *testing.T, bin, platform, prog string) result {
	t.Helper()
	root := t.TempDir()
	return run(t, bin, "--root", root, "--platform", platform, "do", "sh", "-c", inTmp, prog)
}

// maxDifferences bounds what is printed of one program.
const maxDifferences = 12

// firstDifference shows where two results part, line by line.
func firstDifference(want, got result) string {
	var b strings.Builder
	if want.code != got.code {
		fmt.Fprintf(&b, "exit code: native %d, other %d\n", want.code, got.code)
	}
	if want.stderr != got.stderr {
		fmt.Fprintf(&b, "stderr:\n  native: %q\n  other:  %q\n", want.stderr, got.stderr)
	}
	wl, gl := strings.Split(want.stdout, "\n"), strings.Split(got.stdout, "\n")
	shown := 0
	for i := 0; i < max(len(wl), len(gl)) && shown < maxDifferences; i++ {
		w, g := line(wl, i), line(gl, i)
		if w != g {
			fmt.Fprintf(&b, "line %d:\n  native: %s\n  other:  %s\n", i+1, w, g)
			shown++
		}
	}
	return b.String()
}

func line(lines []string, i int) string {
	if i >= len(lines) {
		return "(end)"
	}
	return lines[i]
}
