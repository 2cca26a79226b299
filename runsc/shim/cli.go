package shim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"lazaret/runsc/cgroup"
)

// cli runs runsc for one bundle.
type cli struct {
	reaper *reaper
	opts   *options
	root   string
	bundle string
	debug  bool
}

func newCLI(r *reaper, o *options, namespace, bundle string, debug bool) *cli {
	return &cli{reaper: r, opts: o, root: filepath.Join(o.Root, namespace), bundle: bundle, debug: debug}
}

// command is runsc with the flags that every call has.
func (r *cli) command(args ...string) *exec.Cmd {
	global := []string{"--root", r.root, "--log", filepath.Join(r.bundle, "log.json"), "--log-format", "json"}
	if r.debug {
		global = append(global, "--debug")
	}
	for _, name := range slices.Sorted(maps.Keys(r.opts.Flags)) {
		global = append(global, "--"+name+"="+r.opts.Flags[name])
	}
	cmd := exec.Command(r.opts.Binary, append(global, args...)...)
	cmd.Dir = r.bundle
	return cmd
}

// run runs a command of runsc's without standard files; its error is the line that runsc
// logged.
func (r *cli) run(args ...string) error { return r.start(r.command(args...)) }

// start runs a prepared command.
func (r *cli) start(cmd *exec.Cmd) error {
	from := r.logSize()
	e, err := r.reaper.run(cmd)
	if err != nil {
		return fmt.Errorf("run %s: %w; name runsc's path as binary in the file of ConfigPath", r.opts.Binary, err)
	}
	if e.status == 0 {
		return nil
	}
	if text := r.lastError(from); text != "" {
		return errors.New(text)
	}
	return fmt.Errorf("%s %v ended with status %d", r.opts.Binary, cmd.Args[1:], e.status)
}

func (r *cli) logSize() int64 {
	st, err := os.Stat(filepath.Join(r.bundle, "log.json"))
	if err != nil {
		return 0
	}
	return st.Size()
}

// lastError is the last error in runsc's log behind an offset.
func (r *cli) lastError(from int64) string {
	f, err := os.Open(filepath.Join(r.bundle, "log.json"))
	if err != nil {
		return ""
	}
	defer f.Close()
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return ""
	}
	last := ""
	sc := bufio.NewScanner(io.LimitReader(f, 4<<20))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var line struct{ Level, Msg string }
		if json.Unmarshal(sc.Bytes(), &line) == nil && line.Msg != "" && slices.Contains([]string{"error", "fatal"}, line.Level) {
			last = line.Msg
		}
	}
	return last
}

// state is what the shim reads of runsc's state file.
type state struct {
	SandboxID string `json:"sandboxID"`
	Init      struct {
		PID int `json:"pid"`
	} `json:"init"`
	Cgroup *cgroup.Cgroup `json:"cgroup"`
}

func (r *cli) state(id string) (*state, error) {
	data, err := os.ReadFile(filepath.Join(r.root, id, "state.json"))
	if err != nil {
		return nil, err
	}
	s := new(state)
	return s, json.Unmarshal(data, s)
}

// readPID reads a pid file of runsc's.
func readPID(path string) (int, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("runsc left no pid: %w", err)
	}
	var pid int
	if _, err := fmt.Sscanf(string(bytes.TrimSpace(data)), "%d", &pid); err != nil || pid <= 0 {
		return 0, fmt.Errorf("%s holds %q, no pid", path, data)
	}
	return pid, nil
}

// input makes a file with text that a command reads.
func input(text []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("input", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "input")
	_, err = f.Write(text)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
