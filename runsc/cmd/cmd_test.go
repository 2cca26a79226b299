package cmd

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"lazaret/runsc/sandbox"
	"lazaret/runsc/spec"
)

// runsc runs a command line in this process and returns what it printed.
func runsc(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	read := func(std **os.File) func() string {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		old := *std
		*std = w
		done := make(chan string)
		go func() { data, _ := io.ReadAll(r); r.Close(); done <- string(data) }()
		return func() string { *std = old; w.Close(); return <-done }
	}
	out, err := read(&os.Stdout), read(&os.Stderr)
	code = Main(args)
	return code, out(), err()
}

func badBundle(t *testing.T, change func(s *specs.Spec)) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := spec.Example()
	s.Process.Terminal = false
	change(s)
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Exit codes and messages, as runc's on the same mistakes.
func TestBadInput(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	good := badBundle(t, func(*specs.Spec) {})
	term := badBundle(t, func(s *specs.Spec) { s.Process.Terminal = true })
	for _, tc := range []struct {
		args string
		code int
		want string
	}{
		{"state nox", 1, "container does not exist"},
		{"start nox", 1, "container does not exist"},
		{"kill nox", 1, "container does not exist"},
		{"pause nox", 1, "container does not exist"},
		{"resume nox", 1, "container does not exist"},
		{"ps nox", 1, "container does not exist"},
		{"events nox", 1, "container does not exist"},
		{"update nox", 1, "container does not exist"},
		{"wait nox", 1, "container does not exist"},
		{"delete nox", 1, "container does not exist"},
		{"delete --force nox", 0, ""},
		{"delete -f ../x", 1, "invalid container ID format"},
		{"exec nox true", 255, "exec failed: container does not exist"},
		{"exec", 1, `runsc: \"exec\" requires a minimum of 1 argument(s)`},
		{"create", 1, `runsc: \"create\" requires exactly 1 argument(s)`},
		{"create a b", 1, `requires exactly 1 argument(s)`},
		{"run --bundle /nope x", 1, "runsc run failed: bundle /nope"},
		{"run -b " + good + " a/b", 1, "invalid container ID format"},
		{"create -b " + term + " x", 1, "cannot allocate tty if runsc will detach without setting console socket"},
		{"create --console-socket /nosock -b " + term + " x", 1, "dial unix /nosock"},
		{"create --console-socket /nosock -b " + good + " x", 1, "cannot use console socket"},
		{"run --preserve-fds 300 -b " + good + " x", 1, "--preserve-fds"},
		{"list --format yaml", 1, "invalid format option"},
		{"--log-format xml list", 1, "invalid log-format"},
		{"--rootless maybe list", 1, "--rootless"},
		{"--platform warp list", 1, "--platform"},
		{"--overlay some list", 1, "--overlay"},
		{"frobnicate", 3, "No help topic for 'frobnicate'"},
		{"list --nope", 1, "unknown flag: --nope"},
		{"debug x", 1, "say what to show"},
		{"do --volume x ls", 1, "--volume"},
		{"do --memory lots ls", 1, "--memory"},
	} {
		code, _, stderr := runsc(t, append([]string{"--root", root}, strings.Fields(tc.args)...)...)
		if code != tc.code || !strings.Contains(stderr, tc.want) {
			t.Errorf("runsc %s: exit %d, stderr %q, want %d and %q", tc.args, code, stderr, tc.code, tc.want)
		}
		if n := strings.Count(stderr, "\n"); n > 1 {
			t.Errorf("runsc %s: %d lines of error", tc.args, n)
		}
	}
	if entries, err := os.ReadDir(root); err == nil && len(entries) > 0 {
		t.Errorf("left in the root: %v", entries)
	}
}

func TestLogFile(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	_, _, stderr := runsc(t, "--root", t.TempDir(), "--log", log, "--log-format", "json", "state", "nox")
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var line struct{ Level, Msg string }
	if err := json.Unmarshal(data, &line); err != nil || line.Level != "error" || line.Msg != "container does not exist" {
		t.Errorf("log = %s (%v)", data, err)
	}
	if stderr != "container does not exist\n" {
		t.Errorf("stderr = %q", stderr)
	}
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if got, want := formatLine(when, "error", `a "b"`, false), "time=\"2026-01-02T03:04:05Z\" level=error msg=\"a \\\"b\\\"\"\n"; got != want {
		t.Errorf("text line = %q, want %q", got, want)
	}
}

func TestSpecAndFeatures(t *testing.T) {
	dir := t.TempDir()
	if code, _, stderr := runsc(t, "spec", "-b", dir); code != 0 {
		t.Fatal(stderr)
	}
	if code, _, stderr := runsc(t, "spec", "-b", dir); code != 1 || !strings.Contains(stderr, "File config.json exists. Remove it first") {
		t.Errorf("second spec: %d %q", code, stderr)
	}
	_, out, _ := runsc(t, "features")
	var f struct{ OCIVersionMin, OCIVersionMax string }
	if err := json.Unmarshal([]byte(out), &f); err != nil || f.OCIVersionMin != "1.0.0" || f.OCIVersionMax != "1.3.0" {
		t.Errorf("features = %+v, %v", f, err)
	}
}

