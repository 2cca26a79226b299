package harness

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Runsc returns the absolute path of the binary under test: bin/runsc of the tree (two
// folders above the test's), or what the environment variable RUNSC names.
func Runsc(t testing.TB) string {
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

// KnownFailures reads known-failures.txt in the test's folder: lines "name reason", and
// comments that begin with #.
func KnownFailures(t testing.TB) map[string]string {
	t.Helper()
	data, err := os.ReadFile("known-failures.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		name, reason, ok := strings.Cut(line, " ")
		if !ok {
			t.Fatalf("known-failures.txt: %q names no reason", line)
		}
		known[name] = strings.TrimSpace(reason)
	}
	return known
}

// Processes are a sandbox's own host processes, 0 where there is none yet.
type Processes struct{ Sentry, Gofer int }

// Sandbox finds the processes of the only container under the state directory root.
func Sandbox(root string) Processes {
	files, _ := filepath.Glob(filepath.Join(root, "*", "state.json"))
	for _, f := range files {
		var s struct{ Sentry, Gofer struct{ PID int } }
		if b, err := os.ReadFile(f); err == nil && json.Unmarshal(b, &s) == nil {
			return Processes{s.Sentry.PID, s.Gofer.PID}
		}
	}
	return Processes{}
}
