package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
)

// TestCommandsSpeak: what the commands without a container print.
func TestCommandsSpeak(t *testing.T) {
	r := ours(t)
	for _, c := range []struct {
		args []string
		want string // regular expression
	}{
		{[]string{"--version"}, `^runsc version \S+\ncommit: \S+\nspec: 1\.\d\.\d\ngo: go1\.`},
		{[]string{"help"}, `(?s)create.*delete.*exec.*state`},
		{[]string{"help", "run"}, `(?s)--bundle.*--console-socket.*--detach.*--pid-file`},
		{[]string{"help", "syscalls"}, `(?m)^\d+ +openat +full`},
		{[]string{"run", "--help"}, `--no-pivot`},
		{[]string{"doctor"}, `(?is)ptrace`},
		{[]string{"completion", "bash"}, `complete -o default`},
		{[]string{"completion", "zsh"}, `#compdef runsc`},
		{[]string{"completion", "fish"}, `complete -c runsc`},
		{[]string{"debug", "--host-syscalls"}, `(?m)^\d+ calls$`},
		{[]string{"list"}, `^ID +PID +STATUS +BUNDLE +CREATED +OWNER\n$`},
		{[]string{"list", "--format", "json"}, `^null\n$`},
	} {
		if a := r.do(t, "", c.args...); a.code != 0 || a.err != "" || !regexp.MustCompile(c.want).MatchString(a.out) {
			t.Errorf("runsc %v: exit code %d, stderr %q, output\n%.600s\nwant %s", c.args, a.code, a.err, a.out, c.want)
		}
	}
}

// TestFeatures: the JSON is what engines read.
func TestFeatures(t *testing.T) {
	var f features.Features
	a := ours(t).do(t, "", "features").must(t, "features")
	if err := json.Unmarshal([]byte(a.out), &f); err != nil {
		t.Fatal(err)
	}
	if f.OCIVersionMin != "1.0.0" || len(f.Hooks) != 6 || len(f.MountOptions) < 20 || f.Linux == nil || len(f.Linux.Namespaces) < 7 || !*f.Linux.Seccomp.Enabled {
		t.Errorf("%s", a.out)
	}
}

// TestSpecRuns: what runsc spec writes can be run, and is not overwritten.
func TestSpecRuns(t *testing.T) {
	r, dir := ours(t), t.TempDir()
	a := r.do(t, "", "spec", "--bundle", dir).must(t, "spec")
	if a.out != "" {
		t.Errorf("spec says %q", a.out)
	}
	if a := r.do(t, "", "spec", "--bundle", dir); a.code != 1 || strings.Count(a.err, "\n") != 1 {
		t.Errorf("a second spec: exit code %d\n%s", a.code, a.err)
	}
	root, err := rootfs()
	if err != nil {
		t.Fatal(err)
	}
	if err := copyRoot(root, filepath.Join(dir, "rootfs")); err != nil {
		t.Fatal(err)
	}
	var s specs.Spec
	if err := json.Unmarshal([]byte(readAll(t, filepath.Join(dir, "config.json"))), &s); err != nil {
		t.Fatal(err)
	}
	s.Process.Terminal, s.Process.Args = false, []string{"sh", "-c", "echo spec runs; grep -c . /proc/self/mountinfo"}
	b := &bundle{t, dir, &s}
	b.write()
	for _, r := range []*runtimeUnderTest{r, peerRunc(t)} {
		if a := b.run(r, ""); a.code != 0 || !strings.HasPrefix(a.out, "spec runs\n") || a.err != "" {
			t.Errorf("%s: exit code %d\n%s%s", r.name, a.code, a.out, a.err)
		}
	}
}

// TestAnnotations: safe flags may be set by annotation, others may not.
func TestAnnotations(t *testing.T) {
	note := func(k, v string) func(*specs.Spec) {
		return func(s *specs.Spec) { s.Annotations = map[string]string{"dev.lazaret." + k: v} }
	}
	log := filepath.Join(t.TempDir(), "strace")
	r := ours(t, "--strace-log", log)
	if a := newBundle(t, note("strace", "true"), script1("echo traced")).run(r, ""); a.code != 0 || !strings.Contains(readAll(t, log), `write(1, "traced`) {
		t.Errorf("strace by annotation: exit code %d %s", a.code, a.err)
	}
	r = ours(t)
	for _, c := range [][2]string{{"overlay", "none"}, {"host-uds", "true"}, {"debug-log", "/tmp/x"}, {"platform", "kvm"}, {"no-such-flag", "1"}} {
		if a := newBundle(t, note(c[0], c[1])).run(r, ""); a.code != 1 || strings.Count(a.err, "\n") != 1 || !strings.Contains(a.err, c[0]) {
			t.Errorf("%v: exit code %d\n%s", c, a.code, a.err)
		}
	}
}

