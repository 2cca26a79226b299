package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lazaret/test/internal/harness"
)

// nativeOnly is for those who write cases: no sandbox, each case runs twice natively and
// must say the same.
var nativeOnly = os.Getenv("E2E_NATIVE_ONLY") != ""

// patience is how long a case may take where it names no timeout: only one that hangs needs
// it, however busy the machine is.
const patience = 5 * time.Minute

// script is a case of programs/.
type script struct {
	name, path string
	timeout    time.Duration
	exit       int
	alone      bool
	normalize  []string
}

// environment is what both runs get.
func environment() []string {
	return []string{
		"PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/tmp/home", "LANG=C.UTF-8", "TERM=xterm", "USER=root", "GOCACHE=" + goEnv("GOCACHE"),
		"CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOTOOLCHAIN=local", "GOPROXY=off", "PYTHONDONTWRITEBYTECODE=1",
	}
}

// goEnv is a setting of this machine's Go: its build cache is read in both runs, which
// would otherwise compile the standard library.
var goEnv = func() func(string) string {
	var mu sync.Mutex
	seen := map[string]string{}
	return func(name string) string {
		mu.Lock()
		defer mu.Unlock()
		if _, ok := seen[name]; !ok {
			out, err := exec.Command("go", "env", name).Output()
			if err != nil {
				panic(fmt.Sprintf("go env %s: %v", name, err))
			}
			seen[name] = strings.TrimSpace(string(out))
		}
		return seen[name]
	}
}()

// scripts reads programs/.
func scripts(t *testing.T) []*script {
	t.Helper()
	files, err := filepath.Glob("programs/*.sh")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in programs/: %v", err)
	}
	all := make([]*script, 0, len(files))
	for _, f := range files {
		s, err := readScript(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

func readScript(file string) (*script, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(abs)
	if err != nil {
		return nil, err
	}
	s := &script{name: strings.TrimSuffix(filepath.Base(file), ".sh"), path: abs, timeout: patience}
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "#") {
			break
		}
		key, value, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "#")), ":")
		value = strings.TrimSpace(value)
		switch key {
		case "timeout":
			s.timeout, err = time.ParseDuration(value)
		case "exit":
			s.exit, err = strconv.Atoi(value)
		case "alone":
			s.alone = true
		case "normalize":
			s.normalize = strings.Fields(value)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", file, key, err)
		}
	}
	for _, n := range s.normalize {
		if normalizers[n] == nil {
			return nil, fmt.Errorf("%s: unknown normalizer %q", file, n)
		}
	}
	return s, nil
}

var digits = regexp.MustCompile(`[0-9]+`)
var addresses = regexp.MustCompile(`0x[0-9a-f]+`)
var durations = regexp.MustCompile(`[0-9]+(\.[0-9]+)? ?(ms|µs|us|ns|s)\b`)

// normalizers take out what may differ between two runs of one program.
var normalizers = map[string]func(string) string{
	"digits":    func(s string) string { return digits.ReplaceAllString(s, "N") },
	"addresses": func(s string) string { return addresses.ReplaceAllString(s, "ADDR") },
	"durations": func(s string) string { return durations.ReplaceAllString(s, "TIME") },
	"sort": func(s string) string {
		lines := strings.SplitAfter(s, "\n")
		slices.Sort(lines)
		return strings.Join(lines, "")
	},
}

// result is how a case ended and what it said.
type result struct {
	stdout, stderr string
	code           int
	took           time.Duration
}

func (r *result) same(o *result) bool {
	return r.stdout == o.stdout && r.stderr == o.stderr && r.code == o.code
}

// run runs a command with nothing on its standard input.
func run(t *testing.T, timeout time.Duration, normalize []string, name string, args ...string) *result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = 5 * time.Second
	var out, errb bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errb
	cmd.Dir = "/"
	start := time.Now()
	err := cmd.Run()
	r := &result{stdout: out.String(), stderr: errb.String(), code: -1, took: time.Since(start)}
	if cmd.ProcessState != nil {
		r.code = cmd.ProcessState.ExitCode()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatalf("%s: %v", name, err)
	}
	for _, n := range normalize {
		r.stdout, r.stderr = normalizers[n](r.stdout), normalizers[n](r.stderr)
	}
	if ctx.Err() != nil {
		r.stderr += "(timed out)\n"
	}
	return r
}

// unshare starts a command in namespaces of its own, gone with it.
var unshare = []string{"unshare", "-mpiunf", "--kill-child", "--mount-proc", "--propagation", "private"}

