package shim

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socketDir is where containerd expects shims' sockets and removes forgotten ones.
const socketDir = "/run/containerd/s"

// groupAnnotations name the pod whose shim serves a container.
var groupAnnotations = []string{"io.kubernetes.cri.sandbox-id", "io.containerd.runc.v2.group"}

// start finds or starts the shim of a task and prints its address.
func start(c *config) error {
	if c.namespace == "" || c.id == "" {
		return errors.New("start: -namespace and -id are needed")
	}
	group, err := groupOf(".", c.id)
	if err != nil {
		return err
	}
	path := c.socket
	if path == "" {
		path = socketPath(c.address, c.namespace, group)
	}
	listener, err := listen(path)
	if errors.Is(err, errServed) {
		return report(path)
	}
	if err != nil {
		return err
	}
	defer listener.Close()
	cmd, err := spawn(c, listener)
	if err != nil {
		_ = os.Remove(path)
		return err
	}
	if err := writeShimFiles(cmd.Process.Pid); err != nil {
		_ = cmd.Process.Kill()
		_ = os.Remove(path)
		return err
	}
	return report(path)
}

// report prints the address, and leaves it for a containerd that restarts.
func report(path string) error {
	address := "unix://" + path
	if err := os.WriteFile("address", []byte(address), 0o600); err != nil {
		return fmt.Errorf("leave the address in the bundle: %w", err)
	}
	_, err := fmt.Print(address)
	return err
}

func socketPath(containerd, namespace, group string) string {
	sum := sha256.Sum256([]byte(filepath.Join(containerd, namespace, group)))
	return filepath.Join(socketDir, fmt.Sprintf("%x", sum))
}

// groupOf reads which pod the container of a bundle belongs to.
func groupOf(bundle, id string) (string, error) {
	data, err := os.ReadFile(filepath.Join(bundle, "config.json"))
	if err != nil {
		return "", fmt.Errorf("read the bundle: %w", err)
	}
	var spec struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(data, &spec); err != nil {
		return "", fmt.Errorf("read the bundle: config.json: %w", err)
	}
	for _, name := range groupAnnotations {
		if group := spec.Annotations[name]; group != "" {
			return group, nil
		}
	}
	return id, nil
}

var errServed = errors.New("a shim serves already")

// listen makes the socket. One that nobody answers on is a dead shim's.
func listen(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return nil, fmt.Errorf("make the shim's socket: %w", err)
	}
	for range 2 {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err == nil {
			l.SetUnlinkOnClose(false)
			defer l.Close()
			if err := os.Chmod(path, 0o600); err != nil {
				return nil, fmt.Errorf("make the shim's socket: %w", err)
			}
			return l.File()
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			return nil, fmt.Errorf("make the shim's socket: %w", err)
		}
		conn, derr := net.DialTimeout("unix", path, 5*time.Second)
		if derr == nil {
			conn.Close()
			return nil, errServed
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("remove a dead shim's socket: %w", err)
		}
	}
	return nil, fmt.Errorf("make the shim's socket %s: others keep making it", path)
}

// spawn starts this binary as the shim that serves.
func spawn(c *config, listener *os.File) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"-namespace", c.namespace, "-id", c.id, "-address", c.address}
	if c.debug {
		args = append(args, "-debug")
	}
	cmd := exec.Command(self, args...)
	cmd.ExtraFiles = []*os.File{listener}
	// A shim mostly sleeps: two processors and little garbage are enough.
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "GOMAXPROCS=") && !strings.HasPrefix(e, "GOGC=") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, "GOMAXPROCS=2", "GOGC=40")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the shim: %w", err)
	}
	go func() { _ = cmd.Wait() }()
	return cmd, nil
}

// writeShimFiles leaves what containerd looks for, and protects the shim from the OOM
// killer as far as this process may: without CAP_SYS_RESOURCE not at all.
func writeShimFiles(pid int) error {
	if err := os.WriteFile("shim.pid", []byte(strconv.Itoa(pid)), 0o644); err != nil {
		return fmt.Errorf("leave the shim's pid in the bundle: %w", err)
	}
	if data, err := os.ReadFile("/proc/self/oom_score_adj"); err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil && n < 1000 {
			_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte(strconv.Itoa(n+1)), 0)
		}
	}
	return nil
}
