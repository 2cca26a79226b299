package confine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// goferCaps: CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, MKNOD, SETFCAP.
const (
	noCaps    = "0000000000000000"
	goferCaps = "000000008800001f"
	nobody    = "65534 65534 65534 65534"
)

// TestSentryStatus reads every thread of a live Sentry from outside.
func TestSentryStatus(t *testing.T) {
	sb := startSandbox(t, newConfig(t))
	checkThreads(t, sb.SentryPID, map[string]string{
		"Uid": nobody, "Gid": nobody, "Groups": "",
		"CapInh": noCaps, "CapPrm": noCaps, "CapEff": noCaps, "CapBnd": noCaps, "CapAmb": noCaps,
		"NoNewPrivs": "1", "Seccomp": "2", "Seccomp_filters": "1",
	})
	nspid := strings.Fields(status(t, fmt.Sprintf("/proc/%d/status", sb.SentryPID))["NSpid"])
	if nspid[len(nspid)-1] != "1" {
		t.Errorf("NSpid %v: not process 1 of its own namespace", nspid)
	}
}

// TestGoferStatus does the same for the Gofer.
func TestGoferStatus(t *testing.T) {
	sb := startSandbox(t, newConfig(t))
	checkThreads(t, sb.GoferPID, map[string]string{
		"Groups": "", "CapInh": noCaps, "CapPrm": goferCaps, "CapEff": goferCaps, "CapBnd": goferCaps,
		"CapAmb": noCaps, "NoNewPrivs": "1", "Seccomp": "2", "Seccomp_filters": "1",
	})
}

func checkThreads(t *testing.T, pid int, want map[string]string) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) < 2 {
		t.Fatalf("threads of %d: %v %v", pid, tasks, err)
	}
	seen := 0
	for _, path := range tasks {
		got := status(t, path)
		if got == nil {
			continue
		}
		seen++
		for name, value := range want {
			if v, ok := got[name]; ok && v != value {
				t.Errorf("%s: %s is %q, want %q", path, name, v, value)
			} else if !ok && name != "Seccomp_filters" {
				t.Errorf("%s: no %s", path, name)
			}
		}
	}
	if seen < 2 {
		t.Errorf("process %d: %d threads seen", pid, seen)
	}
}

// TestNamespaces compares with this process's own.
func TestNamespaces(t *testing.T) {
	sb := startSandbox(t, newConfig(t))
	for _, ns := range []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"} {
		host := readlink(t, "/proc/self/ns/"+ns)
		sentry := readlink(t, fmt.Sprintf("/proc/%d/ns/%s", sb.SentryPID, ns))
		gofer := readlink(t, fmt.Sprintf("/proc/%d/ns/%s", sb.GoferPID, ns))
		if sentry == host || sentry == gofer {
			t.Errorf("%s: Sentry %s, Gofer %s, host %s", ns, sentry, gofer, host)
		}
		if ns != "user" && gofer == host {
			t.Errorf("%s: the Gofer shares the host's", ns)
		}
	}
}

