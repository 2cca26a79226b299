package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"lazaret/runsc/seccomp"
)

// GoferTreeDir is where the trees are in a Gofer's root, by the name of their Attach.
// Beside them there is /proc/self/fd, alone, so that descriptors can be reopened.
const GoferTreeDir = "/trees"

const procFD = "/proc/self/fd"

// ServeFunc is the file server: it answers requests on conn until it is closed.
type ServeFunc func(cfg *GoferConfig, conn *os.File) error

// TreePath is where a Gofer finds a tree.
func (a *Attach) TreePath() string { return GoferTreeDir + "/" + a.Name }

// GoferMain is the whole life of a re-executed Gofer. It does not return.
func GoferMain(serve ServeFunc) {
	cfg := &GoferConfig{}
	f, err := readConfig(cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gofer:", err)
		os.Exit(1)
	}
	closeOnExec(f)
	t := &tether{f}
	unix.CloseOnExec(cfg.ConnFD)
	unix.CloseOnExec(cfg.SentryFD)
	watchSentry(cfg.SentryFD)
	if err := confineGofer(cfg, t); err != nil {
		t.fail(err)
	}
	if err := t.ready(); err != nil {
		t.fail(err)
	}
	if err := serve(cfg, os.NewFile(uintptr(cfg.ConnFD), "sentry")); err != nil {
		fmt.Fprintln(os.Stderr, "gofer:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// watchSentry ends this process with the Sentry, even when it is busy with a request.
func watchSentry(pidFD int) {
	go func() {
		fds := []unix.PollFd{{Fd: int32(pidFD), Events: unix.POLLIN}}
		for {
			if n, err := unix.Poll(fds, -1); err == unix.EINTR || (err == nil && n == 0) {
				continue
			}
			os.Exit(0)
		}
	}()
}

// confineGofer leaves this process the trees, the connection and what file ownership
// needs.
func confineGofer(cfg *GoferConfig, t *tether) error {
	last := lastCap()
	if err := startNetpoll(); err != nil {
		return err
	}
	if cfg.InUserNS || cfg.SetGroups {
		if err := setIDs(0, 0, cfg.SetGroups); err != nil {
			return err
		}
	}
	if err := hideHostname(); err != nil {
		return err
	}
	trees := newTreeSet(cfg.Trees)
	if err := enterEmptyRoot(trees); err != nil {
		return err
	}
	// The modes of new files are the Sentry's to choose.
	unix.Umask(0)
	if err := limitResources(); err != nil {
		return err
	}
	if err := limitCaps(goferCapList, last); err != nil {
		return err
	}
	if err := lockProcess(); err != nil {
		return err
	}
	t.watch()
	filter := seccomp.GoferFiles
	if cfg.HostUDS {
		filter = seccomp.GoferUDS
	}
	return installFilter(filter)
}

// treeSet are detached copies of mounts on their way into a new root.
type treeSet struct {
	trees []Tree
	fds   []int
	proc  int
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
	var err error
	if s.proc, err = cloneTree(procFD, false); err != nil {
		return fmt.Errorf("%s: %w", procFD, err)
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
	self := &Tree{Attach: Attach{IsDir: true, ReadOnly: true}}
	if err := attachTree(s.proc, root+procFD, self); err != nil {
		return fmt.Errorf("%s: %w", procFD, err)
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

// FilterFor names the seccomp filter of the Sentry on a platform.
func FilterFor(platform string) (string, error) {
	switch strings.ToLower(platform) {
	case "", "ptrace":
		return seccomp.SentryPtrace, nil
	}
	return "", fmt.Errorf("platform %q: not known (ptrace is)", platform)
}
