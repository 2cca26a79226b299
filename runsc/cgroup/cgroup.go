package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Cgroup is the set of directories that hold one container's processes. It is part of
// the container's state; the zero value is "none" and every method of it does nothing.
type Cgroup struct {
	Mode Mode `json:"mode,omitempty"`

	// Dirs has the directory of each controller; Unified is the key of the v2 tree.
	Dirs map[string]string `json:"dirs,omitempty"`

	// Unit is the scope of systemd's that has the directories, in Slice; "": they are ours.
	Unit  string `json:"unit,omitempty"`
	Slice string `json:"slice,omitempty"`

	// Optional: failures to make, join or set are warnings (rootless).
	Optional bool `json:"optional,omitempty"`
}

// Plan decides where the container's groups go, without touching the host. path is
// linux.cgroupsPath: an absolute one starts at each mount's root, a relative one at our
// own group; an empty one means a group named like the container.
func (h *Host) Plan(path, id string) (*Cgroup, error) {
	if strings.Count(path, ":") == 2 && !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("linux.cgroupsPath: %q is systemd's form; give a path, --systemd-cgroup, or set the engine's cgroup driver to cgroupfs", path)
	}
	if path == "" {
		path = id
	}
	c := &Cgroup{Mode: h.Mode, Dirs: map[string]string{}}
	for name, mount := range h.Mounts {
		base := "/"
		if !filepath.IsAbs(path) {
			base = h.Own[name]
			if name == Unified && h.Mode == V2 {
				// A v2 group with processes can hand no controllers down.
				base = filepath.Dir(base)
			}
		}
		// Clean("/"+x) cannot climb above the mount.
		dir := filepath.Clean("/" + filepath.Join(base, path))
		if dir == "/" {
			return nil, fmt.Errorf("linux.cgroupsPath: %q is the root of the hierarchy; a container needs a group of its own", path)
		}
		c.Dirs[name] = filepath.Join(mount, dir)
	}
	return c, nil
}

// dirs returns each directory once: co-mounted controllers share one.
func (c *Cgroup) dirs() []string {
	var list []string
	for _, d := range c.Dirs {
		if !slices.Contains(list, d) {
			list = append(list, d)
		}
	}
	slices.Sort(list)
	return list
}

// Create makes the directories. What exists already is used, as runc does for pods.
func (c *Cgroup) Create() error {
	for name, dir := range c.Dirs {
		err := os.MkdirAll(dir, 0o755)
		if err == nil && name == "cpuset" {
			err = inheritCpuset(dir)
		}
		if err == nil && name == Unified && c.Mode == V2 {
			err = enableControllers(dir)
		}
		if err != nil {
			if c.Optional {
				delete(c.Dirs, name)
				continue
			}
			return fmt.Errorf("make cgroup: %w", err)
		}
	}
	return nil
}

// inheritCpuset fills cpus and mems downwards: a v1 cpuset starts empty, and a group with
// an empty one takes no process.
func inheritCpuset(dir string) error {
	parent := filepath.Dir(dir)
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		cur, err := readFile(dir, file)
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(cur)) != "" {
			continue
		}
		up, err := readFile(parent, file)
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(up)) == "" {
			if err := inheritCpuset(parent); err != nil {
				return err
			}
			if up, err = readFile(parent, file); err != nil {
				return err
			}
		}
		if err := writeFile(dir, file, strings.TrimSpace(string(up))); err != nil {
			return err
		}
	}
	return nil
}

// v2Wanted are the v2 controllers that we hand down to a container's group.
var v2Wanted = []string{"cpu", "cpuset", "io", "memory", "pids", "hugetlb"}

// enableControllers hands controllers down from the top of the v2 tree to dir. One that
// cannot be handed down shows later, when a limit needs it.
func enableControllers(dir string) error {
	var chain []string
	for p := filepath.Dir(dir); ; p = filepath.Dir(p) {
		if _, err := os.Stat(filepath.Join(p, "cgroup.subtree_control")); err != nil {
			break
		}
		chain = append(chain, p)
	}
	for _, p := range slices.Backward(chain) {
		data, err := readFile(p, "cgroup.controllers")
		if err != nil {
			return err
		}
		for _, name := range strings.Fields(string(data)) {
			if slices.Contains(v2Wanted, name) {
				_ = writeFile(p, "cgroup.subtree_control", "+"+name)
			}
		}
	}
	return nil
}