// nativeArgs is the command line that runs argv as the sandbox would.
func nativeArgs(t *testing.T, argv ...string) []string {
	t.Helper()
	sh, err := filepath.Abs("native.sh")
	if err != nil {
		t.Fatal(err)
	}
	args := append(slices.Clone(unshare), "sh", sh, "-i")
	return append(append(args, environment()...), argv...)
}

// doArgs is the command line that runs argv in a sandbox.
func doArgs(t *testing.T, argv ...string) []string {
	t.Helper()
	args := []string{harness.Runsc(t), "--root", t.TempDir(), "--debug-log", filepath.Join(t.TempDir(), "log"), "do", "--cwd", "/tmp", "--tty", "no"}
	for _, e := range environment() {
		args = append(args, "-e", e)
	}
	return append(append(args, "--"), argv...)
}

// TestPrograms is the comparison.
func TestPrograms(t *testing.T) {
	known, all := harness.KnownFailures(t), scripts(t)
	for name := range known {
		if !strings.Contains(name, "/") && !slices.ContainsFunc(all, func(s *script) bool { return s.name == name }) {
			t.Errorf("known-failures.txt: %s: no such case", name)
		}
	}
	var same, differ atomic.Int32
	t.Run("all", func(t *testing.T) {
		for _, s := range all {
			t.Run(s.name, func(t *testing.T) {
				if !s.alone {
					t.Parallel()
				}
				if s.compare(t, known[s.name]) {
					same.Add(1)
				} else {
					differ.Add(1)
				}
			})
		}
	})
	fmt.Printf("e2e: %d programs, %d the same as native, %d not\n", len(all), same.Load(), differ.Load())
}

// compare runs s natively and in a sandbox and says whether it is the same. An expected
// difference has a reason.
func (s *script) compare(t *testing.T, reason string) bool {
	t.Helper()
	native := nativeArgs(t, "bash", s.path)
	want := run(t, s.timeout, s.normalize, native[0], native[1:]...)
	if want.code != s.exit {
		t.Fatalf("fails natively: a bug of the case, or its package is missing: exit code %d\n%s%s", want.code, want.stdout, want.stderr)
	}
	if nativeOnly {
		again := run(t, s.timeout, s.normalize, native[0], native[1:]...)
		if !again.same(want) {
			t.Errorf("says something else the second time\n%s", difference(want, again))
		}
		return true
	}
	do := doArgs(t, "bash", s.path)
	got := run(t, s.timeout, s.normalize, do[0], do[1:]...)
	t.Logf("native %v, sandbox %v", want.took.Round(time.Millisecond), got.took.Round(time.Millisecond))
	switch {
	case got.same(want) && reason != "":
		t.Errorf("passes, but known-failures.txt says: %s", reason)
	case !got.same(want) && reason != "":
		t.Logf("known failure: %s\n%s", reason, difference(want, got))
	case !got.same(want):
		t.Errorf("differs\n%s%s", difference(want, got), logTail(do))
	}
	return got.same(want)
}

// logTail is the end of the sandbox's log, named on the command line that do had.
func logTail(do []string) string {
	i := slices.Index(do, "--debug-log")
	data, err := os.ReadFile(do[i+1])
	if err != nil || len(data) == 0 {
		return ""
	}
	return "the sandbox's log:\n" + string(data[:min(len(data), 8000)])
}

// maxDifferences bounds what is printed of one case.
const maxDifferences = 12

// difference shows where two results part, line by line.
func difference(want, got *result) string {
	var b strings.Builder
	if want.code != got.code {
		fmt.Fprintf(&b, "exit code: native %d, sandbox %d\n", want.code, got.code)
	}
	diffText(&b, "stdout", want.stdout, got.stdout)
	diffText(&b, "stderr", want.stderr, got.stderr)
	return b.String()
}

func diffText(b *strings.Builder, what, want, got string) {
	wl, gl := strings.Split(want, "\n"), strings.Split(got, "\n")
	shown := 0
	for i := 0; i < max(len(wl), len(gl)) && shown < maxDifferences; i++ {
		w, g := lineOf(wl, i), lineOf(gl, i)
		if w != g {
			fmt.Fprintf(b, "%s line %d:\n  native:  %.400s\n  sandbox: %.400s\n", what, i+1, w, g)
			shown++
		}
	}
}

func lineOf(lines []string, i int) string {
	if i >= len(lines) {
		return "(end)"
	}
	return lines[i]
}
