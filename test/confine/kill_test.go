package confine

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/runsc/sandbox"
)

func TestKilledSentryTakesGofer(t *testing.T) {
	sb := startSandbox(t, newConfig(t))
	if err := unix.Kill(sb.SentryPID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitGone(t, sb.SentryPID, sb.GoferPID)
}

func TestStoppedGoferEndsToo(t *testing.T) {
	sb := startSandbox(t, newConfig(t))
	if err := unix.Kill(sb.GoferPID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	sb.Kill()
	waitGone(t, sb.SentryPID, sb.GoferPID)
}

// runner is a runsc in a process of its own.
type runner struct {
	cmd  *exec.Cmd
	out  *bufio.Reader
	pids []int
}

func startRunner(t *testing.T, cfg *sandbox.Config, args ...string) *runner {
	t.Helper()
	r := &runner{cmd: exec.Command(standin, append([]string{"start"}, args...)...)}
	startWith(t, r, cfg)
	return r
}

func startWith(t *testing.T, r *runner, cfg *sandbox.Config) {
	t.Helper()
	r.cmd.Stdin = bytes.NewReader(input(t, cfg))
	pipe, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.out = bufio.NewReader(pipe)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// line reads what the runner prints and remembers the pids in it.
func (r *runner) line() (string, error) {
	s, err := r.out.ReadString('\n')
	for _, f := range strings.Fields(s) {
		var pid int
		if _, err := fmt.Sscan(f, &pid); err == nil {
			r.pids = append(r.pids, pid)
		}
	}
	return strings.TrimSpace(s), err
}

func (r *runner) kill() {
	_ = r.cmd.Process.Kill()
	for {
		if _, err := r.line(); err != nil {
			break
		}
	}
	_ = r.cmd.Wait()
}

// TestRunscKilledMidStart kills runsc at random moments of a start.
func TestRunscKilledMidStart(t *testing.T) {
	for i := range 40 {
		r := startRunner(t, newConfig(t))
		time.Sleep(time.Duration(rand.IntN(40000)) * time.Microsecond)
		r.kill()
		waitGone(t, r.pids...)
		checkNoStandin(t)
		if t.Failed() {
			t.Fatalf("round %d", i)
		}
	}
}

// TestRunscKilledWhileStalled kills runsc while the Sentry does not get ready.
func TestRunscKilledWhileStalled(t *testing.T) {
	cfg := newConfig(t)
	cfg.Spec.Annotations["standin.stall"] = "sentry"
	r := startRunner(t, cfg)
	for range 2 {
		if _, err := r.line(); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(50 * time.Millisecond)
	r.kill()
	waitGone(t, r.pids...)
}

func TestRunscKilledBeforeDetach(t *testing.T) {
	r := startRunner(t, newConfig(t))
	for line := ""; !strings.HasPrefix(line, "started"); {
		var err error
		if line, err = r.line(); err != nil {
			t.Fatal(err)
		}
	}
	r.kill()
	waitGone(t, r.pids...)
}

// TestDetachedLivesOn: a detached sandbox survives runsc, until the Sentry is killed.
func TestDetachedLivesOn(t *testing.T) {
	r := startRunner(t, newConfig(t), "detach")
	rest, err := io.ReadAll(r.out)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, rest)
	}
	var sentry, gofer int
	if _, err := fmt.Sscanf(string(rest[bytes.Index(rest, []byte("detached")):]), "detached %d %d", &sentry, &gofer); err != nil {
		t.Fatalf("%q: %v", rest, err)
	}
	time.Sleep(50 * time.Millisecond)
	if !alive(sentry) || !alive(gofer) {
		t.Errorf("Sentry alive: %v, Gofer alive: %v", alive(sentry), alive(gofer))
	}
	if err := unix.Kill(sentry, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitGone(t, sentry, gofer)
}

// checkNoStandin wants no process left of the stand-in, whose path is this test's own. One
// that was cloned but had not told its pid yet when runsc was killed finds out by itself,
// as soon as it gets to run.
func checkNoStandin(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		left := standins(t)
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Errorf("processes of the stand-in are left: %v", left)
			return
		}
	}
}

// standins lists the processes of the stand-in.
func standins(t *testing.T) []string {
	t.Helper()
	procs, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, p := range procs {
		exe, err := os.Readlink("/proc/" + p.Name() + "/exe")
		if err == nil && strings.HasPrefix(exe, standin) {
			found = append(found, p.Name())
		}
	}
	return found
}
