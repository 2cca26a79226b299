package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// killRounds is how many lives end in a kill, two minutes of them unless E2E_KILL_ROUNDS
// asks for more.
func killRounds(t *testing.T) int {
	t.Helper()
	v := os.Getenv("E2E_KILL_ROUNDS")
	if v == "" {
		return 240
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < len(victims)*len(scenarios) {
		t.Fatalf("E2E_KILL_ROUNDS=%q: want a number of at least %d", v, len(victims)*len(scenarios))
	}
	return n
}

// busy forks, writes, and waits, so that a kill finds the sandbox in many states.
const busy = `trap 'exit 0' TERM; i=0; while :; do i=$((i+1)); (echo $i; echo x) | cat > /tmp/f$((i%5)); ls /etc /proc/self > /dev/null & [ $((i%4)) = 0 ] && wait; dd if=/dev/zero of=/tmp/big bs=64k count=4 2>/dev/null; done`

// processesOf are the host processes of a container, by what they are.
func processesOf(id string) map[string][]int {
	found := map[string][]int{}
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		pid, _ := strconv.Atoi(filepath.Base(p))
		cmdline, _ := os.ReadFile(p + "/cmdline")
		args := strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
		groups, _ := os.ReadFile(p + "/cgroup")
		comm, _ := os.ReadFile(p + "/comm")
		mine := bytes.Contains(groups, []byte("/"+id+"\n"))
		switch {
		case len(args) == 3 && args[2] == id && args[1] == "boot":
			found["sentry"] = append(found["sentry"], pid)
		case len(args) == 3 && args[2] == id && args[1] == "gofer":
			found["gofer"] = append(found["gofer"], pid)
		case len(args) == 3 && args[2] == id && args[1] == "netproxy":
			found["netproxy"] = append(found["netproxy"], pid)
		case mine && strings.HasPrefix(string(comm), "stub"):
			found["stub"] = append(found["stub"], pid)
		case strings.HasSuffix(args[0], "runsc") && args[len(args)-1] == id || mine:
			found["runsc"] = append(found["runsc"], pid)
		}
	}
	// A stub that the Sentry has just made looks like it, until it has dropped its memory.
	sentries := found["sentry"]
	if found["sentry"] = slices.DeleteFunc(slices.Clone(sentries), func(pid int) bool {
		return slices.Contains(sentries, parentOf(pid))
	}); len(found["sentry"]) == 0 {
		delete(found, "sentry")
	}
	return found
}

// parentOf returns the parent of a process, 0 if the process is gone.
func parentOf(pid int) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(status), "\nPPid:\t")
	line, _, _ := strings.Cut(rest, "\n")
	ppid, _ := strconv.Atoi(line)
	return ppid
}

// victims are what may be killed.
var victims = []string{"runsc", "sentry", "gofer", "stub"}

// killOne kills one process of a container, as soon after a moment as there is one.
func killOne(id, what string, after time.Duration) bool {
	time.Sleep(after)
	for range 40 {
		if pids := processesOf(id)[what]; len(pids) > 0 {
			return unix.Kill(pids[rand.IntN(len(pids))], unix.SIGKILL) == nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

// scenario is what goes on while something is killed. Commands may fail; none may hang.
type scenario struct {
	name string
	run  func(t *testing.T, r *runtimeUnderTest, b *bundle, id string)
}

var scenarios = []scenario{
	{"run", func(t *testing.T, r *runtimeUnderTest, b *bundle, id string) {
		_ = r.quiet(t, "run", "--bundle", b.dir, id)
	}},
	{"create and start", func(t *testing.T, r *runtimeUnderTest, b *bundle, id string) {
		_ = r.quiet(t, "create", "--bundle", b.dir, id)
		_ = r.quiet(t, "start", id)
		_ = r.quiet(t, "exec", id, "sh", "-c", "ls /proc | wc -l")
	}},
	{"detached and exec", func(t *testing.T, r *runtimeUnderTest, b *bundle, id string) {
		_ = r.quiet(t, "run", "--detach", "--bundle", b.dir, id)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { _ = r.quiet(t, "exec", id, "sh", "-c", "for i in 1 2 3; do ls / | cat > /dev/null; done") })
		}
		wg.Wait()
	}},
	{"delete", func(t *testing.T, r *runtimeUnderTest, b *bundle, id string) {
		_ = r.quiet(t, "run", "--detach", "--bundle", b.dir, id)
		_ = r.quiet(t, "kill", id, "TERM")
		_ = r.quiet(t, "delete", "--force", id)
	}},
}

// quiet runs a command whose output nobody wants; it must end by itself within the limit.
func (r *runtimeUnderTest) quiet(t *testing.T, args ...string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := r.command(ctx, args...)
	errf, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Error(err)
		return -1
	}
	defer errf.Close()
	cmd.Stderr = errf
	cmd.Cancel = func() error {
		t.Errorf("runsc %v: does not end:\n%s", args, whereTheyAre(processesOf(idOf(args))))
		return cmd.Process.Kill()
	}
	_ = cmd.Run()
	text, _ := os.ReadFile(errf.Name())
	for _, bad := range []string{"panic:", "goroutine ", "fatal error:"} {
		if bytes.Contains(text, []byte(bad)) {
			t.Errorf("runsc %v:\n%s", args, text)
		}
	}
	return exitCode(cmd.ProcessState)
}

