package confine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"lazaret/runsc/sandbox"
)

// hostMounts are mount points of kernel interfaces on every host.
var hostMounts = []string{"proc", "sys", "dev/pts"}

// checkNoKernel looks at a Gofer's tree of "/" through its own root: no way to it leads to
// a kernel's file system.
func checkNoKernel(t *testing.T, pid int) {
	t.Helper()
	root := fmt.Sprintf("/proc/%d/root/trees/root/", pid)
	for _, name := range hostMounts {
		ents, err := os.ReadDir(root + name)
		if err != nil && !os.IsNotExist(err) {
			t.Errorf("%s: %v", name, err)
		}
		if len(ents) != 0 {
			t.Errorf("%s has %d entries, %s...", name, len(ents), ents[0].Name())
		}
	}
	if _, err := os.Stat(root + "etc/passwd"); err != nil {
		t.Errorf("the rest of the tree: %v", err)
	}
}

// TestHostRoot: a root of "/" does not bring the host's /proc and the like.
func TestHostRoot(t *testing.T) {
	cfg := newConfig(t)
	cfg.Spec.Root.Path = "/"
	sb := startSandbox(t, cfg)
	checkNoKernel(t, sb.GoferPID)
	kernels := "proc sysfs cgroup cgroup2 devpts devtmpfs mqueue debugfs tracefs securityfs bpf nsfs"
	for _, m := range mountinfo(t, sb.GoferPID) {
		i := 6
		for m[i] != "-" {
			i++
		}
		for _, k := range strings.Fields(kernels) {
			if m[i+1] == k {
				t.Errorf("%s at %s", k, m[4])
			}
		}
	}
}

// TestHostRootRootless: a user namespace may not unmount what it was given.
func TestHostRootRootless(t *testing.T) {
	cfg := newConfig(t)
	cfg.Spec.Root.Path = "/"
	exe := giveTo(t, cfg)
	r := &runner{cmd: exec.Command(exe, "start")}
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: plainUser, Gid: plainUser}}
	startWith(t, r, cfg)
	defer r.kill()
	for line := ""; !strings.HasPrefix(line, "started"); {
		var err error
		if line, err = r.line(); err != nil || strings.HasPrefix(line, "error") {
			t.Fatalf("%q %v: %s", line, err, logs(cfg))
		}
	}
	checkNoKernel(t, r.pids[len(r.pids)-1])
	r.kill()
	waitGone(t, r.pids...)
}

// TestStackedKernels: procs on one another, on a file and under a path with a space.
func TestStackedKernels(t *testing.T) {
	cfg := newConfig(t)
	rootfs := filepath.Join(cfg.Bundle, "rootfs")
	mount := func(source, name, fsType string, flags uintptr) {
		t.Helper()
		p := filepath.Join(rootfs, name)
		must(t, unix.Mount(source, p, fsType, flags, ""))
		t.Cleanup(func() { _ = unix.Unmount(p, unix.MNT_DETACH) })
	}
	must(t, os.MkdirAll(filepath.Join(rootfs, "a b", "kept"), 0o755))
	must(t, os.WriteFile(filepath.Join(rootfs, "file"), nil, 0o644))
	must(t, os.MkdirAll(filepath.Join(rootfs, "data"), 0o755))
	for range 3 {
		mount("proc", "a b", "proc", 0)
	}
	mount("/proc/sys/kernel/ostype", "file", "", unix.MS_BIND)
	mount("data", "data", "tmpfs", 0)
	must(t, os.WriteFile(filepath.Join(rootfs, "data", "kept"), nil, 0o644))
	sb := startSandbox(t, cfg)
	root := fmt.Sprintf("/proc/%d/root/trees/root/", sb.GoferPID)
	for _, p := range []string{"a b/kept", "data/kept"} {
		if _, err := os.Stat(root + p); err != nil {
			t.Error(err)
		}
	}
	if data, err := os.ReadFile(root + "file"); err != nil || len(data) != 0 {
		t.Errorf("file: %q %v", data, err)
	}
}

// TestBindKernel: the host's /proc is refused, /sys/fs/cgroup comes with its mounts, and
// /sys without debugfs and such.
func TestBindKernel(t *testing.T) {
	for _, src := range []string{"/proc", "/proc/sys", "/proc/self/status", "/proc/self/ns/net"} {
		cfg := newConfig(t)
		cfg.Spec.Mounts = []specs.Mount{{Destination: "/x", Type: "bind", Source: src, Options: []string{"rbind"}}}
		sb, err := sandbox.Start(cfg)
		if err == nil {
			sb.Kill()
			t.Errorf("%s was bound", src)
		} else if !strings.Contains(err.Error(), "of the host") && !strings.Contains(err.Error(), "host's /proc") ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q", src, err)
		}
	}
	cfg := newConfig(t)
	cfg.Spec.Mounts = []specs.Mount{{Destination: "/sys", Type: "bind", Source: "/sys", Options: []string{"rbind", "ro"}}}
	sb := startSandbox(t, cfg)
	for _, p := range []string{"kernel", "fs/cgroup"} {
		ents, err := os.ReadDir(fmt.Sprintf("/proc/%d/root/trees/m0/%s", sb.GoferPID, p))
		if err != nil || len(ents) == 0 {
			t.Errorf("%s: %v %v", p, ents, err)
		}
	}
}
