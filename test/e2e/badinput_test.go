package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// badCase is something wrong: one line says what, why and what to do, with runc's exit
// code, and nothing is left.
type badCase struct {
	name string
	edit func(s *specs.Spec)
	text string   // in place of config.json
	args []string // in place of run --bundle; ID and BUNDLE stand for what they say
	env  []string
	says []string // all must be in the line
	code int      // 0: 1

	// noRunc says why runc has another exit code or accepts it.
	noRunc string
	usage  bool // prints its help too
}

var badCases = []badCase{
	{name: "no bundle", args: []string{"run", "--bundle", "/no/such/dir", "ID"}, says: []string{"/no/such/dir"}},
	{name: "bundle is a file", args: []string{"run", "--bundle", "/etc/passwd", "ID"}, says: []string{"/etc/passwd", "not a directory"}},
	{name: "no config.json", args: []string{"run", "--bundle", "/proc", "ID"}, says: []string{"config.json", "not found", "runsc spec"}},
	{name: "no id", args: []string{"run", "--bundle", "BUNDLE"}, says: []string{"requires exactly 1 argument"}, usage: true},
	{name: "bad id", args: []string{"run", "--bundle", "BUNDLE", "../ID"}, says: []string{"invalid container ID"}},
	{name: "id with a slash", args: []string{"run", "--bundle", "BUNDLE", "a/ID"}, says: []string{"invalid container ID"}},
	{name: "long id", args: []string{"run", "--bundle", "BUNDLE", strings.Repeat("x", 300)}, says: []string{"invalid container ID"}},
	{name: "unknown command", args: []string{"florp"}, says: []string{"florp"}, code: 3},
	{name: "unknown flag", args: []string{"run", "--florp", "ID"}, says: []string{"florp"}, usage: true},
	{name: "unknown global flag", args: []string{"--florp", "list"}, says: []string{"florp"}, usage: true},
	{name: "bad log format", args: []string{"--log-format", "xml", "list"}, says: []string{"log-format", "text or json"}},
	{name: "bad overlay", args: []string{"--overlay", "some", "list"}, says: []string{"--overlay", "root, all, none"}, noRunc: "no such flag"},
	{name: "systemd cgroups", args: []string{"--systemd-cgroup", "run", "--bundle", "BUNDLE", "ID"},
		edit: func(s *specs.Spec) { s.Linux.CgroupsPath = "no-slice" }, says: []string{"systemd cgroups"}}, // also where there is one
	{name: "bad preserve-fds", args: []string{"run", "--preserve-fds", "7", "--bundle", "BUNDLE", "ID"}, says: []string{"preserved-fd"}},
	{name: "pid file nowhere", args: []string{"run", "--pid-file", "/no/such/dir/pid", "--bundle", "BUNDLE", "ID"}, says: []string{"--pid-file", "/no/such/dir"}},
	{name: "log nowhere", args: []string{"--log", "/no/such/dir/log", "run", "--bundle", "BUNDLE", "ID"}, says: []string{"--log", "/no/such/dir"}},

	{name: "empty config", text: " ", says: []string{"config.json", "empty"}},
	{name: "malformed config", text: "{\"ociVersion\": \"1.0.2\",\n  \"process\": }", says: []string{"line 2", "malformed JSON"}},
	{name: "cut config", text: `{"ociVersion": "1.0.2", "process": {`, says: []string{"ends in the middle"}},
	{name: "config is a list", text: `[]`, says: []string{"want"}},
	{name: "wrong type", text: `{"ociVersion": "1.0.2", "process": {"args": "sh"}}`, says: []string{"process.args"}},
	{name: "huge config", text: `{"ociVersion": "` + strings.Repeat("1", 17<<20) + `"}`, says: []string{"16 MiB"}},
	{name: "no version", edit: func(s *specs.Spec) { s.Version = "" }, says: []string{"ociVersion", "missing"}, noRunc: "accepts it"},
	{name: "other version", edit: func(s *specs.Spec) { s.Version = "2.0.0" }, says: []string{"ociVersion", "2.0.0", "1.3.0"}, noRunc: "accepts it"},
	{name: "no process", edit: func(s *specs.Spec) { s.Process = nil }, says: []string{"process", "missing"}},
	{name: "no root", edit: func(s *specs.Spec) { s.Root = nil }, says: []string{"root"}},
	{name: "root is not there", edit: func(s *specs.Spec) { s.Root.Path = "/no/such/root" }, says: []string{"root.path", "/no/such/root", "no such file"}},
	{name: "root is a file", edit: func(s *specs.Spec) { s.Root.Path = "/etc/passwd" }, says: []string{"root.path", "not a directory"}},
	{name: "no arguments", edit: func(s *specs.Spec) { s.Process.Args = nil }, says: []string{"process.args"}},
	{name: "relative cwd", edit: func(s *specs.Spec) { s.Process.Cwd = "tmp" }, says: []string{"process.cwd", "absolute"}},
	{name: "cwd is a file", edit: func(s *specs.Spec) { s.Process.Cwd = "/etc/data" }, says: []string{"/etc/data", "not a directory"}},
	{name: "program is not in PATH", edit: func(s *specs.Spec) { s.Process.Args = []string{"florp"} }, says: []string{"florp", "executable file not found in $PATH"}},
	{name: "program is not there", edit: func(s *specs.Spec) { s.Process.Args = []string{"/bin/florp"} }, says: []string{"/bin/florp", "no such file or directory"}},
	{name: "program is a directory", edit: func(s *specs.Spec) { s.Process.Args = []string{"/etc"} }, says: []string{"/etc"}},
	{name: "program is not executable", edit: func(s *specs.Spec) { s.Process.Args = []string{"/etc/data"} }, says: []string{"/etc/data", "permission denied"}},
	{name: "wrong architecture", edit: func(s *specs.Spec) { s.Process.Args = []string{"/bin/arm"} }, says: []string{"/bin/arm", "exec format error"}},
	{name: "no interpreter", edit: func(s *specs.Spec) { s.Process.Args = []string{"/bin/nointerp"} }, says: []string{"/bin/nointerp", "no such file or directory"}},
	{name: "program is text", edit: func(s *specs.Spec) { s.Process.Args = []string{"/bin/text"} }, says: []string{"/bin/text", "exec format error"}},
	{name: "NUL in arguments", edit: func(s *specs.Spec) { s.Process.Args = []string{"a\x00b"} }, says: []string{"process.args[0]", "NUL"}},
	{name: "unknown rlimit", edit: func(s *specs.Spec) {
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_FLORP", Soft: 1, Hard: 1}}
	}, says: []string{"process.rlimits[0]", "RLIMIT_FLORP"}},
	{name: "unmapped user", edit: all(user(5000, 5000), func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 10}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
	}), says: []string{"process.user.uid", "5000"}},
	{name: "unknown namespace", edit: func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: "florp"})
	}, says: []string{"linux.namespaces", "florp"}},
	{name: "unknown file system", edit: mount("/m", "florpfs", "florp"), says: []string{"mounts[6]", "florpfs"}},
	{name: "bind of nothing", edit: mount("/m", "bind", "/no/such/source", "bind"), says: []string{"mounts[6]", "/no/such/source", "no such file"}},
	{name: "device of the host", edit: devices(specs.LinuxDevice{Path: "/dev/sda", Type: "b", Major: 8, Minor: 0}), says: []string{"linux.devices[0]", "/dev/sda"}, noRunc: "makes the node"},
	{name: "sysctl of the host", edit: func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"vm.swappiness": "1"} }, says: []string{"vm.swappiness"}},
	{name: "bad seccomp action", edit: seccomp("SCMP_ACT_FLORP"), says: []string{"linux.seccomp.defaultAction", "SCMP_ACT_FLORP"}},
	{name: "seccomp notify", edit: seccomp(specs.ActAllow, specs.LinuxSyscall{Names: []string{"mkdir"}, Action: specs.ActNotify}), says: []string{"SCMP_ACT_NOTIFY"}, noRunc: "wants a listener"},
	{name: "SELinux label", edit: func(s *specs.Spec) { s.Process.SelinuxLabel = "system_u:object_r:x:s0" }, says: []string{"process.selinuxLabel"}},
	{name: "Intel RDT", edit: func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{ClosID: "x"} }, says: []string{"linux.intelRdt"}, noRunc: "takes it where there is no RDT"},
	{name: "relative hook", edit: func(s *specs.Spec) { s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "florp"}}} }, says: []string{"hooks.poststop[0].path", "absolute"}, noRunc: "looks at it later"},
	{name: "cgroup path climbs", edit: func(s *specs.Spec) { s.Linux.CgroupsPath = "/a/../../b" }, says: []string{"linux.cgroupsPath", ".."}, noRunc: "cleans it"},
	{name: "memory limit too small to start", edit: func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(4096))}}
	}, says: []string{"memory"}},

	{name: "state of nothing", args: []string{"state", "ID"}, says: []string{"container does not exist"}},
	{name: "start of nothing", args: []string{"start", "ID"}, says: []string{"container does not exist"}},
	{name: "kill of nothing", args: []string{"kill", "ID", "KILL"}, says: []string{"container does not exist"}},
	{name: "delete of nothing", args: []string{"delete", "ID"}, says: []string{"container does not exist"}},
	{name: "ps of nothing", args: []string{"ps", "ID"}, says: []string{"container does not exist"}},
	{name: "exec in nothing", args: []string{"exec", "ID", "true"}, says: []string{"container does not exist"}, code: 255, noRunc: "1.1 says 1"},
	{name: "bad update", args: []string{"update", "--memory", "lots", "ID"}, says: []string{"does not exist"}},
	{name: "state without id", args: []string{"state"}, says: []string{"requires exactly 1 argument"}, usage: true},
	{name: "state in a file", args: []string{"--root", "/etc/passwd", "run", "--bundle", "BUNDLE", "ID"}, says: []string{"/etc/passwd", "not a directory"}},
}

