package confine

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/runsc/sandbox"
	"lazaret/runsc/seccomp"
)

// recorder lets a runsc that was built with the tag seccomprecord go on with every host
// call, and notes which rules of the policies allow it.
type recorder struct {
	bin  string
	stop chan struct{}
	wg   sync.WaitGroup

	mu     sync.Mutex
	pids   map[int]bool
	sentry string // filter of the Sentries that run now
	seen   map[*seccomp.Rule]bool
	calls  map[string]int
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	r := &recorder{bin: filepath.Join(t.TempDir(), "runsc"), stop: make(chan struct{}), pids: map[int]bool{}, seen: map[*seccomp.Rule]bool{}, calls: map[string]int{}}
	cmd := exec.Command("go", "build", "-tags", "seccomprecord", "-o", r.bin, "lazaret/runsc")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build a recording runsc: %v\n%s", err, out)
	}
	r.wg.Add(1)
	go r.find()
	return r
}

// find looks for new Sentries and Gofers until stop.
func (r *recorder) find() {
	defer r.wg.Done()
	for {
		select {
		case <-r.stop:
			return
		case <-time.After(2 * time.Millisecond):
		}
		procs, _ := os.ReadDir("/proc")
		for _, p := range procs {
			pid, err := strconv.Atoi(p.Name())
			if err != nil || r.pids[pid] {
				continue
			}
			if exe, err := os.Readlink("/proc/" + p.Name() + "/exe"); err != nil || exe != r.bin {
				continue
			}
			if filter := r.filterOf(pid); filter != "" && r.attach(pid, filter) {
				r.pids[pid] = true
			}
		}
	}
}

// filterOf tells a Sentry and a Gofer from their stubs and from runsc itself.
func (r *recorder) filterOf(pid int) string {
	cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	args := strings.Split(string(cmdline), "\x00")
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case len(args) < 3:
	case args[1] == sandbox.BootCommand && string(comm) == "lazaret-sentry\n":
		return r.sentry
	case args[1] == sandbox.GoferCommand:
		return seccomp.GoferUDS // every run has --host-uds
	case args[1] == sandbox.NetProxyCommand:
		return seccomp.NetProxy
	}
	return ""
}

// attach takes the listener of a process's filter, if it has one by now.
func (r *recorder) attach(pid int, filter string) bool {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, l := range links {
		if to, err := os.Readlink(l); err != nil || to != "anon_inode:seccomp notify" {
			continue
		}
		n, _ := strconv.Atoi(filepath.Base(l))
		pidfd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return false
		}
		defer unix.Close(pidfd)
		fd, err := unix.PidfdGetfd(pidfd, n, 0)
		if err != nil {
			return false
		}
		r.wg.Add(1)
		go r.serve(fd, filter)
		return true
	}
	return false
}

// serve answers one process until it ends.
func (r *recorder) serve(fd int, filter string) {
	defer r.wg.Done()
	defer unix.Close(fd)
	f, _ := seccomp.Lookup(filter)
	names := seccomp.CallNames()
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(p, -1); err == unix.EINTR || err == nil && n == 0 {
			continue
		}
		if p[0].Revents&unix.POLLIN == 0 {
			return // everybody who had the filter is gone
		}
		c, err := nextCall(fd)
		if err == unix.ENOENT || err == unix.EINTR {
			continue
		}
		if err != nil {
			return
		}
		if c.Nr >= 0 && int(c.Nr) < len(names) {
			r.note(&f, names[c.Nr], c.Args)
		}
	}
}

// note finds the rules that allow a call.
func (r *recorder) note(f *seccomp.Filter, call string, args [6]uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[call]++
	for _, p := range f.Policies {
		for i := range p.Rules {
			rule := &p.Rules[i]
			if rule.Call == call && (rule.Arch == "" || rule.Arch == runtime.GOARCH) && rule.Allows(args) {
				r.seen[rule] = true
			}
		}
	}
}

