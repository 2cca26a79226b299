package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// hook appends its name and the state on its stdin to a file.
func hook(log, name, more string) specs.Hook {
	return specs.Hook{
		Path: "/bin/sh", Args: []string{"sh", "-c", fmt.Sprintf("echo %s $(cat) $X >> %s; %s", name, log, more)},
		Env: []string{"PATH=/usr/bin:/bin", "X=env-" + name},
	}
}

// allHooks sets one hook of every kind; inside is where startContainer's writes.
func allHooks(s *specs.Spec, log, inside string) {
	s.Hooks = &specs.Hooks{
		//lint:ignore SA1019 deprecated, and used by every docker
		Prestart:      []specs.Hook{hook(log, "prestart", ""), hook(log, "prestart2", "")},
		CreateRuntime: []specs.Hook{hook(log, "createRuntime", "")}, CreateContainer: []specs.Hook{hook(log, "createContainer", "")},
		StartContainer: []specs.Hook{hook(inside, "startContainer", "")}, Poststart: []specs.Hook{hook(log, "poststart", "")},
		Poststop: []specs.Hook{hook(log, "poststop", "")},
	}
}

var hookLine = regexp.MustCompile(`(?m)^(\w+) (\{.*\}) (\S+)$`)

// hooksOf reads the log as "name status pid? env".
func hooksOf(t *testing.T, text, bundle, id string) []string {
	t.Helper()
	var list []string
	// Not poststart: runc 1.1 runs those hooks during create.
	for _, m := range hookLine.FindAllStringSubmatch(text, -1) {
		var s specs.State
		if err := json.Unmarshal([]byte(m[2]), &s); err != nil {
			t.Fatalf("%s: %v", m[2], err)
		}
		if s.ID != id || s.Bundle != bundle || s.Annotations["org.example"] != "yes" || s.Version == "" {
			t.Errorf("%s hook got %s", m[1], m[2])
		}
		if m[1] == "poststart" {
			continue
		}
		list = append(list, fmt.Sprintf("%s %s pid=%v %s", m[1], s.Status, s.Pid > 0, m[3]))
	}
	return list
}

// TestHooks: order, state on stdin, environment, as runc has them.
func TestHooks(t *testing.T) {
	b := newBundle(t, script1("cat /dev/shm/inside"), func(s *specs.Spec) { s.Annotations = map[string]string{"org.example": "yes"} })
	b.privateRoot()
	var said [2][]string
	for i, r := range []*runtimeUnderTest{peerRunc(t), ours(t)} {
		log := filepath.Join(t.TempDir(), "log")
		allHooks(b.spec, log, "/dev/shm/inside")
		b.write()
		id := newID()
		out, err := filepath.Abs(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		r.detachedTo(t, out, "create", "--bundle", b.dir, id).must(t, "create")
		said[i] = append(hooksOf(t, readAll(t, log), b.dir, id), "-- created")
		mark := len(readAll(t, log))
		r.do(t, "", "start", id).must(t, "start")
		r.awaitStatus(t, id, "stopped")
		r.do(t, "", "delete", id).must(t, "delete")
		said[i] = append(said[i], hooksOf(t, readAll(t, log)[mark:], b.dir, id)...)
		if n := strings.Count(readAll(t, log), "\npoststart "); n != 1 {
			t.Errorf("%s: poststart hooks ran %d times", r.name, n)
		}
		said[i] = append(said[i], "-- inside")
		said[i] = append(said[i], hooksOf(t, readAll(t, out), b.dir, id)...)
		nothingLeft(t, r, id)
	}
	if w, g := strings.Join(said[0], "\n"), strings.Join(said[1], "\n"); w != g {
		t.Errorf("runc:\n%s\nrunsc:\n%s", w, g)
	}
}

// TestHookFails: a failing hook ends the container, is named in one line, and poststop
// hooks run, as with runc.
func TestHookFails(t *testing.T) {
	for _, kind := range []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop", "timeout", "missing"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			if kind != "timeout" { // runc 1.1 waits for what the hook started
				hookFails(t, peerRunc(t), kind)
			}
			hookFails(t, ours(t), kind)
		})
	}
}

