package e2e

import (
	"strconv"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// pod makes a spec the pod's own container, or one of pod id's.
func pod(id string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		if id == "" {
			s.Annotations = map[string]string{"io.kubernetes.cri.container-type": "sandbox"}
			return
		}
		s.Annotations = map[string]string{"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": id}
	}
}

// TestPod: containers share a sandbox, and each lives and dies alone.
func TestPod(t *testing.T) {
	r := ours(t)
	sandbox := newBundle(t, forever, pod("")).started(r)
	a := newBundle(t, forever, pod(sandbox), func(s *specs.Spec) { s.Hostname = "a" }).started(r)
	// What b says goes to a file of the host.
	b := newBundle(t, script1("trap 'exit 6' TERM; while :; do sleep 0.05; done"), pod(sandbox)).started(r)
	inside := func(id, script string) string {
		t.Helper()
		return r.do(t, "", "exec", id, "sh", "-c", script).must(t, "exec").out
	}
	if pods, one := r.stateOf(t, sandbox), r.stateOf(t, a); pods.PID == one.PID || one.PID == 0 || one.Status != "running" {
		t.Errorf("pod %+v, container %+v", pods, one)
	}
	if got := inside(a, "hostname; echo $$ > /tmp/mine; ls /tmp"); got != "a\nmine\n" {
		t.Errorf("in a: %q", got)
	}
	if got := inside(b, "ls /tmp; ps -o pid,args | grep -c '^ *1 sh -c trap'"); got != "1\n" {
		t.Errorf("in b, with a pid namespace of its own and its own files: %q", got)
	}
	if got := r.do(t, "", "list", "--quiet").out; strings.Count(got, "\n") != 3 {
		t.Errorf("list:\n%s", got)
	}
	pid := r.stateOf(t, b).PID
	r.do(t, "", "kill", b, "TERM").must(t, "kill")
	r.awaitStatus(t, b, "stopped")
	if _, err := syscall.Wait4(pid, nil, 0, nil); err == nil {
		t.Error("the process of b was a child of the test")
	}
	r.do(t, "", "delete", b).must(t, "delete")
	if got := inside(a, "cat /tmp/mine | wc -l"); got != "1\n" {
		t.Errorf("a after the end of b: %q", got)
	}
	// The pid that engines know is a process that passes signals on and ends with it.
	c := newBundle(t, script1("trap 'exit 0' USR1; : > /tmp/ready; while :; do sleep 0.05; done"), pod(sandbox)).started(r)
	r.awaitReady(t, c)
	if err := syscall.Kill(r.stateOf(t, c).PID, syscall.SIGUSR1); err != nil {
		t.Error(err)
	}
	r.awaitStatus(t, c, "stopped")
	if st := r.stateOf(t, a); st.Status != "running" {
		t.Errorf("a is %s", st.Status)
	}
	// With the pod's own container everything ends.
	r.do(t, "", "kill", sandbox, "KILL").must(t, "kill")
	for _, id := range []string{sandbox, a} {
		r.awaitStatus(t, id, "stopped")
	}
}

// TestPodSharedPID: a container that names the pod's pid namespace sees its processes.
func TestPodSharedPID(t *testing.T) {
	r := ours(t)
	sandbox := newBundle(t, forever, pod("")).started(r)
	pidns := "/proc/" + strconv.Itoa(r.stateOf(t, sandbox).PID) + "/ns/pid"
	a := newBundle(t, forever, pod(sandbox), func(s *specs.Spec) {
		for i := range s.Linux.Namespaces {
			if s.Linux.Namespaces[i].Type == specs.PIDNamespace {
				s.Linux.Namespaces[i].Path = pidns
			}
		}
	}).started(r)
	if got := r.do(t, "", "exec", a, "sh", "-c", "ps -o ppid,args | grep -c '^ *0 sh -c trap'; cat /proc/1/comm").must(t, "exec").out; got != "2\nsh\n" {
		t.Errorf("processes in a: %q", got)
	}
	r.do(t, "", "kill", a, "KILL").must(t, "kill")
	r.awaitStatus(t, a, "stopped")
	if st := r.stateOf(t, sandbox); st.Status != "running" {
		t.Errorf("the pod is %s", st.Status)
	}
}

// TestPodErrors: what cannot be joined is named.
func TestPodErrors(t *testing.T) {
	r := ours(t)
	id := newID()
	a := newBundle(t, pod("no-such-pod")).run(r, "")
	if a.code != 1 || !strings.Contains(a.err, "no-such-pod") || strings.Count(a.err, "\n") != 1 {
		t.Errorf("exit code %d\n%s", a.code, a.err)
	}
	nothingLeft(t, r, id)
}

// TestUserNamespace: ids of the container are mapped ids of the host.
func TestUserNamespace(t *testing.T) {
	maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 1000}, {ContainerID: 1000, HostID: 200000, Size: 10}}
	b := newBundle(t, func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings, s.Linux.GIDMappings = maps, maps
	}, user(1000, 1000), script1("id -u; id -g; cat /proc/self/uid_map | tr -s ' '; touch /tmp/f; stat -c %u:%g /tmp/f; stat -c %u /etc"))
	got := b.run(ours(t), "")
	if got.code != 0 {
		t.Errorf("exit code %d\n%s%s", got.code, got.out, got.err)
	}
	if want := "1000\n1000\n"; !strings.HasPrefix(got.out, want) || !strings.Contains(got.out, "\n1000:1000\n65534\n") {
		t.Errorf("output %q", got.out)
	}
}