// TestRandomKills: whatever is killed, and when, the rest ends by itself or by delete
// --force, and nothing is left.
func TestRandomKills(t *testing.T) {
	b := newBundle(t, script1(busy))
	r := ours(t)
	n, rounds := killRounds(t), make(chan int)
	go func() {
		defer close(rounds)
		for i := range n {
			rounds <- i
		}
	}()
	var mu sync.Mutex
	hits := map[string]int{}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for i := range rounds {
				what, s := victims[i%len(victims)], &scenarios[i/len(victims)%len(scenarios)]
				if killRound(t, r, b, s, what) {
					mu.Lock()
					hits[what]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	// list removes what a killed create had not given a name yet, when it is old enough.
	for range 60 {
		r.do(t, "", "list").must(t, "list")
		if entries, err := os.ReadDir(r.state); err != nil || len(entries) == 0 {
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	emptyState(t, r)
	t.Logf("kills: %v", hits)
	for _, what := range victims {
		if hits[what] < n/len(victims)/4 {
			t.Errorf("only %d kills of a %s hit", hits[what], what)
		}
	}
}

// killRound is one life with one kill.
func killRound(t *testing.T, r *runtimeUnderTest, b *bundle, s *scenario, what string) bool {
	id := newID()
	after := time.Duration(rand.IntN(500)) * time.Millisecond
	hit := make(chan bool, 1)
	ended := make(chan struct{})
	go func() {
		hit <- killOne(id, what, after)
		// A busy container runs for ever if it outlives what was killed.
		for s.name == "run" {
			select {
			case <-ended:
				return
			case <-time.After(300 * time.Millisecond):
				_ = r.quiet(t, "kill", id, "KILL")
			}
		}
	}()
	s.run(t, r, b, id)
	close(ended)
	killed := <-hit
	if what == "sentry" && killed && s.name != "delete" {
		awaitGone(t, id, fmt.Sprintf("%s of the %s (after %v)", s.name, what, after))
	}
	if code := r.quiet(t, "delete", "--force", id); code != 0 {
		t.Errorf("%s, %s killed after %v: delete --force: exit code %d", s.name, what, after, code)
	}
	nothingLeft(t, r, id)
	return killed
}

// idOf finds the container that a command is about.
func idOf(args []string) string {
	i := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, idPrefix) })
	if i < 0 {
		return ""
	}
	return args[i]
}

// whereTheyAre says what each thread of some processes waits for.
func whereTheyAre(found map[string][]int) string {
	var b strings.Builder
	read := func(path string) string {
		data, _ := os.ReadFile(path)
		return strings.TrimSpace(string(data))
	}
	for what, pids := range found {
		for _, pid := range pids {
			tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
			for _, task := range tasks {
				stack := strings.ReplaceAll(read(task+"/stack"), "\n", " < ")
				fmt.Fprintf(&b, "%s %d/%s %s: call %s: %s\n", what, pid, filepath.Base(task), procState(task), read(task+"/syscall"), stack)
			}
		}
	}
	return b.String()
}

// awaitGone: with the Sentry everything else of the sandbox ends.
func awaitGone(t *testing.T, id, when string) {
	t.Helper()
	var left map[string][]int
	for range 300 {
		if left = processesOf(id); len(left) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, pids := range left {
		for _, pid := range pids {
			if st := procState(fmt.Sprintf("/proc/%d", pid)); st != "Z" && st != "" {
				t.Errorf("killed during %s: still there: %v\n%s", when, left, whereTheyAre(left))
				return
			}
		}
	}
}

// TestKilledCallers: a foreground run that is killed takes its container along; one that
// detached does not.
func TestKilledCallers(t *testing.T) {
	r, b, id := ours(t), newBundle(t, forever), newID()
	cmd := r.command(context.Background(), "run", "--bundle", b.dir, id)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for r.do(t, "", "kill", id, "0").code != 0 {
		time.Sleep(20 * time.Millisecond)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	awaitGone(t, id, "run")
	if st := r.stateOf(t, id); st.Status != "stopped" {
		t.Errorf("the container is %s", st.Status)
	}
	r.do(t, "", "delete", id).must(t, "delete")
	nothingLeft(t, r, id)
}

// TestReaperDies: an engine that is subreaper starts a container and dies; the container
// lives on and can be managed by others.
func TestReaperDies(t *testing.T) {
	r, b, id := ours(t), newBundle(t, forever), newID()
	script := fmt.Sprintf("import ctypes, subprocess, os, signal\nctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\nsubprocess.check_call(%q.split('|'), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\nos.kill(os.getpid(), signal.SIGKILL)\n",
		strings.Join([]string{r.bin, "--root", r.state, "run", "--detach", "--bundle", b.dir, id}, "|"))
	out, err := exec.Command("python3", "-c", script).CombinedOutput()
	if ws, ok := exitStatus(err); !ok || ws.Signal() != syscall.SIGKILL {
		t.Fatalf("%v %s", err, out)
	}
	if st := r.stateOf(t, id); st.Status != "running" {
		t.Errorf("the container is %s", st.Status)
	}
	if a := r.do(t, "", "exec", id, "echo", "alive"); a.out != "alive\n" {
		t.Errorf("exec: exit code %d %s", a.code, a.err)
	}
	r.do(t, "", "kill", id, "TERM").must(t, "kill")
	r.awaitStatus(t, id, "stopped")
	r.do(t, "", "delete", id).must(t, "delete")
	nothingLeft(t, r, id)
}

func exitStatus(err error) (syscall.WaitStatus, bool) {
	e, ok := err.(*exec.ExitError)
	if !ok {
		return 0, false
	}
	ws, ok := e.Sys().(syscall.WaitStatus)
	return ws, ok && ws.Signaled()
}

// hostCount counts what a leak would add to.
func hostCount(t *testing.T) map[string]int {
	t.Helper()
	n := map[string]int{}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	n["mounts"] = bytes.Count(mounts, []byte("\n"))
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n["files of the test"] = len(fds)
	return n
}

// TestNoLeaks: a hundred containers one after the other, and ten at once.
func TestNoLeaks(t *testing.T) {
	r := ours(t)
	b := newBundle(t)
	before := hostCount(t)
	start := time.Now()
	var ids []string
	one := func() {
		id := newID()
		ids = append(ids, id)
		if code := r.quiet(t, "run", "--bundle", b.dir, id); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
	for range 100 {
		one()
	}
	fmt.Printf("e2e: run of true: %v each\n", (time.Since(start) / 100).Round(time.Millisecond/10))
	start = time.Now()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range 10 {
		wg.Go(func() {
			id := newID()
			mu.Lock()
			ids = append(ids, id)
			mu.Unlock()
			if code := r.quiet(t, "run", "--bundle", b.dir, id); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
	wg.Wait()
	fmt.Printf("e2e: ten at once: %v\n", time.Since(start).Round(time.Millisecond))
	emptyState(t, r)
	nothingLeft(t, r, "lze2e-none")
	left := map[string]bool{}
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, err error) error {
		if err == nil {
			left[d.Name()] = true
		}
		return nil
	})
	for _, id := range ids {
		if left[id] {
			t.Errorf("a cgroup of %s is left", id)
		}
		if p := processesOf(id); len(p) > 0 {
			t.Errorf("processes of %s are left: %v", id, p)
		}
	}
	for what, n := range hostCount(t) {
		if n > before[what] {
			t.Errorf("%s: %d before, %d after", what, before[what], n)
		}
	}
}
