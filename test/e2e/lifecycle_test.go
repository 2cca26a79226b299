package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// state is the JSON of runsc state.
type state struct {
	Version     string            `json:"ociVersion"`
	ID          string            `json:"id"`
	PID         int               `json:"pid"`
	Status      string            `json:"status"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Annotations map[string]string `json:"annotations"`
}

func (r *runtimeUnderTest) stateOf(t *testing.T, id string) state {
	t.Helper()
	a := r.do(t, "", "state", id).must(t, r.name+" state")
	var s state
	if err := json.Unmarshal([]byte(a.out), &s); err != nil {
		t.Fatalf("%s state: %v\n%s", r.name, err, a.out)
	}
	return s
}

// awaitStatus waits until the container is in a state.
func (r *runtimeUnderTest) awaitStatus(t *testing.T, id, want string) {
	t.Helper()
	got := ""
	for range 1000 {
		if got = r.stateOf(t, id).Status; got == want {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%s: container is %s, want %s", r.name, got, want)
}

// transcript is what a runtime says during a life.
type transcript struct {
	t     *testing.T
	r     *runtimeUnderTest
	id    string
	lines []string
}

func (s *transcript) note(format string, args ...any) {
	s.lines = append(s.lines, strings.ReplaceAll(fmt.Sprintf(format, args...), s.id, "ID"))
}

// step runs a command and notes its exit code and output.
func (s *transcript) step(args ...string) answer {
	s.t.Helper()
	a := s.r.do(s.t, "", args...)
	s.note("%v: %d %q", args, a.code, a.out)
	if a.code != 0 && len(strings.Split(strings.TrimSpace(a.err), "\n")) != 1 {
		s.t.Errorf("%s %v: not one line on stderr:\n%s", s.r.name, args, a.err)
	}
	return a
}

// words notes whether an error has runc's words, which engines look for.
func (s *transcript) words(a answer, want string) {
	s.note("says %q: %v", want, strings.Contains(a.err, want))
}

func (s *transcript) status() {
	s.t.Helper()
	st := s.r.stateOf(s.t, s.id)
	// runc gives its own version, the specification the bundle's.
	s.note("status %s, has pid %v, rootfs %s, annotations %v", st.Status, st.PID > 0, filepath.Base(st.Rootfs), st.Annotations)
}

// live drives one life as an engine does. What a runtime may answer in its own way is
// not noted.
func (s *transcript) live(b *bundle) {
	t, r, id := s.t, s.r, s.id
	pidFile := filepath.Join(t.TempDir(), "pid")
	s.words(s.step("state", id), "does not exist")
	s.step("delete", id)
	s.step("delete", "--force", id)
	s.step("kill", id, "KILL")
	a := r.detached(t, "create", "--bundle", b.dir, "--pid-file", pidFile, id)
	s.note("create: %d %q", a.code, a.out)
	a.must(t, "create")
	st := r.stateOf(t, id)
	if got := readAll(t, pidFile); got != strconv.Itoa(st.PID) {
		t.Errorf("%s: pid file holds %q, state %d", r.name, got, st.PID)
	}
	s.status()
	s.step("list", "--quiet")
	s.words(r.detached(t, "create", "--bundle", b.dir, id), "exist")
	s.step("pause", "no-such")
	s.pauseCreated()
	s.step("start", id)
	s.status()
	s.step("start", id)
	s.step("exec", id, "echo", "in")
	s.step("exec", id, "sh", "-c", "exit 7")
	s.step("exec", id, "sh", "-c", "kill -TERM $$")
	s.step("exec", id, "no-such-program")
	s.step("exec", "--cwd", "/etc", "--env", "X=y z", "--user", "5:6", id, "sh", "-c", "pwd; echo $X; id -u; id -g")
	s.step("exec", "no-such", "true")
	s.execDetached()
	s.step("delete", id)
	s.step("pause", id)
	s.status()
	s.step("pause", id)
	s.step("exec", id, "true")
	s.step("resume", id)
	s.step("resume", id)
	s.status()
	s.step("kill", id, "NOSUCH")
	s.step("kill", id, "0")
	s.step("kill", id, "USR1")
	for range 100 {
		if strings.Contains(r.do(t, "", "exec", id, "cat", "/tmp/signals").out, "usr1") {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.step("exec", id, "cat", "/tmp/signals")
	s.step("kill", id)
	r.awaitStatus(t, id, "stopped")
	s.status()
	s.step("kill", id, "TERM")
	s.step("exec", id, "true")
	s.step("start", id)
	s.step("pause", id)
	s.step("delete", id)
	s.step("delete", id)
	s.step("state", id)
	s.step("list", "--quiet")
}

// pauseCreated: a pause before the start keeps the program from being started, no more.
func (s *transcript) pauseCreated() {
	s.step("pause", s.id)
	s.status()
	s.words(s.step("start", s.id), "cannot start a container in the paused state")
	s.status()
	s.words(s.step("exec", s.id, "true"), "cannot exec in a paused container (use --ignore-paused to override)")
	s.step("pause", s.id)
	s.step("delete", s.id)
	s.step("resume", s.id)
	s.status()
}

// execDetached notes that a detached exec has a host process that ends with it.
func (s *transcript) execDetached() {
	t := s.t
	pidFile := filepath.Join(t.TempDir(), "execpid")
	a := s.r.detached(t, "exec", "--detach", "--pid-file", pidFile, s.id, "sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.02; done; echo went > /tmp/went")
	s.note("exec --detach: %d %q", a.code, a.out)
	pid, err := strconv.Atoi(readAll(t, pidFile))
	if err != nil {
		t.Fatal(err)
	}
	if procState(fmt.Sprintf("/proc/%d", pid)) == "" {
		t.Errorf("%s: process %d of a detached exec is not there", s.r.name, pid)
	}
	s.step("exec", s.id, "touch", "/tmp/go")
	for range 200 {
		if st := procState(fmt.Sprintf("/proc/%d", pid)); st == "" || st == "Z" {
			s.step("exec", s.id, "cat", "/tmp/went")
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%s: process %d outlives its exec", s.r.name, pid)
}

// TestLifecycle drives runc and runsc through the same life.
func TestLifecycle(t *testing.T) {
	b := newBundle(t, script1("trap 'echo usr1 >> /tmp/signals' USR1; trap 'exit 9' TERM; touch /tmp/signals; while :; do sleep 0.05; done"),
		func(s *specs.Spec) { s.Annotations = map[string]string{"org.example": "yes"} })
	var said [2][]string
	for i, r := range []*runtimeUnderTest{peerRunc(t), ours(t)} {
		s := &transcript{t: t, r: r, id: newID()}
		s.live(b)
		nothingLeft(t, r, s.id)
		emptyState(t, r)
		said[i] = s.lines
	}
	for i := range max(len(said[0]), len(said[1])) {
		if w, g := lineOf(said[0], i), lineOf(said[1], i); w != g {
			t.Errorf("step %d\n  runc:  %s\n  runsc: %s", i, w, g)
		}
	}
}

// started creates and starts a bundle and removes it at the end.
func (b *bundle) started(r *runtimeUnderTest, flags ...string) string {
	b.t.Helper()
	id := newID()
	b.t.Cleanup(func() {
		r.do(b.t, "", "delete", "--force", id).must(b.t, "delete --force")
		nothingLeft(b.t, r, id)
	})
	r.detached(b.t, append(append([]string{"create", "--bundle", b.dir}, flags...), id)...).must(b.t, "create")
	r.do(b.t, "", "start", id).must(b.t, "start")
	return id
}

// forever is a container that waits to be killed.
var forever = script1("trap 'exit 0' TERM; while :; do sleep 0.05; done")

// TestRunDetach: run --detach returns, its container lives on.
func TestRunDetach(t *testing.T) {
	r, b, id := ours(t), newBundle(t, script1("sleep 0.3; echo later; exec sleep 1000")), newID()
	dir := t.TempDir()
	a := r.detached(t, "run", "--detach", "--bundle", b.dir, "--pid-file", filepath.Join(dir, "pid"), id).must(t, "run --detach")
	if a.out != "" {
		t.Errorf("run --detach waits for its container: %q", a.out)
	}
	st := r.stateOf(t, id)
	if st.Status != "running" || readAll(t, filepath.Join(dir, "pid")) != strconv.Itoa(st.PID) {
		t.Errorf("state %+v, pid file %q", st, readAll(t, filepath.Join(dir, "pid")))
	}
	if err := syscall.Kill(st.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.awaitStatus(t, id, "stopped")
	r.do(t, "", "delete", id).must(t, "delete")
	nothingLeft(t, r, id)
}

// awaitReady waits until a container's program has made its /tmp/ready.
func (r *runtimeUnderTest) awaitReady(t *testing.T, id string) {
	t.Helper()
	r.do(t, "", "exec", id, "sh", "-c", "until [ -e /tmp/ready ]; do sleep 0.05; done").must(t, "exec")
}

// TestWait: wait ends with the container and as it did.
func TestWait(t *testing.T) {
	r, b := ours(t), newBundle(t, script1("trap 'exit 42' TERM; : > /tmp/ready; while :; do sleep 0.05; done"))
	id := b.started(r)
	r.awaitReady(t, id)
	done := make(chan answer, 1)
	go func() { done <- r.do(t, "", "wait", id) }()
	time.Sleep(300 * time.Millisecond)
	r.do(t, "", "kill", id, "TERM").must(t, "kill")
	if a := <-done; a.code != 42 && strings.TrimSpace(a.out) != "42" {
		t.Errorf("wait: exit code %d, output %q%s", a.code, a.out, a.err)
	}
}

// TestKillAll: every process gets the signal.
func TestKillAll(t *testing.T) {
	r := ours(t)
	id := newBundle(t, script1("sh -c 'trap \"echo got > /tmp/got\" USR1; while :; do sleep 0.05; done' & trap '' USR1; trap 'exit 0' TERM; while :; do sleep 0.05; done")).started(r)
	for range 100 {
		time.Sleep(50 * time.Millisecond)
		r.do(t, "", "kill", "--all", id, "USR1").must(t, "kill --all")
		if r.do(t, "", "exec", id, "cat", "/tmp/got").out == "got\n" {
			return
		}
	}
	t.Error("the child of init got no signal")
}

// TestPauseStops: a paused container makes no progress.
func TestPauseStops(t *testing.T) {
	r := ours(t)
	id := newBundle(t, script1("i=0; while :; do i=$((i+1)); echo $i > /tmp/n.new; mv /tmp/n.new /tmp/n; done")).started(r)
	read := func() string { return r.do(t, "", "exec", "--ignore-paused", id, "cat", "/tmp/n").out }
	for read() == "" {
		time.Sleep(10 * time.Millisecond)
	}
	r.do(t, "", "pause", id).must(t, "pause")
	ps := r.do(t, "", "ps", id).must(t, "ps")
	if !strings.Contains(ps.out, "sh -c") {
		t.Errorf("ps of a paused container: %s", ps.out)
	}
	r.do(t, "", "resume", id).must(t, "resume")
	before := read()
	for range 200 {
		if read() != before {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("no progress after resume")
}

var statsLine = regexp.MustCompile(`"type":"stats","id":"[^"]+","data":\{"cpu":.*"memory":.*"pids":`)

