package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"lazaret/runsc/control"
	"lazaret/runsc/sandbox"
)

const fakeSentryCommand = "fake-sentry"

// TestMain is also the processes that the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case fakeSentryCommand:
			fakeSentryMain()
		case ProxyCommand:
			os.Exit(ProxyMain(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}

// fakeSentry is a Sentry without a kernel: programs are "exit N", "sleep" and, to fail,
// "nope".
type fakeSentry struct {
	mu    sync.Mutex
	conts map[string]*fakeContainer
	spec  json.RawMessage // that it was started with
	first string
}

type fakeContainer struct {
	status control.ContainerStatus
	args   []string
	procs  map[int32]chan struct{} // closed at the end
	exits  map[int32]int
	files  int
}

func fakeSentryMain() {
	f := &fakeSentry{conts: map[string]*fakeContainer{}, spec: json.RawMessage(os.Args[2])}
	if err := control.NewServer(3, f).Serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(1)
}

func (f *fakeSentry) get(id string) (*fakeContainer, error) {
	c := f.conts[id]
	if c == nil {
		return nil, fmt.Errorf("no container %s: %w", id, unix.ENOENT)
	}
	return c, nil
}

func (f *fakeSentry) Create(a *control.CreateArgs) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range a.Files {
		file.Close()
	}
	raw := a.Spec
	if f.first == "" {
		raw = f.spec
	}
	var s specs.Spec
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	if s.Process.Args[0] == "nope" {
		return errors.New(`exec: "nope": executable file not found in $PATH`)
	}
	if f.first == "" {
		f.first = a.ID
	}
	f.conts[a.ID] = &fakeContainer{status: control.StatusCreated, args: s.Process.Args, files: len(a.Files),
		procs: map[int32]chan struct{}{1: make(chan struct{})}, exits: map[int32]int{}}
	return nil
}

func (f *fakeSentry) run(id string, c *fakeContainer, pid int32, args []string) {
	if args[0] == "exit" {
		n, _ := strconv.Atoi(args[1])
		time.AfterFunc(30*time.Millisecond, func() { f.end(id, c, pid, n<<8) })
	}
}

// end lets a process end with a wait status; the first container's init ends the sandbox.
func (f *fakeSentry) end(id string, c *fakeContainer, pid int32, status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id == f.first && pid == 1 {
		os.Exit(control.ExitStatus(status).Code())
	}
	if _, done := c.exits[pid]; !done && c.procs[pid] != nil {
		c.exits[pid] = status
		close(c.procs[pid])
	}
	if pid == 1 {
		c.status = control.StatusStopped
	}
}

func (f *fakeSentry) Start(id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.get(id)
	if err != nil {
		return err
	}
	c.status = control.StatusRunning
	f.run(id, c, 1, c.args)
	return nil
}

func (f *fakeSentry) Destroy(id string) error {
	f.mu.Lock()
	c := f.conts[id]
	delete(f.conts, id)
	f.mu.Unlock()
	if c != nil {
		f.end(id, c, 1, 9)
	}
	return nil
}

func (f *fakeSentry) Shutdown() error { os.Exit(0); return nil }

func (f *fakeSentry) setStatus(id string, s control.ContainerStatus) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.get(id)
	if err == nil {
		c.status = s
	}
	return err
}
func (f *fakeSentry) Pause(id string) error  { return f.setStatus(id, control.StatusPaused) }
func (f *fakeSentry) Resume(id string) error { return f.setStatus(id, control.StatusRunning) }

func (f *fakeSentry) Exec(a *control.ExecArgs) (int32, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range a.Files {
		file.Close()
	}
	c, err := f.get(a.ID)
	if err != nil {
		return 0, err
	}
	var p specs.Process
	if err := json.Unmarshal(a.Process, &p); err != nil {
		return 0, err
	}
	pid := int32(len(c.procs) + 1)
	c.procs[pid] = make(chan struct{})
	f.run(a.ID, c, pid, p.Args)
	return pid, nil
}

