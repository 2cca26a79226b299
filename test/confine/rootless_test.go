package confine

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lazaret/runsc/sandbox"
)

// plainUser is an id without privileges that owns nothing here.
const plainUser = 54321

// giveTo makes the bundle and the stand-in reachable for a plain user.
func giveTo(t *testing.T, cfg *sandbox.Config) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "rootless")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.CopyFS(filepath.Join(dir, "b"), os.DirFS(filepath.Dir(cfg.Bundle))))
	bin, err := os.ReadFile(standin)
	must(t, err)
	exe := filepath.Join(dir, "standin")
	must(t, os.WriteFile(exe, bin, 0o755))
	must(t, filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(p, plainUser, plainUser)
	}))
	cfg.Bundle, cfg.StateDir = filepath.Join(dir, "b", "bundle"), filepath.Join(dir, "b", "state")
	return exe
}

// TestRootless starts as a plain user: a single mapping of its own id.
func TestRootless(t *testing.T) {
	cfg := newConfig(t)
	exe := giveTo(t, cfg)
	r := &runner{cmd: exec.Command(exe, "start")}
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: plainUser, Gid: plainUser}}
	startWith(t, r, cfg)
	defer r.kill()
	for line := ""; !strings.HasPrefix(line, "started"); {
		var err error
		if line, err = r.line(); err != nil {
			t.Fatalf("%v: %s %s", err, line, logs(cfg))
		}
		if strings.HasPrefix(line, "error") {
			t.Fatal(line)
		}
	}
	sentry := r.pids[len(r.pids)-2]
	checkThreads(t, sentry, map[string]string{
		"Uid": "54321 54321 54321 54321", "CapPrm": noCaps, "CapEff": noCaps, "CapBnd": noCaps, "Seccomp": "2",
		"NoNewPrivs": "1",
	})
	checkThreads(t, r.pids[len(r.pids)-1], map[string]string{"CapEff": goferCaps, "Seccomp": "2", "NoNewPrivs": "1"})
	r.kill()
	waitGone(t, r.pids...)
}

// TestUnmappedUser starts in a user namespace without mappings, where nothing can be made.
func TestUnmappedUser(t *testing.T) {
	cfg := newConfig(t)
	exe := giveTo(t, cfg)
	cmd := exec.Command("unshare", "-U", exe, "start")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: plainUser, Gid: plainUser}}
	cmd.Stdin = bytes.NewReader(input(t, cfg))
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "maps no ids") || strings.Count(string(out), "\n") != 1 {
		t.Errorf("%v: %s", err, out)
	}
}

// TestNoUserNamespaces forbids them for a plain user (in a user namespace of its own, so
// that the host's limit stays) and wants one line that says what to do.
func TestNoUserNamespaces(t *testing.T) {
	cfg := newConfig(t)
	exe := giveTo(t, cfg)
	cmd := exec.Command("unshare", "-U", "-r", "sh", "-c",
		"echo 0 > /proc/sys/user/max_user_namespaces && exec "+exe+" start")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: plainUser, Gid: plainUser}}
	cmd.Stdin = bytes.NewReader(input(t, cfg))
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "user namespaces are switched off: run `sysctl -w user.max_user_namespaces=") {
		t.Errorf("%v: %s", err, out)
	}
	if n := strings.Count(string(out), "\n"); n != 1 {
		t.Errorf("%d lines: %s", n, out)
	}
}
