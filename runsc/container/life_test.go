package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"lazaret/runsc/cgroup"
	"lazaret/runsc/control"
	"lazaret/runsc/spec"
)

// world is a root directory, a bundle and what they warned of.
type world struct {
	t        *testing.T
	store    *Store
	bundle   string
	warnings []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "root"))
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, store: s, bundle: t.TempDir()}
}

func (w *world) warn(s string) { w.warnings = append(w.warnings, s) }

func (w *world) opts(id string, args ...string) *CreateOptions {
	s := spec.Example()
	s.Root.Path = "."
	s.Process.Terminal = false
	s.Process.Args = args
	s.Linux.CgroupsPath = "/lazaret-test-" + filepath.Base(filepath.Dir(w.store.Root)) + "-" + id
	return &CreateOptions{ID: id, Bundle: w.bundle, Spec: s, Starter: &fakeStarter{}, Warn: w.warn}
}

func (w *world) create(o *CreateOptions) *Creation {
	w.t.Helper()
	c, err := w.store.Create(o)
	if err != nil {
		w.t.Fatalf("create: %v", err)
	}
	w.t.Cleanup(func() { c.Unlock(); w.remove(o.ID) })
	return c
}

// remove is the cleanup of failed tests.
func (w *world) remove(id string) {
	if c, err := w.store.LoadLocked(id); err == nil {
		_ = c.Delete(true, w.warn)
		c.Unlock()
	}
}

// clean fails the test if anything of a container is left.
func (w *world) clean(id string, procs ...Proc) {
	w.t.Helper()
	if _, err := w.store.Load(id); !errors.Is(err, ErrNotExist) {
		w.t.Errorf("container %s is still there: %v", id, err)
	}
	entries, _ := os.ReadDir(w.store.Root)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) || e.Name() == id {
			w.t.Errorf("left in root: %s", e.Name())
		}
	}
	for _, p := range procs {
		if p.Alive() {
			w.t.Errorf("process %d is still there", p.PID)
		}
	}
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/lazaret-test-*-" + id)
	if len(groups) > 0 {
		w.t.Errorf("groups left: %v", groups)
	}
}

