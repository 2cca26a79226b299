package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// runtime is something that can run a command.
type runtime struct {
	name string
	st   *stage
	path string   // empty: native
	args []string // global arguments
	n    int      // runs so far, for container names
}

var environment = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp"}

// run runs args once and returns what it printed.
func (r *runtime) run(args []string) (string, error) {
	r.n++
	var cmd *exec.Cmd
	if r.path == "" {
		cmd = &exec.Cmd{Path: args[0], Args: args, Env: environment, Dir: "/"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: r.st.native, Pdeathsig: unix.SIGKILL}
	} else {
		bundle, err := r.st.writeBundle(r.name, args)
		if err != nil {
			return "", err
		}
		id := fmt.Sprintf("bench-%s-%d", r.name, r.n)
		cmd = exec.Command(r.path, append(append([]string{}, r.args...), "run", "--bundle", bundle, id)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	}
	var out, errb bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errb
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(errb.String()))
	}
	return out.String(), nil
}

// writeBundle writes the bundle that runs args: this machine's root, read-only.
func (st *stage) writeBundle(name string, args []string) (string, error) {
	bundle := filepath.Join(st.dir, "bundle-"+name)
	if err := os.MkdirAll(bundle, 0o755); err != nil {
		return "", err
	}
	mount := func(dst, typ, src string, opts ...string) map[string]any {
		return map[string]any{"destination": dst, "type": typ, "source": src, "options": opts}
	}
	caps := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETUID", "CAP_SETGID", "CAP_KILL"}
	config := map[string]any{
		"ociVersion": "1.0.2",
		"process": map[string]any{
			"user": map[string]int{"uid": 0, "gid": 0}, "args": args, "cwd": "/", "env": environment,
			"capabilities": map[string]any{"bounding": caps, "effective": caps, "permitted": caps},
		},
		"root": map[string]any{"path": st.rootfs, "readonly": true},
		"mounts": []any{
			mount("/proc", "proc", "proc"), mount("/dev", "tmpfs", "tmpfs", "nosuid", "mode=755"),
			mount("/tmp", "tmpfs", "tmpfs", "mode=1777"), mount(sharedDir, "bind", st.share, "bind", "ro"),
		},
		"linux": map[string]any{
			"cgroupsPath": "/bench-" + name,
			"namespaces": []map[string]string{
				{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "network"},
			},
		},
	}
	data, err := json.Marshal(config)
	if err != nil {
		return "", err
	}
	return bundle, os.WriteFile(filepath.Join(bundle, "config.json"), data, 0o644)
}
