package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// bootScript boots systemd, without any of the machine's own units, in namespaces of its own:
// it becomes the first process of a pid namespace, and its control groups are beneath $GROUP.
const bootScript = `set -e
for dir in /sys/fs/cgroup/*/; do
	[ -e "$dir/cgroup.procs" ] || continue
	mkdir -p "$dir/$GROUP"
	for file in cpuset.cpus cpuset.mems; do
		if [ -e "$dir/$GROUP/$file" ]; then cat "$dir/$file" > "$dir/$GROUP/$file"; fi
	done
	echo $$ > "$dir/$GROUP/cgroup.procs"
done
exec unshare --pid --mount --cgroup --uts --ipc --propagation private --fork --kill-child sh -ec '
	mount -t proc proc /proc
	# The settings of the machine are not its to change.
	mount --bind /proc/sys /proc/sys
	mount -o remount,bind,ro /proc/sys
	# Each hierarchy again, to see it from the group.
	grep -E " /sys/fs/cgroup/[^ ]+ cgroup2? " /proc/mounts | while read -r _ dir type options _; do
		umount "$dir"
		options=$(echo "$options" | tr , "\n" | grep -vE "^(rw|ro|relatime|noexec|nosuid|nodev|nsdelegate|xattr|clone_children|release_agent=.*)$" | tr "\n" ,)
		options=${options%,}
		case $options in name=*) options=none,$options ;; esac
		mount -t "$type" ${options:+-o "$options"} cgroup "$dir"
	done
	mount -t tmpfs tmpfs /run
	export container=test SYSTEMD_UNIT_PATH="$UNITS:/run/systemd/transient" SYSTEMD_GENERATOR_PATH="$UNITS/none" SYSTEMD_ENVIRONMENT_GENERATOR_PATH="$UNITS/none"
	exec /lib/systemd/systemd --system --unit=default.target --log-target=console'
`

// bootSystemd returns the pid of a systemd of the test's own.
func bootSystemd(t *testing.T) int {
	t.Helper()
	if _, err := os.Stat("/lib/systemd/systemd"); err != nil {
		t.Fatalf("%v: run tools/deps.sh first", err)
	}
	units, group := t.TempDir(), idPrefix+"systemd-"+fmt.Sprint(os.Getpid())
	for _, name := range []string{"default", "basic", "sysinit", "shutdown", "umount", "exit"} {
		if err := os.WriteFile(filepath.Join(units, name+".target"), []byte("[Unit]\nDefaultDependencies=no\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("sh", "-c", bootScript)
	cmd.Env = append(os.Environ(), "GROUP="+group, "UNITS="+units)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // and systemd with it, and with that the pid namespace
		_ = cmd.Wait()
		dropGroups(t, group)
	})
	for range 3000 {
		time.Sleep(20 * time.Millisecond)
		child, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid))
		pid := strings.TrimSpace(string(child))
		if st, err := os.Stat("/proc/" + pid + "/root/run/systemd/private"); err == nil && pid != "" && st.Mode()&os.ModeSocket != 0 {
			var n int
			_, _ = fmt.Sscan(pid, &n)
			return n
		}
	}
	t.Fatalf("systemd did not come up:\n%s", readAll(t, log.Name()))
	return 0
}

// dropGroups removes a control group and what is beneath it once its processes are gone.
func dropGroups(t *testing.T, group string) {
	tops, _ := filepath.Glob("/sys/fs/cgroup/*/" + group)
	for range 3000 {
		left := 0
		for _, top := range tops {
			var dirs []string
			_ = filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					dirs = append(dirs, path)
				}
				return nil
			})
			for i := len(dirs) - 1; i >= 0; i-- {
				if syscall.Rmdir(dirs[i]) != nil {
					left++
				}
			}
		}
		if left == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("control groups of %s are still in use", group)
}

// TestSystemdCgroup: the scope that a real systemd makes, and what is in it, beside runc's.
func TestSystemdCgroup(t *testing.T) {
	pid := bootSystemd(t)
	in := []string{"--target", fmt.Sprint(pid), "--mount", "--pid", "--cgroup"}
	b := newBundle(t, script1("exec sleep 1000"), func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: ptr(uint64(512)), Quota: ptr(int64(50000)), Period: ptr(uint64(100000))},
			Memory: &specs.LinuxMemory{Limit: ptr(int64(256 << 20))}, Pids: &specs.LinuxPids{Limit: ptr(int64(50))}}
	})
	var said [2][]string
	for i, r := range []*runtimeUnderTest{peerRunc(t), ours(t, "--systemd-cgroup")} {
		enter := filepath.Join(t.TempDir(), r.name)
		if err := os.WriteFile(enter, []byte(fmt.Sprintf("#!/bin/sh\nexec nsenter %s %s \"$@\"\n", strings.Join(in, " "), r.bin)), 0o755); err != nil {
			t.Fatal(err)
		}
		r.bin, r.flags = enter, []string{"--systemd-cgroup"}
		s := &transcript{t: t, r: r, id: newID()}
		s.systemdLife(b, in)
		said[i] = s.lines
	}
	if runc, runsc := strings.Join(said[0], "\n"), strings.Join(said[1], "\n"); runc != runsc {
		t.Errorf("runc:\n%s\nrunsc:\n%s", runc, runsc)
	}
}

// systemdLife notes what systemd knows of a container.
func (s *transcript) systemdLife(b *bundle, in []string) {
	t, r, id := s.t, s.r, s.id
	inside := func(args ...string) string {
		ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
		defer cancel()
		out, err := exec.CommandContext(ctx, "nsenter", append(append([]string{}, in...), args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	unit := "p-" + id + ".scope"
	show := func(names string) string { return inside("systemctl", "show", unit, "--property", names) }
	limit := func() string {
		text := show("MemoryLimit,MemoryMax")
		return regexp.MustCompile(`=\d+`).FindString(text)
	}
	b.spec.Linux.CgroupsPath = "test-inner.slice:p:" + id
	b.write()
	r.detached(t, "create", "--bundle", b.dir, id).must(t, "create")
	s.note("%s", show("Slice,ControlGroup,Delegate,DefaultDependencies,CPUShares,CPUWeight,CPUQuotaPerSecUSec,ActiveState"))
	before := limit()
	s.note("limited: %v", before != "")
	// systemd writes what it knows into the groups when it reads its units again.
	inside("systemctl", "daemon-reload")
	s.note("limited after a reload: %v", limit() == before)
	s.step("start", id)
	s.step("exec", id, "echo", "in")
	s.step("update", "--memory", "314572800", id)
	s.note("updated: %v", limit() != before)
	if r.name == "runsc" {
		// A scope that is taken stays its owner's, also when the other container is undone.
		if a := r.detached(t, "create", "--bundle", b.dir, id+"-2"); a.code == 0 || !strings.Contains(a.err, "unable to start unit") {
			t.Errorf("create with a scope that is taken: %d %s", a.code, a.err)
		}
		r.do(t, "", "exec", id, "true").must(t, "exec after that")
	}
	host := inside("sh", "-c", "cat /sys/fs/cgroup/*/test.slice/test-inner.slice/"+unit+"/cgroup.procs | sort -u | grep -c . || true")
	s.note("has processes: %v", host != "0")
	s.step("delete", "--force", id)
	s.note("%s", show("ActiveState"))
	// Slices that are empty now may go while it looks.
	s.note("groups: %q", inside("sh", "-c", "find /sys/fs/cgroup -name "+unit+" 2>/dev/null || true"))
}
