package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// runtime is something that can run a command.
type runtime struct {
	name string
	path string   // empty: native
	args []string // global arguments
	n    int      // runs so far, for container names
}

func findRuntimes(dir, runscPath, peer string) []*runtime {
	list := []*runtime{{name: "native"}}
	if p, err := exec.LookPath("runc"); err == nil {
		list = append(list, &runtime{name: "runc", path: p, args: []string{"--root", filepath.Join(dir, "runc")}})
	}
	if peer != "" {
		list = append(list, &runtime{name: "peer", path: peer, args: []string{"--root", filepath.Join(dir, "peer"), "--network=none"}})
	}
	abs, err := filepath.Abs(runscPath)
	if err != nil {
		abs = runscPath
	}
	return append(list, &runtime{name: "runsc", path: abs, args: []string{"--root", filepath.Join(dir, "runsc"), "--network=none"}})
}

// native runs the command in a mount namespace that looks like the bundle.
const native = `mount -t tmpfs none /tmp && mkdir -p /tmp/.b && exec "$@"`

// run runs args once and returns what it printed.
func (r *runtime) run(dir, micro string, args []string) (string, error) {
	r.n++
	var cmd *exec.Cmd
	if r.path == "" {
		if args[0] == "/bench/micro" {
			args = append([]string{"/mnt/micro"}, args[1:]...)
		}
		script := `mount --bind "$0" /mnt && ` + native
		cmd = exec.Command("unshare", append([]string{"-m", "--propagation", "private", "sh", "-c", script, filepath.Dir(micro)}, args...)...)
	} else {
		bundle, err := writeBundle(dir, r.name, micro, args)
		if err != nil {
			return "", err
		}
		id := fmt.Sprintf("bench-%s-%d-%d", r.name, os.Getpid(), r.n)
		cmd = exec.Command(r.path, append(append([]string{}, r.args...), "run", "--bundle", bundle, id)...)
	}
	var out, errb bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errb
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(errb.String()))
	}
	return out.String(), nil
}

// writeBundle writes the bundle that runs args: this machine's root, read-only.
func writeBundle(dir, name, micro string, args []string) (string, error) {
	bundle := filepath.Join(dir, "bundle-"+name)
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
			"user": map[string]int{"uid": 0, "gid": 0}, "args": args, "cwd": "/",
			"env":          []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp"},
			"capabilities": map[string]any{"bounding": caps, "effective": caps, "permitted": caps},
		},
		"root": map[string]any{"path": "/", "readonly": true},
		"mounts": []any{
			mount("/proc", "proc", "proc"), mount("/dev", "tmpfs", "tmpfs", "nosuid", "mode=755"),
			mount("/tmp", "tmpfs", "tmpfs", "mode=1777"), mount("/mnt", "bind", filepath.Dir(micro), "bind", "ro"),
		},
		"linux": map[string]any{"namespaces": []map[string]string{
			{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "network"},
		}},
	}
	if args[0] == "/bench/micro" {
		config["process"].(map[string]any)["args"] = append([]string{"/mnt/micro"}, args[1:]...)
	}
	data, err := json.Marshal(config)
	if err != nil {
		return "", err
	}
	return bundle, os.WriteFile(filepath.Join(bundle, "config.json"), data, 0o644)
}
