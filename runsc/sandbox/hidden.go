package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// kernelInterfaces are the file systems through which a host's kernel shows and takes
// its state. A tree has none of them beneath it: a root of "/" would otherwise bring the
// host's own /proc, with every process's memory and environment. What the spec binds by
// its own name stays as it was granted, alone (see bindTree for what is refused).
var kernelInterfaces = map[string]bool{
	"proc": true, "sysfs": true, "cgroup": true, "cgroup2": true, "devpts": true, "devtmpfs": true,
	"mqueue": true, "debugfs": true, "tracefs": true, "securityfs": true, "selinuxfs": true, "smackfs": true,
	"bpf": true, "configfs": true, "fusectl": true, "pstore": true, "efivarfs": true, "binfmt_misc": true,
	"nsfs": true, "rpc_pipefs": true, "nfsd": true, "hugetlbfs": true, "resctrl": true, "xenfs": true,
	"functionfs": true, "binder": true, "pipefs": true, "sockfs": true, "autofs": true,
}

// hides says whether a mount of this type is left out of the tree. Engines bind
// /sys/fs/cgroup with all that is mounted there, so that a tree from there keeps it.
func (t *Tree) hides(fsType string) bool {
	if (fsType == "cgroup" || fsType == "cgroup2") && (t.Source == "/sys" || strings.HasPrefix(t.Source, "/sys/")) {
		return false
	}
	return kernelInterfaces[fsType]
}

// mountEntry is a line of /proc/self/mountinfo.
type mountEntry struct {
	id, parent int
	point      string
	fsType     string
}

// mountList reads mountinfo, also when something was mounted over /proc meanwhile.
type mountList struct{ f *os.File }

func openMountList() (*mountList, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	return &mountList{f}, nil
}

func (l *mountList) close() { _ = l.f.Close() }

func (l *mountList) read() ([]mountEntry, error) {
	if _, err := l.f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	data, err := io.ReadAll(l.f)
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	var all []mountEntry
	for line := range strings.Lines(string(data)) {
		m, ok := parseMountEntry(line)
		if !ok {
			return nil, fmt.Errorf("list mounts: unknown line %q", line)
		}
		all = append(all, m)
	}
	return all, nil
}

// parseMountEntry reads one line (proc_pid_mountinfo(5)): optional fields end with "-".
func parseMountEntry(line string) (mountEntry, bool) {
	head, tail, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
	f := strings.Fields(head)
	fsType, _, _ := strings.Cut(tail, " ")
	if !ok || len(f) < 6 || fsType == "" {
		return mountEntry{}, false
	}
	id, err1 := strconv.Atoi(f[0])
	parent, err2 := strconv.Atoi(f[1])
	// "fuse.sshfs": a subtype.
	fsType, _, _ = strings.Cut(fsType, ".")
	return mountEntry{id, parent, unescapeOctal(f[4]), fsType}, err1 == nil && err2 == nil
}

// unescapeOctal undoes \040 and such.
func unescapeOctal(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// maxHidePasses bounds the attempts to get below mounts that are stacked on one another.
const maxHidePasses = 100

// hide takes the kernel's interfaces out of the trees, which are attached below root.
func (s *treeSet) hide(l *mountList, root string) error {
	covered := map[int]bool{}
	for range maxHidePasses {
		all, err := l.read()
		if err != nil {
			return err
		}
		points := s.hidden(all, root, covered)
		if len(points) == 0 {
			return nil
		}
		for id, p := range points {
			locked, err := leaveOut(root, p)
			if err != nil {
				return fmt.Errorf("leave %s out: %w", p, err)
			}
			if locked {
				covered[id] = true
			}
		}
	}
	return errors.New("leave the host's kernel interfaces out: too many mounts on one another")
}

// hidden returns where the mounts are that must go: those that are on none that goes too.
func (s *treeSet) hidden(all []mountEntry, root string, covered map[int]bool) map[int]string {
	points := map[int]string{}
	gone := map[int]bool{}
	used := map[int]bool{} // mounts that carry one that stays
	marks := make([]bool, len(all))
	for i := len(all) - 1; i >= 0; i-- {
		m := &all[i]
		t := s.treeOf(m.point, root)
		// What is mounted through an autofs is somebody's files.
		marks[i] = t != nil && t.hides(m.fsType) && (m.fsType != "autofs" || !used[m.id])
		if !marks[i] {
			used[m.parent] = true
		}
	}
	for i := range all {
		m := &all[i]
		switch {
		case gone[m.parent] || covered[m.id]:
			gone[m.id] = true
		case marks[i]:
			gone[m.id] = true
			points[m.id] = m.point
		}
	}
	return points
}

// treeOf returns the tree that a mount point is beneath; nil for a tree's own root.
func (s *treeSet) treeOf(point, root string) *Tree {
	for i := range s.trees {
		if strings.HasPrefix(point, root+s.trees[i].TreePath()+"/") {
			return &s.trees[i]
		}
	}
	return nil
}

// leaveOut unmounts what is at point, or, where a user namespace locks the mounts that
// it was given, covers it with an empty file or directory.
func leaveOut(root, point string) (locked bool, err error) {
	err = unix.Unmount(point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err != unix.EINVAL && err != unix.EPERM {
		return false, err
	}
	st, err := os.Lstat(point)
	if err != nil {
		return false, cause(err)
	}
	if st.IsDir() {
		return true, unix.Mount("lazaret", point, "tmpfs", sealedFlags, "size=4k,nr_inodes=1,mode=0555")
	}
	empty := filepath.Join(root, "empty")
	f, err := os.OpenFile(empty, os.O_CREATE|os.O_RDONLY, 0)
	if err != nil {
		return false, cause(err)
	}
	_ = f.Close()
	return true, unix.Mount(empty, point, "", unix.MS_BIND, "")
}

// refuseKernel refuses to serve a path of the host's own /proc: its processes are not the
// sandbox's to see. Other interfaces, /sys and below, are the spec's to grant.
func refuseKernel(path string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return fmt.Errorf("statfs: %w", err)
	}
	switch st.Type {
	case unix.PROC_SUPER_MAGIC:
		return errors.New(`is in the host's /proc, which a sandbox must not see (a mount of type "proc" shows its own)`)
	case unix.NSFS_MAGIC:
		return errors.New("is a namespace of the host, which a sandbox cannot use")
	}
	return nil
}
