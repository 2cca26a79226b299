package boot

import (
	"fmt"
	"path"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// defaultDevices are the ones that every container has (config-linux.md).
var defaultDevices = []specs.LinuxDevice{
	{Path: "/dev/null", Type: "c", Major: 1, Minor: 3},
	{Path: "/dev/zero", Type: "c", Major: 1, Minor: 5},
	{Path: "/dev/full", Type: "c", Major: 1, Minor: 7},
	{Path: "/dev/random", Type: "c", Major: 1, Minor: 8},
	{Path: "/dev/urandom", Type: "c", Major: 1, Minor: 9},
	{Path: "/dev/tty", Type: "c", Major: 5, Minor: 0},
}

// defaultLinks are the symlinks that every container has.
var defaultLinks = []struct{ name, target string }{
	{"/dev/fd", "/proc/self/fd"},
	{"/dev/stdin", "/proc/self/fd/0"},
	{"/dev/stdout", "/proc/self/fd/1"},
	{"/dev/stderr", "/proc/self/fd/2"},
	{"/dev/ptmx", "pts/ptmx"},
}

// devices makes the nodes in /dev. A /dev that is the container image's own, or bound
// from the host, is left alone where it cannot be written, as runc does.
func (m *mounter) devices() error {
	if _, err := m.lookup("/dev"); err != nil {
		return nil
	}
	for _, l := range defaultLinks {
		if err := vfs.SymlinkAt(m.ctx, l.target, m.ctx.FS.Root(), l.name); err != nil && err != abi.EEXIST && err != abi.EROFS {
			return fmt.Errorf("make %s: %w", l.name, err)
		}
	}
	for i := range defaultDevices {
		if err := m.device(&defaultDevices[i]); err != nil && err != abi.EROFS {
			return fmt.Errorf("make %s: %w", defaultDevices[i].Path, err)
		}
	}
	if m.c.spec.Linux == nil {
		return nil
	}
	for i := range m.c.spec.Linux.Devices {
		err := m.device(&m.c.spec.Linux.Devices[i])
		if err == nil {
			err = m.matches(&m.c.spec.Linux.Devices[i])
		}
		if err != nil {
			return fmt.Errorf("linux.devices[%d] (%s): %w", i, m.c.spec.Linux.Devices[i].Path, err)
		}
	}
	return nil
}

func (m *mounter) device(d *specs.LinuxDevice) error {
	mode := uint32(0o666)
	if d.FileMode != nil {
		mode = uint32(d.FileMode.Perm())
	}
	switch d.Type {
	case "c", "u":
		mode |= abi.S_IFCHR
	case "b":
		mode |= abi.S_IFBLK
	case "p":
		mode |= abi.S_IFIFO
	default:
		return fmt.Errorf("type %q is not known", d.Type)
	}
	name := path.Join("/", d.Path)
	if _, err := m.lookup(name); err == nil {
		return nil
	}
	if err := m.makeTarget(path.Dir(name), true); err != nil {
		return err
	}
	if err := vfs.MknodAt(m.ctx, m.ctx.FS.Root(), name, mode, uint32(d.Major), uint32(d.Minor)); err != nil {
		return err
	}
	p, err := m.lookup(name)
	if err != nil {
		return err
	}
	if d.UID != nil || d.GID != nil {
		if err := m.own(p, d); err != nil {
			return err
		}
	}
	return vfs.Chmod(m.ctx, p, mode&0o7777)
}

// matches refuses what is at a device's path and is something else (config-linux.md).
func (m *mounter) matches(d *specs.LinuxDevice) error {
	p, err := m.lookup(path.Join("/", d.Path))
	if err != nil {
		return err
	}
	attr, err := p.Dentry.Inode().Attr(m.ctx, 0)
	if err != nil {
		return err
	}
	typ := uint32(abi.S_IFCHR)
	switch d.Type {
	case "b":
		typ = abi.S_IFBLK
	case "p":
		typ = abi.S_IFIFO
	}
	if attr.Mode&abi.S_IFMT != typ || typ != abi.S_IFIFO && (attr.RdevMajor != uint32(d.Major) || attr.RdevMinor != uint32(d.Minor)) {
		return describe(abi.EEXIST)
	}
	return nil
}

func (m *mounter) own(p vfs.Path, d *specs.LinuxDevice) error {
	var uid, gid uint32
	if d.UID != nil {
		uid = *d.UID
	}
	if d.GID != nil {
		gid = *d.GID
	}
	u, ok := m.c.userNS.KUID(uid)
	g, ok2 := m.c.userNS.KGID(gid)
	if !ok || !ok2 {
		return abi.EINVAL
	}
	return vfs.Chown(m.ctx, p, vfs.SetUID|vfs.SetGID, u, g)
}
