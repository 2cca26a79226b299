package container

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"lazaret/runsc/spec"
)

// hookMounts are the container's mounts as createContainer hooks see them: at their places
// below the root directory, in the hook's own mount namespace, before anything is pivoted.
// Bind mounts and memory file systems are made; proc, sysfs and the like would be the host's
// and are left out, for hooks run programs of the root directory.
type hookMounts struct {
	root   string // on the host
	bundle string
	list   []specs.Mount
	create bool // missing mount points are made in the root, as the Sentry would
}

func hookMountsOf(c *State) *hookMounts {
	if c.Spec == nil || c.Spec.Root == nil {
		return nil
	}
	return &hookMounts{
		root: c.Rootfs, bundle: c.Bundle, list: c.Spec.Mounts, create: c.Flags.Overlay == "none" && !c.Spec.Root.Readonly,
	}
}

// mount makes the mounts in the calling thread's mount namespace, which must not be the host's.
// TRUST: names in the root directory are the image's; they are resolved beneath it.
func (h *hookMounts) mount() error {
	root, err := unix.Open(h.root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open root.path %q: %w", h.root, err)
	}
	defer unix.Close(root)
	for i := range h.list {
		m := &h.list[i]
		if !spec.IsBind(m) && m.Type != "tmpfs" {
			continue
		}
		if err := h.one(root, m); err != nil {
			return fmt.Errorf("mounts[%d] (%s): %w", i, m.Destination, err)
		}
	}
	return nil
}

func (h *hookMounts) one(root int, m *specs.Mount) error {
	source := m.Source
	dir := true
	if spec.IsBind(m) {
		source = spec.SourcePath(m, h.bundle)
		var st unix.Stat_t
		if err := unix.Stat(source, &st); err != nil {
			return fmt.Errorf("source %q: %w", source, err)
		}
		dir = st.Mode&unix.S_IFMT == unix.S_IFDIR
	}
	target, err := h.target(root, m.Destination, dir)
	if err == unix.ENOENT {
		return nil // the sandbox makes it in its memory
	}
	if err != nil {
		return err
	}
	defer unix.Close(target)
	if !spec.IsBind(m) {
		return unix.Mount("tmpfs", fdPath(target), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "")
	}
	flags := uintptr(unix.MS_BIND)
	if slices.Contains(m.Options, "rbind") {
		flags |= unix.MS_REC
	}
	if err := unix.Mount(source, fdPath(target), "", flags, ""); err != nil {
		return err
	}
	if !slices.Contains(m.Options, "ro") && !slices.Contains(m.Options, "rro") {
		return nil
	}
	top, err := openInRoot(root, m.Destination)
	if err != nil {
		return err
	}
	defer unix.Close(top)
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	return unix.MountSetattr(top, "", unix.AT_EMPTY_PATH, &attr)
}

func fdPath(fd int) string { return "/proc/thread-self/fd/" + strconv.Itoa(fd) }

// openInRoot opens what name is to a process whose root directory is root.
func openInRoot(root int, name string) (int, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	for range 100 {
		fd, err := unix.Openat2(root, name, &how)
		if err != unix.EAGAIN && err != unix.EINTR { // somebody renames in there
			return fd, err
		}
	}
	return -1, unix.EAGAIN
}

// target opens a mount point; ENOENT if there is none and none is to be made.
func (h *hookMounts) target(root int, name string, dir bool) (int, error) {
	fd, err := openInRoot(root, name)
	if err != unix.ENOENT || !h.create {
		return fd, err
	}
	names := strings.Split(strings.Trim(path.Join("/", name), "/"), "/")
	for i := range names {
		prefix := strings.Join(names[:i+1], "/")
		if fd, err := openInRoot(root, prefix); err != unix.ENOENT {
			unix.Close(fd)
			continue
		}
		parent, err := openInRoot(root, path.Join("/", path.Dir(prefix)))
		if err != nil {
			return -1, err
		}
		if dir || i < len(names)-1 {
			err = unix.Mkdirat(parent, names[i], 0o755)
		} else {
			err = unix.Mknodat(parent, names[i], unix.S_IFREG|0o755, 0)
		}
		unix.Close(parent)
		switch err {
		case nil, unix.EEXIST: // also a link that leads nowhere
		case unix.EROFS, unix.EACCES:
			return -1, unix.ENOENT
		default:
			return -1, err
		}
	}
	return openInRoot(root, name)
}