func TestLifeCycle(t *testing.T) {
	w := newWorld(t)
	pidFile := filepath.Join(t.TempDir(), "pid")
	o := w.opts("c1", "sleep")
	o.PidFile = pidFile
	cr := w.create(o)
	if got, _ := os.ReadFile(pidFile); string(got) != fmt.Sprint(cr.Init.PID) {
		t.Errorf("pid file has %q, want %d", got, cr.Init.PID)
	}
	expect(t, w, "c1", Created)
	if err := cr.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Create(w.opts("c1", "sleep")); !errors.Is(err, ErrExist) {
		t.Errorf("second create: %v, want %v", err, ErrExist)
	}
	c := locked(t, w, "c1")
	step := func(what string, f func() error, want Status) {
		t.Helper()
		if err := f(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		expect(t, w, "c1", want)
	}
	refuse := func(what string, f func() error) {
		t.Helper()
		if err := f(); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
	refuse("resume of a created one", c.Resume)
	step("pause of a created one", c.Pause, Paused)
	refuse("start of a paused one", func() error { return c.Start(w.warn) })
	step("resume to created", c.Resume, Created)
	step("start", func() error { return c.Start(w.warn) }, Running)
	refuse("second start", func() error { return c.Start(w.warn) })
	refuse("delete of a running one", func() error { return c.Delete(false, w.warn) })
	step("pause", c.Pause, Paused)
	refuse("second pause", c.Pause)
	if _, err := c.Exec(&ExecOptions{Process: &specs.Process{Args: []string{"exit", "3"}}}); err == nil {
		t.Error("exec in a paused container was accepted")
	}
	step("resume", c.Resume, Running)
	step("signal", func() error { return c.Kill(unix.SIGUSR1, false) }, Running)
	step("kill", func() error { return c.Kill(unix.SIGKILL, false) }, Stopped)
	ws, err := cr.Sandbox.Wait()
	if err != nil || ws.ExitStatus() != 137 {
		t.Errorf("wait = %v, %v, want exit 137", ws, err)
	}
	expect(t, w, "c1", Stopped)
	refuse("start of a stopped one", func() error { return c.Start(w.warn) })
	refuse("kill of a stopped one", func() error { return c.Kill(unix.SIGTERM, false) })
	refuse("pause of a stopped one", c.Pause)
	if err := c.Delete(false, w.warn); err != nil {
		t.Errorf("delete: %v", err)
	}
	c.Unlock()
	w.clean("c1", c.Sentry, c.Gofer)
}

func expect(t *testing.T, w *world, id string, want Status) {
	t.Helper()
	c, err := w.store.Load(id)
	if err != nil {
		t.Fatal(err)
	}
	got := c.Status()
	// A kill is answered before the process has ended.
	for i := 0; got != want && i < 4000; i++ {
		time.Sleep(5 * time.Millisecond)
		got = c.Status()
	}
	if got != want {
		t.Errorf("status = %s, want %s", got, want)
	}
}

func locked(t *testing.T, w *world, id string) *Container {
	t.Helper()
	c, err := w.store.LoadLocked(id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Unlock)
	return c
}

func TestForeground(t *testing.T) {
	w := newWorld(t)
	cr := w.create(w.opts("c1", "exit", "42"))
	if err := cr.Start(w.warn); err != nil {
		t.Fatal(err)
	}
	if ws, err := cr.Sandbox.Wait(); err != nil || ws.ExitStatus() != 42 {
		t.Errorf("wait = %v, %v", ws, err)
	}
	if err := cr.Delete(false, w.warn); err != nil {
		t.Error(err)
	}
	w.clean("c1", cr.Sentry, cr.Gofer)
}

func TestCreateFails(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(o *CreateOptions){
		"starter":  func(o *CreateOptions) { o.Starter = &fakeStarter{fail: errors.New("no user namespaces")} },
		"program":  func(o *CreateOptions) { o.Spec.Process.Args = []string{"nope"} },
		"pid file": func(o *CreateOptions) { o.PidFile = "/nope/pid" },
		"hook":     func(o *CreateOptions) { o.Spec.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/false"}}} },
		"cgroup":   func(o *CreateOptions) { o.Spec.Linux.Resources.Unified = map[string]string{"nope.max": "1"} },
		"sandbox": func(o *CreateOptions) {
			o.Spec.Annotations = map[string]string{"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "nobody"}
		},
		"host's namespace": func(o *CreateOptions) {
			o.Spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.PIDNamespace, Path: "/proc/1/ns/pid"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := w.opts("bad", "sleep")
			change(o)
			_, err := w.store.Create(o)
			if err == nil {
				t.Fatal("create succeeded")
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of more than one line: %q", err)
			}
			w.clean("bad")
		})
	}
}

// A create that is killed after any step leaves something that list shows and delete
// removes, with everything that was made.
func TestCreatorKilled(t *testing.T) {
	steps := []struct {
		name string
		run  func(cr *creator) error
	}{
		{"prepare", nil},
		{"processes", (*creator).processes},
		{"hooks", (*creator).hooks},
		{"inSentry", (*creator).inSentry},
	}
	for n := 1; n <= len(steps); n++ {
		t.Run(steps[n-1].name, func(t *testing.T) {
			w := newWorld(t)
			cr := &creator{opts: w.opts("c1", "sleep")}
			if err := cr.prepare(w.store); err != nil {
				t.Fatal(err)
			}
			for _, s := range steps[1:n] {
				if err := s.run(cr); err != nil {
					t.Fatal(err)
				}
			}
			expect(t, w, "c1", Creating)
			// What the kernel does with a killed runsc: its lock and process are gone.
			cr.c.lock.Close()
			st, err := loadState(w.store.dir("c1"))
			if err != nil {
				t.Fatal(err)
			}
			st.Creator.Start++
			if err := st.save(w.store.dir("c1")); err != nil {
				t.Fatal(err)
			}
			if list, errs := w.store.List(); len(list) != 1 || len(errs) != 0 {
				t.Errorf("list = %v, %v", list, errs)
			}
			expect(t, w, "c1", Stopped)
			c := locked(t, w, "c1")
			if err := c.Delete(false, w.warn); err != nil {
				t.Errorf("delete: %v", err)
			}
			w.clean("c1", cr.c.Sentry, cr.c.Gofer)
		})
	}
}

// A start that is killed between the Sentry's answer and its own write.
func TestStarterKilled(t *testing.T) {
	w := newWorld(t)
	cr := w.create(w.opts("c1", "sleep"))
	cr.InTransit = true
	if err := cr.save(); err != nil {
		t.Fatal(err)
	}
	if err := cr.Client().Start(context.Background(), "c1"); err != nil {
		t.Fatal(err)
	}
	expect(t, w, "c1", Running)
}

func TestSandboxKilled(t *testing.T) {
	w := newWorld(t)
	cr := w.create(w.opts("c1", "sleep"))
	if err := cr.Start(w.warn); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(cr.Sentry.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	expect(t, w, "c1", Stopped)
	if _, err := cr.Exec(&ExecOptions{Process: &specs.Process{Args: []string{"x"}}}); err == nil {
		t.Error("exec in a dead sandbox was accepted")
	}
	if err := cr.Delete(false, w.warn); err != nil {
		t.Error(err)
	}
	w.clean("c1", cr.Gofer)
}

func TestSentryHangs(t *testing.T) {
	w := newWorld(t)
	cr := w.create(w.opts("c1", "sleep"))
	if err := unix.Kill(cr.Sentry.PID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := cr.Kill(unix.SIGKILL, false); err != nil {
		t.Errorf("SIGKILL to a sandbox that hangs: %v", err)
	}
	expect(t, w, "c1", Stopped)
}

func TestPod(t *testing.T) {
	w := newWorld(t)
	pod := w.opts("pod", "sleep")
	pod.Spec.Annotations = map[string]string{"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "pod"}
	p := w.create(pod)
	if err := p.Start(w.warn); err != nil {
		t.Fatal(err)
	}
	p.Unlock()
	o := w.opts("c1", "sleep")
	o.Spec.Annotations = map[string]string{"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "pod"}
	c := w.create(o)
	if c.Sandbox != nil || c.Sentry != p.Sentry || c.Init == p.Init {
		t.Errorf("sub-container: %+v", c.State)
	}
	if err := c.Start(w.warn); err != nil {
		t.Fatal(err)
	}
	expect(t, w, "c1", Running)
	// A signal to the host process that stands for it reaches the container.
	if err := unix.Kill(c.Init.PID, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	expect(t, w, "c1", Stopped)
	expect(t, w, "pod", Running)
	if err := c.Delete(false, w.warn); err != nil {
		t.Error(err)
	}
	w.clean("c1", c.Init, c.Gofer)

	// The pod's death is the death of its containers.
	c = w.create(o)
	if err := p.Sentry.killWait(); err != nil {
		t.Fatal(err)
	}
	expect(t, w, "c1", Stopped)
	if err := c.Delete(false, w.warn); err != nil {
		t.Error(err)
	}
	w.clean("c1", c.Init, c.Gofer)
}

func TestExec(t *testing.T) {
	w := newWorld(t)
	cr := w.create(w.opts("c1", "sleep"))
	if err := cr.Start(w.warn); err != nil {
		t.Fatal(err)
	}
	pid, err := cr.Exec(&ExecOptions{Process: &specs.Process{Args: []string{"exit", "7"}}, Stdio: [3]*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := cr.Client().Wait(context.Background(), &control.WaitArgs{ID: "c1", PID: pid})
	if err != nil || s.Code() != 7 {
		t.Errorf("wait = %d, %v", s.Code(), err)
	}
	pid, err = cr.Exec(&ExecOptions{Process: &specs.Process{Args: []string{"sleep"}}, Stdio: [3]*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := cr.ExecProxy(pid)
	if err != nil {
		t.Fatal(err)
	}
	stand := procOf(proxy)
	if err := unix.Kill(proxy, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s, err = cr.Client().Wait(context.Background(), &control.WaitArgs{ID: "c1", PID: pid})
	if err != nil || s.Code() != 137 {
		t.Errorf("process whose stand-in was killed: %d, %v", s.Code(), err)
	}
	if err := stand.killWait(); err != nil {
		t.Error(err)
	}
}

func TestUpdate(t *testing.T) {
	w := newWorld(t)
	cr := w.create(w.opts("c1", "sleep"))
	limit := int64(256 << 20)
	if err := cr.Update(&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}}); err != nil {
		t.Fatal(err)
	}
	if st := cr.Cgroup.Stats(); cr.Cgroup.Mode != cgroup.None && st.MemoryLimit != uint64(limit+sentryAllowance(limit)) {
		t.Errorf("memory limit on the host = %d, want %d", st.MemoryLimit, limit+sentryAllowance(limit))
	}
	c, err := w.store.Load("c1")
	if err != nil {
		t.Fatal(err)
	}
	if m := c.Spec.Linux.Resources.Memory; m == nil || *m.Limit != limit || len(c.Spec.Linux.Resources.Devices) != 1 {
		t.Errorf("saved resources = %+v", c.Spec.Linux.Resources)
	}
}
