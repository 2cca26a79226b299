package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/test/internal/harness"
)

// commandLimit bounds one command of a runtime: nothing here takes seconds unless it hangs.
const commandLimit = 60 * time.Second

// runtimeUnderTest is a runtime with a state directory of its own.
type runtimeUnderTest struct {
	name  string
	bin   string
	state string
	flags []string // global ones
}

func ours(t *testing.T, flags ...string) *runtimeUnderTest {
	t.Helper()
	r := &runtimeUnderTest{"runsc", harness.Runsc(t), filepath.Join(t.TempDir(), "state"), flags}
	t.Cleanup(func() {
		if t.Failed() {
			r.deleteAll()
		}
	})
	return r
}

// deleteAll removes what a test that gave up has left.
func (r *runtimeUnderTest) deleteAll() {
	entries, _ := os.ReadDir(r.state)
	for _, e := range entries {
		ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
		_ = r.command(ctx, "delete", "--force", e.Name()).Run() // also what is no container
		cancel()
	}
}

func peerRunc(t *testing.T) *runtimeUnderTest {
	t.Helper()
	bin, err := exec.LookPath("runc")
	if err != nil {
		t.Fatalf("%v: run tools/deps.sh first", err)
	}
	return &runtimeUnderTest{"runc", bin, filepath.Join(t.TempDir(), "state"), nil}
}

// crunScript starts crun where no version 2 hierarchy is mounted beside those of version 1,
// which it refuses.
const crunScript = `#!/bin/sh
exec unshare --mount --propagation private sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec crun "$@"' crun "$@"
`

func peerCrun(t *testing.T) *runtimeUnderTest {
	t.Helper()
	if _, err := exec.LookPath("crun"); err != nil {
		t.Fatalf("%v: run tools/deps.sh first", err)
	}
	bin := filepath.Join(t.TempDir(), "crun")
	if err := os.WriteFile(bin, []byte(crunScript), 0o755); err != nil {
		t.Fatal(err)
	}
	return &runtimeUnderTest{"crun", bin, filepath.Join(t.TempDir(), "state"), nil}
}

// answer is what a command said.
type answer struct {
	out, err string
	code     int
}

// command prepares a command of the runtime.
func (r *runtimeUnderTest) command(ctx context.Context, args ...string) *exec.Cmd {
	all := append([]string{"--root", r.state}, r.flags...)
	cmd := exec.CommandContext(ctx, r.bin, append(all, args...)...)
	cmd.Dir = "/"
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// do runs a command with pipes and says what came back.
func (r *runtimeUnderTest) do(t *testing.T, stdin string, args ...string) answer {
	t.Helper()
	return r.with(t, func(c *exec.Cmd) { c.Stdin = strings.NewReader(stdin) }, args...)
}

func (r *runtimeUnderTest) with(t *testing.T, edit func(*exec.Cmd), args ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := r.command(ctx, args...)
	var out, errb bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errb
	edit(cmd)
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("%s %v: %v", r.name, args, err)
	}
	if ctx.Err() != nil {
		t.Errorf("%s %v: did not end", r.name, args)
	}
	return answer{out.String(), errb.String(), exitCode(cmd.ProcessState)}
}

// detached runs a command whose container keeps the standard files: they are files here,
// so that the end of the command is not the end of its container.
func (r *runtimeUnderTest) detached(t *testing.T, args ...string) answer {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	a := r.detachedTo(t, out, args...)
	a.out = readAll(t, out)
	return a
}