// TestPsListEvents: what the inspecting commands print.
func TestPsListEvents(t *testing.T) {
	r := ours(t)
	b := newBundle(t, script1("sleep 1000 & exec sleep 2000"), func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(50))}, Memory: &specs.LinuxMemory{Limit: ptr(int64(256 << 20))}}
	})
	id := b.started(r)
	ps := ""
	for range 100 {
		if ps = r.do(t, "", "ps", id).must(t, "ps").out; strings.Count(ps, "\n") == 3 {
			break // the shell has made its child
		}
		time.Sleep(20 * time.Millisecond)
	}
	lines := strings.Split(strings.TrimSpace(ps), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "UID") || !strings.Contains(ps, "sleep 1000") {
		t.Errorf("ps:\n%s", ps)
	}
	var pids []int
	if err := json.Unmarshal([]byte(r.do(t, "", "ps", "--format", "json", id).out), &pids); err != nil || len(pids) != 1 || syscall.Kill(pids[0], 0) != nil {
		t.Errorf("ps --format json: %v %v", pids, err)
	}
	list := r.do(t, "", "list").must(t, "list").out
	if !regexp.MustCompile(`(?m)^ID +PID +STATUS +BUNDLE +CREATED +OWNER\n` + id + ` +\d+ +running +` + b.dir + ` +\S+ +root$`).MatchString(strings.TrimRight(list, "\n")) {
		t.Errorf("list:\n%s", list)
	}
	var listed []state
	if err := json.Unmarshal([]byte(r.do(t, "", "list", "--format", "json").out), &listed); err != nil || len(listed) != 1 || listed[0].ID != id {
		t.Errorf("list --format json: %v %v", listed, err)
	}
	stats := r.do(t, "", "events", "--stats", id).must(t, "events --stats").out
	var ev struct {
		Data struct {
			CPU struct {
				Usage struct{ Total uint64 }
			}
			Memory struct {
				Usage struct{ Limit, Usage uint64 }
			}
			Pids struct{ Current, Limit uint64 }
		}
	}
	if err := json.Unmarshal([]byte(stats), &ev); err != nil || !statsLine.MatchString(stats) {
		t.Fatalf("events --stats: %v\n%s", err, stats)
	}
	d := ev.Data
	if d.Pids.Current != 2 || d.CPU.Usage.Total == 0 || d.Memory.Usage.Usage == 0 || d.Memory.Usage.Limit < 256<<20 || d.Memory.Usage.Limit > 512<<20 {
		t.Errorf("events --stats: %+v", d)
	}
}

