package engines

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lazaret/test/internal/harness"
)

// engineCase is a script that an engine runs with each runtime.
type engineCase struct {
	name   string
	engine string // "": each
	script string
}

// readCases reads a file of testdata.
func readCases(t *testing.T, file string) []engineCase {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []engineCase
	for line := range strings.Lines(string(data)) {
		if head, ok := strings.CutPrefix(line, "== "); ok {
			f := strings.Fields(head)
			c := engineCase{name: f[0]}
			if len(f) > 1 {
				c.engine = f[1]
			}
			list = append(list, c)
		} else if len(list) > 0 {
			list[len(list)-1].script += line
		}
	}
	return list
}

// runtimeBinary returns the runtime under test: $RUNSC, or what make build made.
func runtimeBinary(t *testing.T) string {
	t.Helper()
	bin := os.Getenv("RUNSC")
	if bin == "" {
		bin = filepath.Join("..", "..", "bin", "runsc")
	}
	bin, err := filepath.Abs(bin)
	if err == nil {
		_, err = os.Stat(bin)
	}
	if err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	return bin
}

// runCases runs the scripts for one engine. prelude defines E, run and create for the
// runtime $R.
func runCases(t *testing.T, engine, prelude string) {
	known := harness.KnownFailures(t)
	for _, c := range readCases(t, "testdata/cases.txt") {
		if c.engine != "" && c.engine != engine {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			reason, expected := known[engine+"/"+c.name]
			var want, got string
			var wg sync.WaitGroup
			wg.Go(func() { want = runCase(t, engine, prelude, "runc", &c) })
			wg.Go(func() { got = runCase(t, engine, prelude, "runsc", &c) })
			wg.Wait()
			switch {
			case strings.TrimSpace(want) == "":
				t.Errorf("runc shows nothing: the case tests nothing")
			case want == got && expected:
				t.Errorf("passes, but is listed in known-failures.txt (%s): remove the line", reason)
			case want != got && expected:
				t.Logf("known failure: %s\n%s", reason, lineDiff(want, got))
			case want != got:
				t.Error(lineDiff(want, got))
			}
		})
	}
}

// caseLimit bounds one script.
const caseLimit = 4 * time.Minute

func runCase(t *testing.T, engine, prelude, runtime string, c *engineCase) string {
	dir := t.TempDir()
	name := fmt.Sprintf("%s-%s-%s", engine, c.name, runtime)
	ctx, cancel := context.WithTimeout(context.Background(), caseLimit)
	defer cancel()
	script := prelude + "\n" + c.script + "\n:"
	cmd := exec.CommandContext(ctx, "sh", "-c", script)
	cmd.Env = append(os.Environ(), "R="+runtime, "N="+name, "IMG="+imageName, "T="+dir, "PARENT="+cgroupParent)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err := cmd.Run()
	if ctx.Err() != nil {
		fmt.Fprintf(&out, "passed %v\n", caseLimit)
	} else if err != nil {
		fmt.Fprintf(&out, "script: %v\n", err)
	}
	clean := exec.Command("sh", "-c", prelude+"\n$E rm -f $N")
	clean.Env = cmd.Env
	if text, err := clean.CombinedOutput(); err != nil && !bytes.Contains(text, []byte("o such container")) {
		fmt.Fprintf(&out, "removal: %v %s\n", err, text)
	}
	return normalize(out.String(), name, runtime)
}

var hexID = regexp.MustCompile(`\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b`)

// logTime begins lines that engines log.
var logTime = regexp.MustCompile(`time="[^"]*" `)

// normalize takes out what cannot be equal.
func normalize(text, name, runtime string) string {
	text = strings.ReplaceAll(text, name, "NAME")
	text = hexID.ReplaceAllString(text, "ID")
	text = logTime.ReplaceAllString(text, "")
	return strings.ReplaceAll(text, "\r\n", "\n")
}

func lineDiff(want, got string) string {
	return "--- runc\n" + want + "--- runsc\n" + got
}