// detachedTo is detached with a name for the standard output.
func (r *runtimeUnderTest) detachedTo(t *testing.T, out string, args ...string) answer {
	t.Helper()
	open := func(name string) *os.File {
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	outf, errf := open(out), open(filepath.Join(t.TempDir(), "err"))
	defer outf.Close()
	defer errf.Close()
	a := r.with(t, func(c *exec.Cmd) { c.Stdout, c.Stderr = outf, errf }, args...)
	a.err = readAll(t, errf.Name())
	return a
}

func readAll(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// exitCode is what a shell would show.
func exitCode(ps *os.ProcessState) int {
	if ws, ok := ps.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ps.ExitCode()
}

// must fails the test unless the command succeeded.
func (a answer) must(t *testing.T, what string) answer {
	t.Helper()
	if a.code != 0 {
		t.Fatalf("%s: exit code %d\n%s%s", what, a.code, a.out, a.err)
	}
	return a
}

// idCount makes ids that no other test on this machine has: what is left of one is found
// by its name.
var idCount atomic.Int64

func newID() string { return fmt.Sprintf("%s%d-%d", idPrefix, os.Getpid(), idCount.Add(1)) }

const idPrefix = "lze2e-"

// rootfsMade is what TestMain removes.
var rootfsMade atomic.Pointer[string]

// rootfs is a directory with a static busybox under all its names, made once.
var rootfs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "lze2e-rootfs-")
	if err != nil {
		return "", err
	}
	rootfsMade.Store(&dir)
	script := `set -e; chmod 751 "$0"; cd "$0"; mkdir -p bin etc tmp proc sys dev root var; chmod 1777 tmp; cp /bin/busybox bin/
for a in $(busybox --list); do [ $a = busybox ] || ln -s busybox bin/$a; done
echo root:x:0:0:root:/root:/bin/sh > etc/passwd; echo user:x:1000:1000::/home/user:/bin/sh >> etc/passwd
echo root:x:0: > etc/group; : > etc/hosts; echo data > etc/data; mkdir etc/dir; echo in > etc/dir/file`
	if out, err := exec.Command("sh", "-c", script, dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

// bundle is a bundle directory.
type bundle struct {
	t    *testing.T
	dir  string
	spec *specs.Spec
}

// newBundle makes a bundle over a root of its own or, with shared, over everybody's.
func newBundle(t *testing.T, edits ...func(*specs.Spec)) *bundle {
	t.Helper()
	root, err := rootfs()
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{t, t.TempDir(), baseSpec(root)}
	// Mapped users must reach it.
	if err := os.Chmod(filepath.Dir(b.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		e(b.spec)
	}
	b.write()
	return b
}

func (b *bundle) write() {
	b.t.Helper()
	data, err := json.MarshalIndent(b.spec, "", "\t")
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "config.json"), data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// baseSpec is what runc spec gives, with the capabilities that docker gives.
func baseSpec(root string) *specs.Spec {
	caps := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
		"CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_MKNOD", "CAP_SYS_CHROOT"}
	ns := []specs.LinuxNamespace{}
	for _, n := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.MountNamespace, specs.NetworkNamespace} {
		ns = append(ns, specs.LinuxNamespace{Type: n})
	}
	return &specs.Spec{
		Version: "1.0.2",
		Process: &specs.Process{
			Args: []string{"true"}, Cwd: "/", Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"},
			Capabilities: &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
		},
		Root: &specs.Root{Path: root, Readonly: true}, Hostname: "box",
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
			{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
			{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"mode=1777"}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		},
		Linux: &specs.Linux{Namespaces: ns},
	}
}

// script makes the container run a shell script.
func script1(text string) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Process.Args = []string{"sh", "-c", text} }
}

// run runs the bundle in the foreground under a new id and checks that nothing is left.
func (b *bundle) run(r *runtimeUnderTest, stdin string) answer {
	b.t.Helper()
	id := newID()
	a := r.do(b.t, stdin, "run", "--bundle", b.dir, id)
	b.t.Cleanup(func() { nothingLeft(b.t, r, id) })
	return a
}

// leftovers are what an id has left on the machine.
func leftovers(r *runtimeUnderTest, id string) []string {
	var left []string
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		cmdline, _ := os.ReadFile(p + "/cmdline")
		groups, _ := os.ReadFile(p + "/cgroup")
		if bytes.Contains(groups, []byte("/"+id+"\n")) || bytes.Contains(append(bytes.ReplaceAll(cmdline, []byte{0}, []byte(" ")), ' '), []byte(" "+id+" ")) {
			if state := procState(p); state != "Z" && state != "" {
				left = append(left, fmt.Sprintf("process %s (%s) %s", filepath.Base(p), state, bytes.ReplaceAll(cmdline, []byte{0}, []byte(" "))))
			}
		}
	}
	for _, g := range cgroupsOf(id) {
		left = append(left, "cgroup "+g)
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, id) || strings.Contains(line, r.state) {
			left = append(left, "mount "+strings.TrimSpace(line))
		}
	}
	entries, _ := os.ReadDir(r.state)
	for _, e := range entries {
		if strings.Contains(e.Name(), id) {
			left = append(left, "state "+e.Name())
		}
	}
	return left
}

// cgroupsOf finds the control groups that are named after a container.
func cgroupsOf(id string) []string {
	var found []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == id {
			found = append(found, path)
		}
		return nil
	})
	return found
}

// cgroupFile reads a file of the container's groups: by its name in v1 or in v2.
func cgroupFile(t *testing.T, id, v1, v2 string) string {
	t.Helper()
	for _, dir := range cgroupsOf(id) {
		for _, name := range []string{v1, v2} {
			if data, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
				return strings.TrimSpace(string(data))
			}
		}
	}
	t.Errorf("no control group of %s has %s or %s", id, v1, v2)
	return ""
}

// procState is a process's state letter, "" when it is gone.
func procState(dir string) string {
	data, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return ""
	}
	_, rest, _ := bytes.Cut(data, []byte(") "))
	if len(rest) == 0 {
		return ""
	}
	return string(rest[:1])
}

// nothingLeft waits a moment for processes that are dying and complains about the rest.
func nothingLeft(t *testing.T, r *runtimeUnderTest, id string) {
	t.Helper()
	var left []string
	for range 300 {
		if left = leftovers(r, id); len(left) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("%s left behind:\n%s", r.name, strings.Join(left, "\n"))
	r.do(t, "", "delete", "--force", id)
}

// emptyState complains about anything in the state directory, by whatever name.
func emptyState(t *testing.T, r *runtimeUnderTest) {
	t.Helper()
	entries, err := os.ReadDir(r.state)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s left %s in its state directory", r.name, e.Name())
	}
}

// copyRoot copies the files of rootfs; the large one is linked.
func copyRoot(src, dst string) error {
	out, err := exec.Command("cp", "-a", "--link", src, dst).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