func readlink(t *testing.T, path string) string {
	t.Helper()
	s, err := os.Readlink(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSentryRoot checks that there is one mount, empty, read-only and sealed.
func TestSentryRoot(t *testing.T) {
	sb := startSandbox(t, newConfig(t))
	mounts := mountinfo(t, sb.SentryPID)
	if len(mounts) != 1 {
		t.Fatalf("mounts: %q", mounts)
	}
	for _, flag := range []string{"ro", "nosuid", "nodev", "noexec"} {
		if !slices.Contains(strings.Split(mounts[0][5], ","), flag) {
			t.Errorf("the root lacks %s: %q", flag, mounts[0])
		}
	}
	ents, err := os.ReadDir(fmt.Sprintf("/proc/%d/root/", sb.SentryPID))
	if err != nil || len(ents) != 0 {
		t.Errorf("root: %v %v", ents, err)
	}
	if cwd := readlink(t, fmt.Sprintf("/proc/%d/cwd", sb.SentryPID)); cwd != "/" {
		t.Errorf("working directory %q", cwd)
	}
}

func mountinfo(t *testing.T, pid int) [][]string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	var mounts [][]string
	for line := range strings.Lines(string(data)) {
		mounts = append(mounts, strings.Fields(line))
	}
	return mounts
}

// TestGoferRoot checks that the Gofer's tree holds its root and nothing of the host.
func TestGoferRoot(t *testing.T) {
	sb := startSandbox(t, newConfig(t))
	var points []string
	for _, m := range mountinfo(t, sb.GoferPID) {
		points = append(points, m[4])
		if opts := strings.Split(m[5], ","); !slices.Contains(opts, "ro") || !slices.Contains(opts, "nodev") ||
			!slices.Contains(opts, "nosuid") {
			t.Errorf("%s: %v (the overlay makes everything read-only)", m[4], opts)
		}
	}
	slices.Sort(points)
	if !slices.Equal(points, []string{"/", "/trees/root"}) {
		t.Errorf("mounts: %v", points)
	}
}

// TestFDs: nothing but what was donated, and the runtime's poller. A file that runsc
// inherited without close-on-exec must not leak.
func TestFDs(t *testing.T) {
	leak, err := unix.Open("/etc", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	cfg := newConfig(t)
	if cfg.Stdio[1], err = os.Create(filepath.Join(cfg.StateDir, "out")); err != nil {
		t.Fatal(err)
	}
	sb := startSandbox(t, cfg)
	state := func(name string) string { return filepath.Join(cfg.StateDir, name) }
	check := func(pid int, allowed map[string]int) {
		fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		if err != nil || len(fds) == 0 {
			t.Fatal(err)
		}
		for _, fd := range fds {
			to := readlink(t, fd)
			kind := to
			if strings.HasPrefix(to, "socket:") {
				kind = "socket"
			}
			if allowed[kind]--; allowed[kind] < 0 {
				t.Errorf("%s -> %s was not donated", fd, to)
			}
		}
	}
	// Sockets: sync and Gofer connection.
	check(sb.SentryPID, map[string]int{"/dev/null": 1, state("sentry.log"): 2, state("out"): 1, "socket": 2,
		"anon_inode:[eventpoll]": 1, "anon_inode:[eventfd]": 1})
	check(sb.GoferPID, map[string]int{"/dev/null": 1, state("gofer.log"): 2, "socket": 2,
		"anon_inode:[eventpoll]": 1, "anon_inode:[eventfd]": 1, "anon_inode:[pidfd]": 1, "pidfd:[": 1,
		"/trees/root": 1})
}

// TestSameUser: the host may run other processes as the Sentry's user.
func TestSameUser(t *testing.T) {
	sb := startSandbox(t, newConfig(t))
	for _, what := range []string{"environ", "maps", "fd/0", "root/", "mem"} {
		path := fmt.Sprintf("/proc/%d/%s", sb.SentryPID, what)
		out, err := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "head", "-c1", path).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "ermission denied") {
			t.Errorf("nobody reads %s: %q %v", path, out, err)
		}
	}
}

// TestLimits reads what else is visible from outside.
func TestLimits(t *testing.T) {
	sb := startSandbox(t, newConfig(t))
	for _, pid := range []int{sb.SentryPID, sb.GoferPID} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line)
			if strings.HasPrefix(line, "Max core file size") && (f[4] != "0" || f[5] != "0") {
				t.Errorf("%d: %s", pid, line)
			}
			if strings.HasPrefix(line, "Max open files") && f[4] != "20000" && f[4] == "0" {
				t.Errorf("%d: %s", pid, line)
			}
		}
		if sid, err := unix.Getsid(pid); err != nil || sid != pid {
			t.Errorf("session of %d: %d %v", pid, sid, err)
		}
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil || strings.Contains(string(env), "PATH=") {
			t.Errorf("environment of %d: %q %v", pid, env, err)
		}
	}
}
