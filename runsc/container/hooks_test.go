package container

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func sh(script string) specs.Hook {
	return specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", script}}
}

func TestRunHook(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	h := sh("cat > " + out + "; echo \"$A:$HOME\" >> " + out)
	h.Env = []string{"A=b"}
	state := &specs.State{ID: "c1", Pid: 7, Status: "creating"}
	if err := runHook(&h, state, "", nil); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	text, env, _ := strings.Cut(string(data), "}")
	var got specs.State
	if err := json.Unmarshal([]byte(text+"}"), &got); err != nil || got.ID != "c1" || got.Pid != 7 {
		t.Errorf("stdin of the hook = %s (%v)", data, err)
	}
	if env != "b:\n" {
		t.Errorf("environment of the hook: %q, want only A", env)
	}
}

func TestHookErrors(t *testing.T) {
	one := 1
	for name, tc := range map[string]struct {
		hook specs.Hook
		want string
	}{
		"status":  {sh("echo oops >&2; echo more; exit 3"), "exit status 3, output: oops; more"},
		"timeout": {specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "sleep 100 & wait"}, Timeout: &one}, "passed its timeout of 1 seconds"},
		"missing": {specs.Hook{Path: "/nope/hook"}, "no such file or directory"},
		"killed":  {sh("kill -9 $$"), "signal: killed"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			err := runHooks("prestart", []specs.Hook{tc.hook}, &specs.State{}, "", nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "prestart hook #0") {
				t.Errorf("error = %v, want %q", err, tc.want)
			}
			if time.Since(start) > 30*time.Second {
				t.Error("the timeout came too late")
			}
		})
	}
	quiet := sh("exec true <&-")
	big := &specs.State{Annotations: map[string]string{"x": strings.Repeat("x", 1<<20)}}
	if err := runHook(&quiet, big, "", nil); err != nil && !strings.Contains(err.Error(), "broken pipe") {
		t.Errorf("hook without stdin: %v", err)
	}
}

// runsc's own timers may be late, those of hooks not.
func TestHookTimers(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1_000_000, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 50_000, 0, 0, 0) }()
	h := sh("read ns </proc/self/timerslack_ns; [ $ns = 50000 ] || { echo $ns; exit 1; }")
	if err := runHook(&h, &specs.State{}, "", nil); err != nil {
		t.Error(err)
	}
}

// The order of hooks in a life, the state that each sees, and what a failure does.
func TestHooksInLife(t *testing.T) {
	w := newWorld(t)
	out := filepath.Join(t.TempDir(), "out")
	note := func(name string) []specs.Hook {
		return []specs.Hook{sh("{ printf '" + name + " '; cat | sed 's/.*\"status\":\"\\([a-z]*\\)\".*/\\1\\n/'; } >> " + out)}
	}
	o := w.opts("c1", "sleep")
	//lint:ignore SA1019 deprecated, and used by every docker
	o.Spec.Hooks = &specs.Hooks{Prestart: note("prestart"), CreateRuntime: note("createRuntime"),
		CreateContainer: note("createContainer"), Poststart: note("poststart"), Poststop: note("poststop")}
	cr := w.create(o)
	if err := cr.Start(w.warn); err != nil {
		t.Fatal(err)
	}
	if err := cr.Delete(true, w.warn); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(out)
	want := "prestart creating createRuntime creating createContainer creating poststart running poststop stopped"
	if s := strings.Join(strings.Fields(string(got)), " "); s != want {
		t.Errorf("hooks ran as %q, want %q", s, want)
	}
	w.clean("c1")

	fail := []specs.Hook{sh("exit 1")}
	for _, tc := range []struct {
		name  string
		hooks *specs.Hooks
		start bool
	}{
		//lint:ignore SA1019 deprecated, and used by every docker
		{"prestart", &specs.Hooks{Prestart: fail, Poststop: note("stop")}, false},
		{"createContainer", &specs.Hooks{CreateContainer: fail, Poststop: note("stop")}, false},
		{"poststart", &specs.Hooks{Poststart: fail, Poststop: note("stop")}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			os.Remove(out)
			o := w.opts("c1", "sleep")
			o.Spec.Hooks = tc.hooks
			c, err := w.store.Create(o)
			if tc.start {
				if err != nil {
					t.Fatal(err)
				}
				err = c.Start(w.warn)
				c.Unlock()
			}
			if err == nil || !strings.Contains(err.Error(), tc.name) {
				t.Errorf("error = %v, want the hook's", err)
			}
			if got, _ := os.ReadFile(out); string(got) != "stop stopped\n" {
				t.Errorf("poststop hooks: %q", got)
			}
			w.clean("c1")
		})
	}
	o = w.opts("c1", "sleep")
	o.Spec.Hooks = &specs.Hooks{Poststop: fail}
	c := w.create(o)
	w.warnings = nil
	if err := c.Delete(true, w.warn); err != nil || len(w.warnings) != 1 {
		t.Errorf("delete with a failing poststop hook: %v, warnings %q", err, w.warnings)
	}
}

// TestContainerHooks: createContainer hooks have namespaces of their own, so that a mount
// that one makes is not the host's, or the ones that the spec names.
func TestContainerHooks(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	h := sh("readlink /proc/self/ns/mnt /proc/self/ns/net /proc/self/ns/uts > " + out + "; mkdir " + dir + "/m && mount -t tmpfs hook " + dir + "/m && touch " + dir + "/m/f")
	// The thread that runs a hook has other namespaces; it may be the first one, which is what
	// /proc/self shows.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	self := fmt.Sprintf("/proc/self/task/%d/ns/", unix.Gettid())
	for _, path := range []string{"", self + "net"} {
		os.Remove(filepath.Join(dir, "m"))
		place := containerPlace(&specs.Spec{Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
			{Type: specs.MountNamespace}, {Type: specs.NetworkNamespace, Path: path}, {Type: specs.PIDNamespace},
		}}}, nil)
		if err := runHooks("createContainer", []specs.Hook{h}, &specs.State{}, dir, place); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		for i, same := range []bool{false, path != "", true} {
			kind := []string{"mnt", "net", "uts"}[i]
			own, err := os.Readlink(self + kind)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Fields(string(text))[i]; (got == own) != same {
				t.Errorf("network path %q: %s of the hook is %s, ours %s", path, kind, got, own)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "m", "f")); err == nil {
			t.Error("the hook's mount is the host's")
		}
	}
	place := &hookPlace{join: map[string]int{"/no/such/namespace": 0}}
	if err := runHooks("createContainer", []specs.Hook{h}, &specs.State{}, dir, place); err == nil || !strings.Contains(err.Error(), "/no/such/namespace") {
		t.Errorf("a namespace that is not there: %v", err)
	}
}