// badRoot is a root with programs that cannot run.
func badRoot(t *testing.T, b *bundle) {
	t.Helper()
	b.privateRoot()
	elf, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	arm := append([]byte{}, elf[:4096]...)
	arm[18], arm[19] = 183, 0 // e_machine: EM_AARCH64
	dynamic, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"arm": arm, "nointerp": dynamic, "text": []byte("just text\n")} {
		if err := os.WriteFile(filepath.Join(b.spec.Root.Path, "bin", name), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBadInput is the table.
func TestBadInput(t *testing.T) {
	cases := slices.Concat(badCases, badMoreCases)
	for i := range cases {
		c := &cases[i]
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			badRoot(t, b)
			if c.edit != nil {
				c.edit(b.spec)
			}
			b.write()
			if c.text != "" {
				if err := os.WriteFile(filepath.Join(b.dir, "config.json"), []byte(c.text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			r := ours(t)
			a := c.ask(t, r, b)
			c.judge(t, a)
			emptyState(t, r)
			if c.noRunc != "" || c.code == 3 {
				return
			}
			if got := c.ask(t, peerRunc(t), b); got.code != a.code {
				t.Errorf("exit code %d, runc's is %d (%s)", a.code, got.code, strings.TrimSpace(got.err))
			}
		})
	}
}

func (c *badCase) ask(t *testing.T, r *runtimeUnderTest, b *bundle) answer {
	t.Helper()
	id, args := newID(), c.args
	if args == nil {
		args = []string{"run", "--bundle", "BUNDLE", "ID"}
	}
	words := strings.NewReplacer("BUNDLE", b.dir, "ID", id)
	var line []string
	for _, a := range args {
		line = append(line, words.Replace(a))
	}
	a := r.with(t, func(cmd *exec.Cmd) { cmd.Env = append(os.Environ(), c.env...) }, line...)
	nothingLeft(t, r, id)
	return a
}

// judge checks the exit code and the one line.
func (c *badCase) judge(t *testing.T, a answer) {
	t.Helper()
	want := max(c.code, 1)
	if a.code != want {
		t.Errorf("exit code %d, want %d", a.code, want)
	}
	if strings.Count(a.err, "\n") != 1 || !strings.HasSuffix(a.err, "\n") {
		t.Errorf("not one line on stderr: %.2000q", a.err)
	}
	if a.out != "" && !c.usage {
		t.Errorf("stdout: %.500q", a.out)
	}
	if len(a.err) > 2000 {
		t.Errorf("the line has %d bytes", len(a.err))
	}
	for _, s := range c.says {
		if !strings.Contains(strings.ReplaceAll(a.err, `\"`, `"`), s) {
			t.Errorf("does not say %q: %.2000s", s, a.err)
		}
	}
}

// TestDuplicateID: the first container stays as it is.
func TestDuplicateID(t *testing.T) {
	r, b := ours(t), newBundle(t, forever)
	id := b.started(r)
	if a := r.do(t, "", "run", "--bundle", b.dir, id); a.code != 1 || !strings.Contains(a.err, "already exists") || strings.Count(a.err, "\n") != 1 {
		t.Errorf("exit code %d\n%s", a.code, a.err)
	}
	if st := r.stateOf(t, id); st.Status != "running" {
		t.Errorf("the first is %s", st.Status)
	}
	r.do(t, "", "exec", id, "true").must(t, "exec")
}

// TestDeadSandbox: a container whose sandbox was killed is stopped, says so, and can be
// deleted.
func TestDeadSandbox(t *testing.T) {
	r := ours(t)
	id := newBundle(t, forever).started(r)
	if err := unix.Kill(r.stateOf(t, id).PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.awaitStatus(t, id, "stopped")
	for _, args := range [][]string{{"exec", id, "true"}, {"kill", id, "TERM"}, {"pause", id}, {"start", id}, {"events", "--stats", id}} {
		if a := r.do(t, "", args...); a.code == 0 || strings.Count(a.err, "\n") != 1 || a.out != "" {
			t.Errorf("%v: exit code %d\n%s%s", args, a.code, a.out, a.err)
		}
	}
	r.do(t, "", "delete", id).must(t, "delete")
	nothingLeft(t, r, id)
}

// TestStoppedSandbox: a Sentry that does not answer keeps nobody waiting for ever, and
// delete --force ends it.
func TestStoppedSandbox(t *testing.T) {
	r := ours(t)
	id := newBundle(t, forever).started(r)
	pid := r.stateOf(t, id).PID
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if a := r.do(t, "", "events", "--stats", id); strings.Count(a.out+a.err, "\n") != 1 {
		t.Errorf("events: exit code %d\n%s%s", a.code, a.out, a.err)
	}
	if a := r.do(t, "", "kill", id, "KILL"); a.code != 0 {
		t.Errorf("kill: exit code %d %s", a.code, a.err)
	}
	r.awaitStatus(t, id, "stopped")
	r.do(t, "", "delete", id).must(t, "delete")
	nothingLeft(t, r, id)
}

// TestFullDisk: no room for the state.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("lze2e-full", dir, "tmpfs", 0, "size=16k"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 12<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	r := ours(t)
	r.state = filepath.Join(dir, "state")
	b := newBundle(t, func(s *specs.Spec) { s.Annotations = map[string]string{"large": strings.Repeat("x", 20<<10)} })
	id := newID()
	a := r.do(t, "", "run", "--bundle", b.dir, id)
	if a.code != 1 || strings.Count(a.err, "\n") != 1 || !strings.Contains(a.err, "no space left on device") {
		t.Errorf("exit code %d\n%s", a.code, a.err)
	}
	emptyState(t, r)
	nothingLeft(t, r, id)
}

// TestDamagedState: a state.json that cannot be read is named, and delete --force removes it.
func TestDamagedState(t *testing.T) {
	r := ours(t)
	if err := os.MkdirAll(filepath.Join(r.state, "damaged"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.state, "damaged", "state.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"state", "damaged"}, {"start", "damaged"}, {"delete", "damaged"}} {
		if a := r.do(t, "", args...); a.code != 1 || strings.Count(a.err, "\n") != 1 || !strings.Contains(a.err, "delete --force") {
			t.Errorf("%v: exit code %d\n%s", args, a.code, a.err)
		}
	}
	if a := r.do(t, "", "list"); a.code != 0 || !strings.Contains(a.err, "damaged") {
		t.Errorf("list: exit code %d\n%s", a.code, a.err)
	}
	r.do(t, "", "delete", "--force", "damaged").must(t, "delete --force")
	emptyState(t, r)
}

// TestNotRoot: who may not do it is told so in one line.
func TestNotRoot(t *testing.T) {
	r, b := ours(t), newBundle(t)
	// A directory that the user cannot enter holds the bundle.
	a := r.with(t, func(c *exec.Cmd) {
		c.Path, c.SysProcAttr = "/usr/bin/setpriv", nil
		c.Args = append([]string{"setpriv", "--reuid=4242", "--regid=4242", "--clear-groups", "--", r.bin}, c.Args[1:]...)
	}, "run", "--bundle", b.dir, newID())
	if a.code == 0 || strings.Count(a.err, "\n") != 1 || !strings.Contains(a.err, "permission denied") {
		t.Errorf("exit code %d\n%s", a.code, a.err)
	}
}

// TestNoProgram: a file that is found and cannot be executed is the end of a process that was
// started, as with runc: it says so on its standard error and its status is 1.
func TestNoProgram(t *testing.T) {
	for _, r := range []*runtimeUnderTest{peerRunc(t), ours(t)} {
		b := newBundle(t, func(s *specs.Spec) { s.Process.Args = []string{"arm"} })
		badRoot(t, b)
		b.write()
		id := newID()
		const want = "exec /bin/arm: exec format error\n"
		errFile := filepath.Join(t.TempDir(), "err")
		f, err := os.Create(errFile)
		if err != nil {
			t.Fatal(err)
		}
		toFile := func(c *exec.Cmd) { c.Stdout, c.Stderr = nil, f }
		if a := r.with(t, toFile, "create", "--bundle", b.dir, id); a.code != 0 {
			t.Fatalf("%s create: exit code %d\n%s", r.name, a.code, readAll(t, errFile))
		}
		if st := r.stateOf(t, id); st.Status != "created" {
			t.Errorf("%s: %s after create", r.name, st.Status)
		}
		r.do(t, "", "start", id).must(t, "start")
		r.awaitStatus(t, id, "stopped")
		f.Close()
		if got := readAll(t, errFile); got != want {
			t.Errorf("%s: its standard error has %q, want %q", r.name, got, want)
		}
		r.do(t, "", "delete", id).must(t, "delete")
		nothingLeft(t, r, id)

		b = newBundle(t, forever)
		badRoot(t, b)
		b.write()
		id = b.started(r)
		if a := r.do(t, "", "exec", id, "/bin/nointerp"); a.code != 1 || a.err != "exec /bin/nointerp: no such file or directory\n" {
			t.Errorf("%s exec: exit code %d %q", r.name, a.code, a.err)
		}
		if a := r.do(t, "", "exec", id, "/bin/florp"); a.code != 255 || strings.HasPrefix(a.err, "exec ") {
			t.Errorf("%s exec of nothing: exit code %d %q", r.name, a.code, a.err)
		}
		r.do(t, "", "delete", "--force", id).must(t, "delete")
	}
}

// withoutCall runs a program for which a system call is not there, as on an older host.
const withoutCall = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
code = b"".join(struct.pack("HBBI", *i) for i in ((0x20, 0, 0, 0), (0x15, 0, 1, int(sys.argv[1])), (6, 0, 0, 0x50026), (6, 0, 0, 0x7fff0000)))
buf = ctypes.create_string_buffer(code)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, struct.pack("HxxxxxxQ", 4, ctypes.addressof(buf)), 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
os.execv(sys.argv[2], sys.argv[2:])
`

// TestNoPidfd: a host before Linux 5.3 is refused before anything is made on it.
func TestNoPidfd(t *testing.T) {
	r := ours(t)
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal(err)
	}
	a := r.with(t, func(c *exec.Cmd) {
		c.Args = append([]string{"python3", "-c", withoutCall, strconv.Itoa(unix.SYS_PIDFD_OPEN), c.Path}, c.Args[1:]...)
		c.Path = python
	}, "do", "true")
	if a.code != 1 || strings.Count(a.err, "\n") != 1 || !strings.Contains(a.err, "pidfd_open") || !strings.Contains(a.err, "5.3") {
		t.Errorf("exit code %d\n%s", a.code, a.err)
	}
	emptyState(t, r)
}
