package cgroup

import (
	"bufio"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Mode is how a host mounts its control groups.
type Mode string

// Modes.
const (
	None    Mode = "none"
	V1      Mode = "v1"
	V2      Mode = "v2"
	Hybrid  Mode = "hybrid" // v1 controllers, and a v2 tree for grouping
	Unified      = ""       // key of the v2 tree in maps by controller
)

// v1Used are the v1 hierarchies that a sandbox joins, when they are mounted. systemd's
// own has no controller; a process left outside would be taken for the engine's.
var v1Used = []string{"memory", "cpu", "cpuacct", "cpuset", "pids", "blkio", "hugetlb", "name=systemd"}

// Host says which hierarchies are mounted and where this process is in them.
type Host struct {
	Mode   Mode
	Mounts map[string]string // controller (or Unified) to mount point
	Own    map[string]string // controller (or Unified) to own path, from the mount's root
}

// Detect reads the host's layout from /proc/self.
func Detect() (*Host, error) {
	mounts, err := readFile("/proc/self", "mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find cgroup mounts: %w", err)
	}
	own, err := readFile("/proc/self", "cgroup")
	if err != nil {
		return nil, fmt.Errorf("find own cgroup: %w", err)
	}
	return parseHost(string(mounts), string(own)), nil
}

// parseHost works on the texts of mountinfo and cgroup (proc(5)).
func parseHost(mountinfo, own string) *Host {
	h := &Host{Mounts: map[string]string{}, Own: map[string]string{}}
	roots := map[string]string{}
	for sc := bufio.NewScanner(strings.NewReader(mountinfo)); sc.Scan(); {
		pre, post, ok := strings.Cut(sc.Text(), " - ")
		f, g := strings.Fields(pre), strings.Fields(post)
		if !ok || len(f) < 5 || len(g) < 3 {
			continue
		}
		root, point := unescape(f[3]), unescape(f[4])
		switch g[0] {
		case "cgroup2":
			// A mount nearer the usual place wins over bind mounts elsewhere.
			if old, ok := h.Mounts[Unified]; !ok || len(point) < len(old) {
				h.Mounts[Unified], roots[Unified] = point, root
			}
		case "cgroup":
			for _, name := range strings.Split(g[2], ",") {
				if old, ok := h.Mounts[name]; slices.Contains(v1Used, name) && (!ok || len(point) < len(old)) {
					h.Mounts[name], roots[name] = point, root
				}
			}
		}
	}
	for _, line := range strings.Split(own, "\n") {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) != 3 {
			continue
		}
		for _, name := range strings.Split(parts[1], ",") {
			// A container's mount shows a subtree as its root.
			path := parts[2]
			if root := roots[name]; root != "" && root != "/" {
				path = "/" + strings.TrimPrefix(strings.TrimPrefix(path, root), "/")
			}
			h.Own[name] = filepath.Clean("/" + path)
		}
	}
	h.Mode = modeOf(h.Mounts)
	return h
}

func modeOf(mounts map[string]string) Mode {
	_, v2 := mounts[Unified]
	v1 := len(mounts)
	if v2 {
		v1--
	}
	switch {
	case v1 > 0 && v2:
		return Hybrid
	case v1 > 0:
		return V1
	case v2:
		return V2
	}
	return None
}

// unescape undoes mountinfo's octal escapes.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