// TestUpdate: new limits are in force at once.
func TestUpdate(t *testing.T) {
	r := ours(t)
	id := newBundle(t, forever, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(256 << 20))}}
	}).started(r)
	hog := func() answer {
		return r.do(t, "", "exec", id, "dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=1")
	}
	if a := hog(); a.code != 0 {
		t.Errorf("100 MB beneath a limit of 256: exit code %d %s", a.code, a.err)
	}
	r.do(t, "", "update", "--memory", "64M", "--pids-limit", "20", id).must(t, "update")
	if a := hog(); a.code != 137 {
		t.Errorf("100 MB beneath a limit of 64: exit code %d %s", a.code, a.err)
	}
	free := r.do(t, "", "exec", id, "free", "-m").out
	if !regexp.MustCompile(`Mem: +64 `).MatchString(free) {
		t.Errorf("free:\n%s", free)
	}
	if a := r.do(t, "", "exec", id, "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21; do sleep 1 & done; wait"); !strings.Contains(a.err, "fork") {
		t.Errorf("21 processes beneath a limit of 20: exit code %d %s", a.code, a.err)
	}
	limit, err := strconv.Atoi(cgroupFile(t, id, "memory.limit_in_bytes", "memory.max"))
	if err != nil || limit < 64<<20 || limit > 256<<20 {
		t.Errorf("the host's limit is %d %v", limit, err)
	}
}