func (f *fakeSentry) Wait(ctx context.Context, a *control.WaitArgs) (control.ExitStatus, error) {
	pid := max(a.PID, 1)
	f.mu.Lock()
	c, err := f.get(a.ID)
	if err != nil {
		f.mu.Unlock()
		return 0, err
	}
	done := c.procs[pid]
	f.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return control.ExitStatus(c.exits[pid]), nil
}

func (f *fakeSentry) Signal(a *control.SignalArgs) error {
	f.mu.Lock()
	c, err := f.get(a.ID)
	f.mu.Unlock()
	if err != nil {
		return err
	}
	if a.Signal == int(unix.SIGUSR1) {
		return nil
	}
	f.end(a.ID, c, max(a.PID, 1), a.Signal)
	return nil
}

func (f *fakeSentry) Resize(*control.ResizeArgs) error { return nil }
func (f *fakeSentry) Processes(string) ([]control.Process, error) {
	return []control.Process{{PID: 1}}, nil
}
func (f *fakeSentry) Stats(string) (*control.Stats, error)     { return &control.Stats{Pids: 1}, nil }
func (f *fakeSentry) Update(*control.UpdateArgs) error         { return nil }
func (f *fakeSentry) Attach(*control.AttachArgs) error         { return nil }
func (f *fakeSentry) Debug(*control.DebugArgs) (string, error) { return "", nil }
func (f *fakeSentry) State(id string) (control.ContainerStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.get(id)
	if err != nil {
		return "", err
	}
	return c.status, nil
}

// fakeStarter starts fake Sentries, and sleeping processes for Gofers.
type fakeStarter struct {
	fail error
	mute bool // the Sentry never answers
}

type fakeHandle struct{ sentry, gofer *exec.Cmd }

func (s *fakeStarter) Start(cfg *sandbox.Config) (Handle, error) {
	if s.fail != nil {
		return nil, s.fail
	}
	raw, err := json.Marshal(cfg.Spec)
	if err != nil {
		return nil, err
	}
	sentry := exec.Command("/proc/self/exe", fakeSentryCommand, string(raw))
	if s.mute {
		sentry = exec.Command("sleep", "1000")
	}
	sentry.ExtraFiles = []*os.File{cfg.ControlListener}
	sentry.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	gofer := exec.Command("sleep", "1000")
	for _, cmd := range []*exec.Cmd{sentry, gofer} {
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		if err := cfg.JoinCgroup(cmd.Process.Pid); err != nil {
			_ = cmd.Process.Kill()
			return nil, err
		}
	}
	go func() { _ = gofer.Wait() }()
	h := &fakeHandle{sentry, gofer}
	if err := cfg.Spawned(sentry.Process.Pid, gofer.Process.Pid); err != nil {
		h.Kill()
		return nil, err
	}
	return h, nil
}

func (s *fakeStarter) StartNetProxy(*sandbox.Config, *sandbox.NetProxy) (int, *os.File, error) {
	return 0, nil, errors.New("no proxy here")
}

func (s *fakeStarter) StartGofer(cfg *sandbox.Config) (int, *os.File, json.RawMessage, error) {
	gofer := exec.Command("sleep", "1000")
	if err := gofer.Start(); err != nil {
		return 0, nil, nil, err
	}
	go func() { _ = gofer.Wait() }()
	r, w, err := os.Pipe()
	if err == nil {
		w.Close()
	}
	return gofer.Process.Pid, r, json.RawMessage(`[]`), err
}

func (h *fakeHandle) Detach() error { return nil }
func (h *fakeHandle) Kill() {
	_ = h.sentry.Process.Kill()
	_ = h.gofer.Process.Kill()
	_, _ = h.sentry.Process.Wait()
}
func (h *fakeHandle) Wait() (syscall.WaitStatus, error) {
	ps, err := h.sentry.Process.Wait()
	if err != nil {
		return 0, err
	}
	return ps.Sys().(syscall.WaitStatus), nil
}
