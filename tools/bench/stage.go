package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// insideEnv marks the child that measures.
const insideEnv = "LAZARET_BENCH_INSIDE"

// reexec runs the bench again in mount and pid namespaces of its own.
func reexec(*options) error {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID, Pdeathsig: unix.SIGKILL,
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		os.Exit(exit.ExitCode()) // it has said why
	}
	return err
}

// sharedDir is where the micro program is, in every runtime.
const sharedDir = "/mnt"

// stage is the directory of the bench: a tmpfs that only its mount namespace has.
type stage struct {
	dir    string
	share  string // bound to sharedDir
	rootfs string // the bundle's root: a mount of this machine's root
	native string // the same with what the bundle mounts
}

// newStage makes the mounts. They end with the namespace.
func newStage() (*stage, error) {
	st := &stage{dir: sharedDir}
	st.share, st.rootfs, st.native = st.dir+"/share", st.dir+"/rootfs", st.dir+"/native"
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("make mounts private: %w (bench needs root)", err)
	}
	for _, m := range []struct {
		source, target, typ string
		flags               uintptr
		data                string
	}{
		{"proc", "/proc", "proc", 0, ""}, // of the pid namespace
		{"bench", st.dir, "tmpfs", 0, "mode=755"},
		{"/", st.rootfs, "", unix.MS_BIND, ""},
		{"/", st.native, "", unix.MS_BIND, ""},
		{"", st.native, "", unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY, ""},
		{"/proc", st.native + "/proc", "", unix.MS_BIND, ""},
		{"/dev", st.native + "/dev", "", unix.MS_BIND, ""},
		{"tmp", st.native + "/tmp", "tmpfs", 0, "mode=1777"},
		{st.share, st.native + sharedDir, "", unix.MS_BIND, ""},
	} {
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return nil, err
		}
		if m.target == st.dir+"/share" {
			continue
		}
		if err := unix.Mount(m.source, m.target, m.typ, m.flags, m.data); err != nil {
			return nil, fmt.Errorf("mount %s: %w", m.target, err)
		}
		if m.target == st.dir {
			if err := os.Mkdir(st.share, 0o755); err != nil {
				return nil, err
			}
		}
	}
	return st, nil
}

// findRuntimes lists what there is to compare.
func (st *stage) findRuntimes(runscPath, peer string) ([]*runtime, error) {
	list := []*runtime{{name: baseline, st: st}}
	if p, err := exec.LookPath("runc"); err == nil {
		list = append(list, &runtime{name: "runc", st: st, path: p})
	}
	if peer != "" {
		list = append(list, &runtime{name: "peer", st: st, path: peer, args: []string{"--network=none"}})
	}
	abs, err := filepath.Abs(runscPath)
	if err != nil {
		return nil, err
	}
	list = append(list, &runtime{name: "runsc", st: st, path: abs})
	for _, r := range list[1:] {
		r.args = append([]string{"--root", filepath.Join(st.dir, "state-"+r.name)}, r.args...)
	}
	return list, nil
}