// TestOverlay: with an overlay changes stay in memory, as by default with run. What engines
// call is create: by default its changes reach the host.
func TestOverlay(t *testing.T) {
	for _, c := range []struct {
		flags          []string
		create, onHost bool
	}{
		{nil, false, false}, {nil, true, true}, {[]string{"--overlay", "root"}, true, false},
		{[]string{"--overlay", "none"}, false, true}, {[]string{"--overlay", "all"}, false, false},
	} {
		b := newBundle(t, writable, script1("echo new > /etc/made; mkdir /etc/made.d; rm /etc/data; mv /etc/hosts /etc/moved; echo $?"))
		b.privateRoot()
		r := ours(t, c.flags...)
		if c.create {
			id := b.started(r)
			for r.stateOf(t, id).Status != "stopped" {
				time.Sleep(20 * time.Millisecond)
			}
		} else if a := b.run(r, ""); a.out != "0\n" {
			t.Errorf("%v: %s%s", c.flags, a.out, a.err)
		}
		made, err := os.ReadFile(filepath.Join(b.spec.Root.Path, "etc/made"))
		_, gone := os.Stat(filepath.Join(b.spec.Root.Path, "etc/data"))
		if onHost := err == nil && string(made) == "new\n" && gone != nil; onHost != c.onHost {
			t.Errorf("%v, create %v: changes on the host: %v (%v, %v)", c.flags, c.create, onHost, err, gone)
		}
	}
}

// TestBindMounts: directories and files of the host, read-only and not, and a source
// that changes.
func TestBindMounts(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "rw"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	for name, text := range map[string]string{file: "in a file\n", filepath.Join(dir, "rw/there"): "there\n"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b := newBundle(t, writable,
		mount("/mnt/rw", "bind", filepath.Join(dir, "rw"), "rbind", "rw"), mount("/mnt/ro", "bind", filepath.Join(dir, "rw"), "bind", "ro", "nosuid", "nodev"),
		mount("/etc/file", "bind", file, "bind", "ro"),
		script1("cat /etc/file /mnt/rw/there; echo made > /mnt/rw/made; cat /mnt/ro/made; echo no > /mnt/ro/no; echo no > /etc/file; awk '$5 ~ \"^/(mnt|etc)\" { print $5, $6 }' /proc/self/mountinfo; ln -s /etc/passwd /mnt/rw/link; mkdir /mnt/rw/d; chmod 700 /mnt/rw/d; ls /mnt/ro"))
	b.privateRoot()
	var said [2]string
	for i, r := range []*runtimeUnderTest{peerRunc(t), ours(t)} {
		a := b.run(r, "")
		said[i] = a.out + a.err
		if got := readAll(t, filepath.Join(dir, "rw/made")); got != "made\n" {
			t.Errorf("%s: the host has %q", r.name, got)
		}
		if st, err := os.Stat(filepath.Join(dir, "rw/d")); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v %v", r.name, st, err)
		}
		for _, name := range []string{"made", "link", "d"} {
			if err := os.Remove(filepath.Join(dir, "rw", name)); err != nil {
				t.Error(err)
			}
		}
	}
	if said[0] != said[1] {
		t.Errorf("runc:\n%s\nrunsc:\n%s", said[0], said[1])
	}
}

// TestLogFile: --log and --log-format, as containerd reads them.
func TestLogFile(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log.json")
	r := ours(t, "--log", log, "--log-format", "json")
	a := r.do(t, "", "run", "--bundle", "/no/such/bundle", newID())
	var line struct{ Level, Msg, Time string }
	if err := json.Unmarshal([]byte(readAll(t, log)), &line); err != nil || line.Level != "error" || !strings.Contains(line.Msg, "/no/such/bundle") || line.Time == "" {
		t.Errorf("%v: %s", err, readAll(t, log))
	}
	if a.code != 1 || strings.Count(a.err, "\n") != 1 {
		t.Errorf("exit code %d, stderr %q", a.code, a.err)
	}
}

// TestNoHostEnvironment: nothing of runsc's own surroundings is seen inside.
func TestNoHostEnvironment(t *testing.T) {
	r, id := ours(t), newID()
	b := newBundle(t, script1("env; cat /proc/1/environ; ls -l /proc/self/fd /proc/1/cwd"))
	a := r.with(t, func(c *exec.Cmd) { c.Env = append(os.Environ(), "HOST_SECRET=42"); c.Dir = b.dir }, "run", id)
	if a.code != 0 || strings.Contains(a.out, "HOST_SECRET") || strings.Contains(a.out, b.dir) {
		t.Errorf("exit code %d\n%s%s", a.code, a.out, a.err)
	}
	nothingLeft(t, r, id)
}