func hookFails(t *testing.T, r *runtimeUnderTest, kind string) {
	t.Helper()
	b := newBundle(t, script1("sleep 5"))
	b.privateRoot()
	log := filepath.Join(t.TempDir(), "log")
	bad := hook("/dev/null", kind, "echo broken >&2; exit 7")
	h := &specs.Hooks{Poststop: []specs.Hook{hook(log, "poststop", "")}}
	switch kind {
	case "prestart":
		//lint:ignore SA1019 deprecated, and used by every docker
		h.Prestart = []specs.Hook{bad}
	case "createRuntime":
		h.CreateRuntime = []specs.Hook{bad, hook(log, "after", "")}
	case "createContainer":
		h.CreateContainer = []specs.Hook{bad}
	case "startContainer":
		h.StartContainer = []specs.Hook{bad}
	case "poststart":
		h.Poststart = []specs.Hook{bad}
	case "poststop":
		h.Poststop = []specs.Hook{bad, hook(log, "poststop", "")}
	case "timeout":
		slow := hook("/dev/null", kind, "sleep 100")
		slow.Timeout = ptr(1)
		h.CreateRuntime = []specs.Hook{slow}
	case "missing":
		h.CreateRuntime = []specs.Hook{{Path: "/no/such/hook"}}
	}
	b.spec.Hooks = h
	if kind == "poststop" {
		b.spec.Process.Args = []string{"true"}
	}
	b.write()
	id := newID()
	a := r.do(t, "", "run", "--bundle", b.dir, id)
	if want := map[bool]int{true: 0, false: 1}[kind == "poststop"]; a.code != want {
		t.Errorf("%s: exit code %d, want %d; %s", r.name, a.code, want, a.err)
	}
	if strings.Count(a.err, "\n") != 1 && r.name == "runsc" {
		t.Errorf("%s: not one line:\n%s", r.name, a.err)
	}
	data, err := os.ReadFile(log)
	if strings.Contains(string(data), "after") {
		t.Errorf("%s: hooks after the failed one ran", r.name)
	}
	if r.name == "runsc" && (err != nil || !strings.HasPrefix(string(data), "poststop")) {
		t.Errorf("poststop hooks did not run: %v %q", err, data)
	}
	nothingLeft(t, r, id)
	emptyState(t, r)
}

// TestHookMounts: createContainer hooks find the container's mounts below its root and change
// what the container finds there, as with runc.
func TestHookMounts(t *testing.T) {
	var said [2]string
	for i, r := range []*runtimeUnderTest{peerRunc(t), ours(t)} {
		b := newBundle(t, writable, script1("cat /etc/by-hook /opt/lib/file; touch /bound/x || echo read-only"))
		b.privateRoot()
		root := b.spec.Root.Path
		if err := os.WriteFile(filepath.Join(b.dir, "file"), []byte("a library\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		b.spec.Mounts = append(b.spec.Mounts,
			specs.Mount{Destination: "/bound", Type: "bind", Source: b.dir, Options: []string{"bind", "ro"}},
			specs.Mount{Destination: "/opt/lib/file", Type: "bind", Source: "file", Options: []string{"bind"}})
		log := filepath.Join(t.TempDir(), "log")
		script := fmt.Sprintf("cd %s && { pwd | grep -c rootfs; cat bound/file opt/lib/file; touch tmp/gone; echo from the hook > etc/by-hook; touch bound/y || echo refused; } > %s 2>&1", root, log)
		b.spec.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}}}}
		b.write()
		id, out := newID(), filepath.Join(t.TempDir(), "out")
		r.detachedTo(t, out, "create", "--bundle", b.dir, id).must(t, "create")
		r.do(t, "", "start", id).must(t, "start")
		r.awaitStatus(t, id, "stopped")
		r.do(t, "", "delete", id).must(t, "delete")
		said[i] = strings.ReplaceAll(readAll(t, log)+readAll(t, out), b.dir, "BUNDLE")
		if _, err := os.Stat(filepath.Join(root, "tmp", "gone")); err == nil {
			t.Errorf("%s: the hook wrote below a mount", r.name)
		}
		nothingLeft(t, r, id)
	}
	if said[0] != said[1] || !strings.Contains(said[1], "from the hook\na library\n") {
		t.Errorf("runc:\n%s\nrunsc:\n%s", said[0], said[1])
	}
}