// Join moves a process, and with it the threads it has, into the groups.
func (c *Cgroup) Join(pid int) error {
	for _, dir := range c.dirs() {
		err := writeFile(dir, "cgroup.procs", strconv.Itoa(pid))
		if errors.Is(err, unix.EINVAL) {
			// A group that is being made or emptied can refuse for a moment.
			time.Sleep(10 * time.Millisecond)
			err = writeFile(dir, "cgroup.procs", strconv.Itoa(pid))
		}
		if err != nil && !c.Optional {
			return fmt.Errorf("join cgroup: %w", err)
		}
	}
	return nil
}

// Procs lists the processes in the container's groups and in groups beneath them.
func (c *Cgroup) Procs() []int {
	var pids []int
	for _, dir := range c.dirs() {
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if !d.IsDir() {
				return nil
			}
			data, err := readFile(path, "cgroup.procs")
			if err != nil {
				return nil
			}
			for _, f := range strings.Fields(string(data)) {
				if pid, err := strconv.Atoi(f); err == nil && pid > 0 && !slices.Contains(pids, pid) {
					pids = append(pids, pid)
				}
			}
			return nil
		})
	}
	return pids
}

// Kill ends every process in the groups and waits for them to be gone.
func (c *Cgroup) Kill() error {
	if c.removeEmpty() {
		return nil
	}
	deadline := time.Now().Add(10 * time.Second)
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		if dir := c.Dirs[Unified]; dir != "" {
			_ = writeFile(dir, "cgroup.kill", "1")
		}
		pids := c.Procs()
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v in the container's cgroup do not die", pids)
		}
		time.Sleep(wait)
	}
}

// removeEmpty removes the directories that hold nothing and says whether that was all: the
// kernel looks for processes quicker than we do.
func (c *Cgroup) removeEmpty() bool {
	all := true
	for _, dir := range c.dirs() {
		err := unix.Rmdir(dir)
		all = all && (err == nil || err == unix.ENOENT)
	}
	return all
}

// Delete removes the directories. The container's processes must be gone; a short time
// is given to those that are on their way.
func (c *Cgroup) Delete() error {
	var first error
	if c.Unit != "" {
		// Without processes it is on its way; the directories are removed in any case.
		_ = c.StopUnit()
	}
	for _, dir := range c.dirs() {
		if err := removeTree(dir); err != nil && first == nil {
			first = fmt.Errorf("remove cgroup: %w", err)
		}
	}
	return first
}

func removeTree(dir string) error {
	if err := unix.Rmdir(dir); err == nil || err == unix.ENOENT {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	for wait := time.Millisecond; ; wait *= 2 {
		err := unix.Rmdir(dir)
		if err == nil || err == unix.ENOENT {
			return nil
		}
		if err != unix.EBUSY && err != unix.EINTR || wait > time.Second {
			return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
		}
		time.Sleep(wait)
	}
}

// readFile reads a cgroup file. An os.File would be made known to the poller, which takes as
// many calls again: the kernel can poll these files.
func readFile(dir, file string) ([]byte, error) {
	path := filepath.Join(dir, file)
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	data := make([]byte, 0, 512)
	for {
		data = slices.Grow(data, 512)
		n, err := unix.Read(fd, data[len(data):cap(data)])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if n == 0 {
			return data, nil
		}
		data = data[:len(data)+n]
	}
}

// writeFile writes a cgroup file with one write(2), without creating or truncating it.
func writeFile(dir, file, data string) error {
	path := filepath.Join(dir, file)
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	for {
		_, err = unix.Write(fd, []byte(data))
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return &fs.PathError{Op: fmt.Sprintf("write %q to", data), Path: path, Err: err}
	}
	return nil
}
