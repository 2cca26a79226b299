package confine

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/runsc/sandbox"
)

// silent are attempts that are answered with death at once, so that no line names them:
// foreign architectures, and the call that the handler itself ends the process with.
var silent = map[string]bool{"reboot": true, "x32-getpid": true, "x32-openat": true}

// TestEscape runs every attempt under the Sentry's confinement: the call must not come
// back, the process must die, and the log must name the call.
func TestEscape(t *testing.T) {
	out, err := exec.Command(standin, "attempts").Output()
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(out))
	if len(names) < 60 {
		t.Fatalf("only %d attempts: %q", len(names), names)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) { checkAttempt(t, name) })
	}
}

func checkAttempt(t *testing.T, name string) {
	cfg := newConfig(t)
	cfg.Spec.Annotations["standin.attempt"] = name
	r, w, err := os.Pipe()
	must(t, err)
	defer w.Close()
	cfg.Stdio[0] = r
	sb := startSandbox(t, cfg)
	must(t, r.Close())
	_, err = w.Write([]byte("x"))
	must(t, err)
	ws, err := sb.Process.Wait()
	if err != nil {
		t.Fatal(err)
	}
	log := logs(cfg)
	if !ws.Signaled() || ws.Signal() != unix.SIGSYS {
		t.Fatalf("the Sentry ended with %#x, want killed by SIGSYS\n%s", ws, log)
	}
	if strings.Contains(log, "came back") {
		t.Errorf("log: %s", log)
	}
	if !silent[name] && !strings.HasPrefix(log, "seccomp: host call ") {
		t.Errorf("the log does not name the call: %q", log)
	}
	call, _, _ := strings.Cut(name, "-")
	if !silent[name] && !strings.Contains(log, call) {
		t.Errorf("the log names another call: %q", log)
	}
	waitGone(t, sb.SentryPID, sb.GoferPID)
}

// TestGoferEscape: a compromised Gofer that opens by path dies, and its log says why.
func TestGoferEscape(t *testing.T) {
	sb := startSandbox(t, newConfig(t))
	cfg := newConfig(t)
	cfg.ID, cfg.SentryPID = "burglar", sb.SentryPID
	pid, conn, err := sandbox.StartGofer(cfg)
	must(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("x"))
	must(t, err)
	waitGone(t, pid)
	if log := logs(cfg); !strings.Contains(log, "seccomp: host call openat (257) denied") {
		t.Errorf("log: %q", log)
	}
}