// TestHostLimits: the sandbox's processes are in groups with the spec's limits.
func TestHostLimits(t *testing.T) {
	r := ours(t)
	b := newBundle(t, forever, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{
			Memory: &specs.LinuxMemory{Limit: ptr(int64(128 << 20))}, Pids: &specs.LinuxPids{Limit: ptr(int64(500))},
			CPU: &specs.LinuxCPU{Shares: ptr(uint64(512)), Quota: ptr(int64(50_000)), Period: ptr(uint64(100_000))},
		}
	})
	id := b.started(r)
	groups := readAll(t, fmt.Sprintf("/proc/%d/cgroup", r.stateOf(t, id).PID))
	if !strings.Contains(groups, "/"+id+"\n") {
		t.Errorf("the Sentry is in %s", groups)
	}
	for _, f := range []struct{ v1, want1, v2, want2 string }{
		{"cpu.shares", "512", "cpu.weight", "20"}, {"cpu.cfs_quota_us", "50000", "cpu.max", "50000 100000"},
		{"memory.limit_in_bytes", "209715200", "memory.max", "209715200"},
	} {
		if got := cgroupFile(t, id, f.v1, f.v2); got != f.want1 && got != f.want2 {
			t.Errorf("%s = %s, want %s", f.v1, got, f.want1)
		}
	}
	if got := cgroupFile(t, id, "pids.max", "pids.max"); got == "max" || got == "" {
		t.Errorf("pids.max = %s", got)
	}
}
