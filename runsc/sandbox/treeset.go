package sandbox

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// treeSet are detached copies of mounts on their way into a new root.
type treeSet struct {
	trees []Tree
	fds   []int
}

func newTreeSet(trees []Tree) *treeSet { return &treeSet{trees: trees} }

// clone takes the copies; it must come before anything is mounted over the host's tree.
func (s *treeSet) clone() error {
	for i := range s.trees {
		fd, err := cloneTree(s.trees[i].Source, s.trees[i].Recursive)
		if err != nil {
			return fmt.Errorf("%s: %w", s.trees[i].What, err)
		}
		s.fds = append(s.fds, fd)
	}
	return nil
}

func cloneTree(path string, recursive bool) (int, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, flags)
	if err == unix.EINVAL && !recursive {
		// In a user namespace a tree must not show what its submounts hide.
		fd, err = unix.OpenTree(unix.AT_FDCWD, path, flags|unix.AT_RECURSIVE)
	}
	if err == unix.ENOSYS {
		return -1, fmt.Errorf("open_tree: %w: Linux 5.12 or later is needed", err)
	}
	return fd, err
}

// attach puts the copies beneath root.
func (s *treeSet) attach(root string) error {
	for i := range s.trees {
		t := &s.trees[i]
		if err := attachTree(s.fds[i], root+t.TreePath(), t); err != nil {
			return fmt.Errorf("%s: %w", t.What, err)
		}
	}
	return nil
}

func attachTree(fd int, target string, t *Tree) error {
	if err := makeTarget(target, t.IsDir); err != nil {
		return err
	}
	if err := unix.MoveMount(fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	defer unix.Close(fd)
	if !t.Slave {
		if err := unix.Mount("", target, "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("make private: %w", err)
		}
	}
	// A Gofer opens no device and runs nothing set-id. Not noexec: the Sentry maps
	// programs from the files it gets.
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}
	if t.ReadOnlyAll {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
		return fmt.Errorf("set mount flags: %w", err)
	}
	if t.ReadOnly && !t.ReadOnlyAll {
		// "ro" is for this mount, as with mount(8); "rro" for those beneath too.
		attr.Attr_set = unix.MOUNT_ATTR_RDONLY
		if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr); err != nil {
			return fmt.Errorf("make read-only: %w", err)
		}
	}
	return nil
}

// makeTarget makes what a tree is mounted on.
func makeTarget(path string, dir bool) error {
	if dir {
		return os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}