func TestParseSignal(t *testing.T) {
	for s, want := range map[string]unix.Signal{
		"9": 9, "KILL": 9, "SIGKILL": 9, "term": 15, "SIGUSR1": 10, "0": 0, "64": 64, "34": 34,
	} {
		if got, err := parseSignal(s); err != nil || got != want {
			t.Errorf("parseSignal(%q) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"FOO", "99", "-9", "", "SIG"} {
		if _, err := parseSignal(s); err == nil {
			t.Errorf("parseSignal(%q) succeeded", s)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for s, want := range map[string]int64{"1": 1, "-1": -1, "512m": 512 << 20, "2GiB": 2 << 30, "1k": 1024, "3KB": 3072} {
		if got, err := parseBytes(s); err != nil || got != want {
			t.Errorf("parseBytes(%q) = %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "x", "-2", "9999999999g", "1.5g", "m"} {
		if n, err := parseBytes(s); err == nil {
			t.Errorf("parseBytes(%q) = %d", s, n)
		}
	}
}

func TestAnnotations(t *testing.T) {
	given := func(name string) bool { return name == "overlay" }
	f := sandbox.Flags{Overlay: "none", Network: "sandbox"}
	err := applyAnnotations(&f, map[string]string{"dev.lazaret.strace": "true", "dev.lazaret.overlay": "all",
		"dev.lazaret.network": "none", "other": "x"}, given)
	if err != nil || !f.Strace || f.Overlay != "none" || f.Network != "none" {
		t.Errorf("flags = %+v, %v", f, err)
	}
	for key, value := range map[string]string{
		"network": "user", "publish": "80", "network-host-loopback": "true", "overlay": "none", "host-uds": "true", "strace-log": "/etc/passwd", "debug-log": "/x",
		"platform": "ptrace", "unknown": "1", "strace": "maybe",
	} {
		f := sandbox.Flags{}
		if err := applyAnnotations(&f, map[string]string{annotationPrefix + key: value}, given); err == nil || !reflect.DeepEqual(f, sandbox.Flags{}) {
			t.Errorf("annotation %s=%s: %v, %+v", key, value, err, f)
		}
	}
}

func TestExecProcess(t *testing.T) {
	base := spec.Example().Process
	e := &execFlags{user: "7:8", gids: []uint{9}, env: []string{"A=b"}, cwd: "/x", caps: []string{"CAP_CHOWN"}, tty: true}
	p, err := e.build(base, []string{"ls", "-l"})
	if err != nil {
		t.Fatal(err)
	}
	if p.User.UID != 7 || p.User.GID != 8 || !slices.Equal(p.User.AdditionalGids, []uint32{9}) || p.Cwd != "/x" || !p.Terminal ||
		p.Env[len(p.Env)-1] != "A=b" || !slices.Contains(p.Capabilities.Effective, "CAP_CHOWN") {
		t.Errorf("process = %+v", p)
	}
	if slices.Contains(base.Capabilities.Effective, "CAP_CHOWN") || len(base.Env) != 2 {
		t.Error("the container's own process was changed")
	}
	for name, bad := range map[string]*execFlags{"user": {user: "root"}, "gid": {user: "1:x"}, "env": {env: []string{"X"}},
		"label": {label: "x"}, "cgroup": {cgroup: "x"}, "cwd": {cwd: "rel"}} {
		if _, err := bad.build(base, []string{"ls"}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := (&execFlags{}).build(base, nil); err == nil || err.Error() != "process args cannot be empty" {
		t.Errorf("no args: %v", err)
	}
}

func TestDoSpec(t *testing.T) {
	d := &doFlags{env: []string{"A=b"}, volumes: []string{"/tmp:/x:ro"}, memory: "64m", pids: 5, cpus: 0.5, tty: "no", root: "/", cwd: "/"}
	s, err := d.spec([]string{"ls"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := spec.Validate(s, "/"); err != nil {
		t.Error(err)
	}
	m := s.Mounts[len(s.Mounts)-1]
	if m.Destination != "/x" || !slices.Contains(m.Options, "ro") || *s.Linux.Resources.CPU.Quota != 50000 {
		t.Errorf("mount %+v, resources %+v", m, s.Linux.Resources)
	}
}

// Every command of runc that we take has every flag of runc's.
func TestRuncFlags(t *testing.T) {
	root := (&app{log: newLogger()}).rootCommand()
	for name, flags := range map[string]string{
		"create": "bundle console-socket pid-file no-pivot no-new-keyring preserve-fds",
		"run":    "bundle console-socket detach keep pid-file no-subreaper no-pivot no-new-keyring preserve-fds",
		"delete": "force",
		"events": "interval stats",
		"exec": "console-socket cwd env tty user additional-gids process detach pid-file process-label apparmor " +
			"no-new-privs cap preserve-fds cgroup ignore-paused",
		"kill": "all", "list": "format quiet", "ps": "format", "spec": "bundle rootless",
		"pause": "", "resume": "", "start": "", "state": "", "features": "",
		"update": "resources blkio-weight cpu-period cpu-quota cpu-share cpu-rt-period cpu-rt-runtime cpuset-cpus " +
			"cpuset-mems memory memory-reservation memory-swap pids-limit l3-cache-schema mem-bw-schema",
	} {
		c, _, err := root.Find([]string{name})
		if err != nil || c.Name() != name {
			t.Errorf("no command %s", name)
			continue
		}
		for _, f := range strings.Fields(flags) {
			if c.Flags().Lookup(f) == nil {
				t.Errorf("%s has no --%s", name, f)
			}
		}
	}
	for _, f := range strings.Fields("debug log log-format root criu systemd-cgroup rootless") {
		if root.PersistentFlags().Lookup(f) == nil {
			t.Errorf("no global --%s", f)
		}
	}
}

func TestMergeStatsShape(t *testing.T) {
	var buf bytes.Buffer
	if err := json.NewEncoder(&buf).Encode(&event{Type: "stats", ID: "x", Data: &eventData{}}); err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(buf.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	data, _ := m["data"].(map[string]any)
	want := []string{"blkio", "cpu", "hugetlb", "memory", "pids"}
	if got := slices.Sorted(maps.Keys(data)); !slices.Equal(got, want) {
		t.Errorf("keys of data = %v, want %v", got, want)
	}
}