// run runs a command under the recorder's eyes.
func (r *recorder) run(t *testing.T, edit func(*exec.Cmd), args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.bin, append([]string{"--root", filepath.Join(t.TempDir(), "state")}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	if edit != nil {
		edit(cmd)
	}
	if err := cmd.Run(); err != nil {
		t.Errorf("%v: %v\n%s", args, err, &out)
	}
}

// unasked are the calls that the recording runsc does not ask about: it would not run
// without them.
func unasked(r *seccomp.Rule) bool {
	return r.Call == "futex" || r.Call == "wait4" || r.Call == "ptrace" && len(r.Args) == 1
}

// TestRulesAreNeeded: every rule of a policy allows a call that real runs make, or says why
// they cannot show it.
func TestRulesAreNeeded(t *testing.T) {
	r := newRecorder(t)
	neededRuns(t, r)
	close(r.stop)
	r.wg.Wait()
	done := map[*seccomp.Policy]bool{}
	for _, f := range seccomp.Filters {
		for _, p := range f.Policies {
			if done[p] {
				continue
			}
			done[p] = true
			for i := range p.Rules {
				rule := &p.Rules[i]
				if rule.Arch != "" && rule.Arch != runtime.GOARCH || unasked(rule) || rule.Unseen != "" {
					continue
				}
				if !r.seen[rule] {
					t.Errorf("%s: no run needs the rule %s %v (%s)", p.Name, rule.Call, rule.Args, rule.Reason)
				}
			}
		}
	}
	t.Logf("calls: %v", r.calls)
}

// neededRuns are the runs: files and processes, a terminal, a detached container.
func neededRuns(t *testing.T, r *recorder) {
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for platform, filter := range map[string]string{"ptrace": seccomp.SentryPtrace, "trap": seccomp.SentryTrap} {
		r.mu.Lock()
		r.sentry = filter
		r.mu.Unlock()
		data := t.TempDir()
		many := filepath.Join(data, "many") // more than one answer can list
		must(t, os.Mkdir(many, 0o755))
		for i := range 3000 {
			must(t, os.Symlink("x", filepath.Join(many, strconv.Itoa(i))))
		}
		l, err := net.Listen("unix", filepath.Join(data, "host.sock"))
		must(t, err)
		defer l.Close()
		do := []string{"--host-uds", "--platform", platform, "do", "--volume", data + ":/data", "--volume", here + ":/script:ro"}
		r.run(t, func(c *exec.Cmd) { c.Stdin = strings.NewReader("typed\n") }, append(do, "--", "python3", "/script/needed.py")...)
		r.onTerminal(t, append(do, "--tty", "yes", "--", "sh", "-c", "stty size; read x; echo $x")...)
		r.detached(t, platform)
	}
	r.networkUser(t)
	r.networkHost(t)
}

// onTerminal runs a command on a terminal on which a line is typed.
func (r *recorder) onTerminal(t *testing.T, args ...string) {
	t.Helper()
	state := filepath.Join(t.TempDir(), "state")
	cmd := exec.Command("script", "--quiet", "--return", "--command", strings.Join(append([]string{r.bin, "--root", state}, args[:len(args)-1]...), " ")+" '"+args[len(args)-1]+"'", "/dev/null")
	cmd.Stdin = strings.NewReader("typed\n")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "typed") {
		t.Errorf("on a terminal: %v\n%s", err, out)
	}
}

// detached runs a container that outlives its runsc, with files for stdio.
func (r *recorder) detached(t *testing.T, platform string) {
	t.Helper()
	bundle, state := t.TempDir(), filepath.Join(t.TempDir(), "state")
	spec := `{"ociVersion": "1.0.2", "root": {"path": "/", "readonly": true}, "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
"process": {"args": ["sh", "-c", "echo out; printf 'a%sb' x; sleep 100"], "cwd": "/", "env": ["PATH=/usr/bin:/bin"]},
"linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}]}}`
	must(t, os.WriteFile(filepath.Join(bundle, "config.json"), []byte(spec), 0o644))
	out, err := os.Create(filepath.Join(bundle, "out"))
	must(t, err)
	defer out.Close()
	id := "needed-" + platform
	flags := []string{"--root", state, "--host-uds", "--platform", platform}
	for _, args := range [][]string{
		{"run", "--detach", "--bundle", bundle, id}, {"exec", id, "echo", "more"}, {"pause", id}, {"resume", id}, {"delete", "--force", id},
	} {
		cmd := exec.Command(r.bin, append(flags, args...)...)
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Run(); err != nil {
			text, _ := os.ReadFile(out.Name())
			t.Errorf("%v: %v\n%s", args, err, text)
		}
	}
}
