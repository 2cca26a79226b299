package engines

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// insideEnv marks the process that runs in the namespaces; its value is the name of the
// group that all control groups are made beneath.
const insideEnv = "ENGINES_INSIDE"

// work is the folder of everything that the engines keep, a tmpfs of the namespace.
const work = "/run/engines"

func TestMain(m *testing.M) {
	if group := os.Getenv(insideEnv); group != "" {
		os.Exit(inside(m, group))
	}
	code, err := outside()
	if err != nil {
		fmt.Fprintln(os.Stderr, "engines:", err)
		code = 1
	}
	os.Exit(code)
}

// outside runs this binary again in new namespaces and removes what outlives those.
func outside() (int, error) {
	if os.Geteuid() != 0 {
		return 1, errors.New("engines need root")
	}
	removeStale()
	group := fmt.Sprintf("engines-%d", os.Getpid())
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideEnv+"="+group)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNET, Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL,
	}
	sigs := make(chan os.Signal, 1)
	signal.Notify(sigs, unix.SIGINT, unix.SIGTERM)
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("make namespaces: %w", err)
	}
	go func() {
		<-sigs
		_ = cmd.Process.Kill()
	}()
	err := cmd.Wait()
	left := removeGroups(group)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return 1, nil
	case err != nil:
		return 1, err
	}
	return 0, left
}

// removeGroups removes what is left beneath the control group, whose processes have ended.
func removeGroups(group string) error {
	var left error
	dirs, _ := filepath.Glob("/sys/fs/cgroup/*/" + group)
	for _, dir := range append(dirs, "/sys/fs/cgroup/"+group) {
		for range 50 {
			var found []string
			_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					found = append(found, path)
				}
				return nil
			})
			left = nil
			for i := len(found) - 1; i >= 0; i-- {
				if err := unix.Rmdir(found[i]); err != nil {
					left = fmt.Errorf("remove %s: %w", found[i], err)
				}
			}
			if left == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return left
}

// removeStale removes the groups of runs that were killed.
func removeStale() {
	dirs, _ := filepath.Glob("/sys/fs/cgroup/*/engines-*")
	for _, dir := range dirs {
		var pid int
		if _, err := fmt.Sscanf(filepath.Base(dir), "engines-%d", &pid); err == nil && unix.Kill(pid, 0) == unix.ESRCH {
			_ = removeGroups(filepath.Base(dir)) // what still runs there is not ours to end
		}
	}
}

// inside prepares the namespaces and runs the tests as their process 1.
func inside(m *testing.M, group string) int {
	if err := furnish(); err != nil {
		fmt.Fprintln(os.Stderr, "engines:", err)
		return 1
	}
	cgroupParent = "/" + group
	// Daemons leave processes to process 1. Those that this process starts itself are
	// waited for by their own pids; the others only here.
	go reapOrphans()
	code := m.Run()
	stopDaemons()
	return code
}

// cgroupParent is where engines put their control groups.
var cgroupParent string

// furnish gives the mount namespace its own /proc and private, empty folders where engines
// and runtimes keep state.
func furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, dir := range []string{"/run", "/var/lib/cni", "/etc/cni", "/etc/containers", "/var/lib/containers", "/var/lib/docker", "/var/lib/containerd"} {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("mount a tmpfs at %s: %w", dir, err)
		}
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	return exec.Command("ip", "link", "set", "lo", "up").Run()
}

// reapOrphans waits for children of process 1 that are zombies and that nobody here
// started.
func reapOrphans() {
	for {
		time.Sleep(100 * time.Millisecond)
		for _, pid := range orphans() {
			ownChildren.Lock()
			if !ownChildren.pids[pid] {
				_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
			}
			ownChildren.Unlock()
		}
	}
}

// orphans lists zombies whose parent is process 1 and whose session is not its own: what
// this process starts itself stays in its session.
func orphans() []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		var pid, ppid, pgrp, session int
		var state byte
		text := string(data)
		if _, err := fmt.Sscanf(text[strings.LastIndexByte(text, ')')+1:], " %c %d %d %d", &state, &ppid, &pgrp, &session); err != nil {
			continue
		}
		if _, err := fmt.Sscanf(filepath.Base(filepath.Dir(file)), "%d", &pid); err == nil && state == 'Z' && ppid == 1 && session != ownSession {
			pids = append(pids, pid)
		}
	}
	return pids
}

var ownSession, _ = unix.Getsid(0)

// ownChildren are children in sessions of their own that are waited for elsewhere.
var ownChildren = struct {
	sync.Mutex
	pids map[int]bool
}{pids: map[int]bool{}}
