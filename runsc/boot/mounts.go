package boot

import (
	"fmt"
	"path"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/runsc/sandbox"
	"lazaret/sentry/fs/gofer"
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// mounter sets a container's file tree up, with the rights of t, its init, which does not
// run yet.
type mounter struct {
	c   *container
	t   *kernel.Task
	ctx *vfs.Context
}

// all makes the mounts of the spec, the devices, and masks what the spec hides.
func (m *mounter) all() error {
	for i := range m.c.spec.Mounts {
		mnt := &m.c.spec.Mounts[i]
		if err := m.mount(i, mnt); err != nil {
			return fmt.Errorf("mounts[%d] (%s): %w", i, mnt.Destination, err)
		}
	}
	if err := m.devices(); err != nil {
		return err
	}
	l := m.c.spec.Linux
	if l == nil {
		l = &specs.Linux{}
	}
	if p, ok := propagation[l.RootfsPropagation]; ok {
		if err := vfs.SetPropagation(m.ctx, m.ctx.FS.Root(), p); err != nil {
			return fmt.Errorf("linux.rootfsPropagation: %w", err)
		}
	}
	if m.c.spec.Root != nil && m.c.spec.Root.Readonly {
		root := m.ctx.FS.Root()
		if err := vfs.Remount(m.ctx, root, root.Mount.Flags()|abi.MS_RDONLY); err != nil {
			return fmt.Errorf("root.readonly: %w", err)
		}
	}
	for _, p := range l.ReadonlyPaths {
		if err := m.readonly(p); err != nil {
			return fmt.Errorf("linux.readonlyPaths (%s): %w", p, err)
		}
	}
	for _, p := range l.MaskedPaths {
		if err := m.mask(p); err != nil {
			return fmt.Errorf("linux.maskedPaths (%s): %w", p, err)
		}
	}
	return nil
}

func (m *mounter) lookup(name string) (vfs.Path, error) {
	return vfs.Lookup(m.ctx, m.ctx.FS.Root(), name, vfs.LookupFollow)
}

// mount makes mount i of the spec.
func (m *mounter) mount(i int, mnt *specs.Mount) error {
	o := parseOptions(mnt.Options)
	target := path.Join("/", mnt.Destination)
	a, bind := m.c.attachFor(i)
	_, missing := m.lookup(target)
	if err := m.makeTarget(target, !bind || a.IsDir); err != nil {
		return fmt.Errorf("make the mount point: %w", err)
	}
	p, err := m.lookup(target)
	if err != nil {
		return err
	}
	if o.remount {
		return m.remount(p, &o)
	}
	readonly := o.flags & abi.MS_RDONLY
	if o.copyUp = o.copyUp && !bind && mnt.Type == "tmpfs"; o.copyUp {
		o.flags &^= abi.MS_RDONLY
	}
	var s *vfs.Super
	if bind {
		s, err = m.bindSuper(a, mnt)
	} else {
		s, err = m.newSuper(mnt, &o)
	}
	if err != nil {
		return err
	}
	if err := vfs.MountSuper(m.ctx, s, p, mnt.Source, o.flags&^(abi.MS_BIND|abi.MS_REC)); err != nil {
		return err
	}
	if o.copyUp {
		keepMode := missing != nil || strings.Contains(","+o.data, ",mode=")
		if err := m.copyUp(p, target, readonly, keepMode); err != nil {
			return fmt.Errorf("tmpcopyup: %w", describe(err))
		}
	}
	for _, flag := range o.propagation {
		if p, err = m.lookup(target); err == nil {
			err = vfs.SetPropagation(m.ctx, p, flag)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// remount changes what an entry before this one has mounted.
func (m *mounter) remount(p vfs.Path, o *options) error {
	flags := o.flags &^ (abi.MS_BIND | abi.MS_REC)
	var err error
	if o.flags&abi.MS_BIND != 0 {
		err = vfs.Remount(m.ctx, p, flags)
	} else {
		err = vfs.RemountSuper(m.ctx, p, flags, o.data)
	}
	if err != nil {
		return fmt.Errorf("remount: %w", describe(err))
	}
	return nil
}

// bindSuper is the file system of a bind mount: the Gofer's tree of its source.
func (m *mounter) bindSuper(a sandbox.Attach, mnt *specs.Mount) (*vfs.Super, error) {
	s, err := gofer.Mount(m.ctx, m.c.gofer, a.Name, mnt.Source)
	if err != nil {
		return nil, err
	}
	if m.c.s.cfg.Flags.Overlay == "all" && a.IsDir {
		return m.c.overlaid(m.ctx, s)
	}
	return s, nil
}

// newSuper makes a file system by type.
func (m *mounter) newSuper(mnt *specs.Mount, o *options) (*vfs.Super, error) {
	typ := mnt.Type
	switch typ {
	case "", "none":
		return nil, fmt.Errorf("type %q without bind: what to mount is not said", typ)
	case "cgroup", "cgroup2":
		typ, o.data = "cgroup2", ""
	}
	if vfs.LookupFileSystem(typ) == nil {
		return nil, fmt.Errorf("type %q is not known (known are %s)", mnt.Type, strings.Join(vfs.FileSystems(), ", "))
	}
	return vfs.NewMountSuper(m.ctx, typ, &vfs.MountSpec{Source: mnt.Source, Data: o.data, Flags: o.flags & abi.MS_RDONLY})
}

// makeTarget makes a mount point that is not there, and what leads to it.
func (m *mounter) makeTarget(target string, dir bool) error {
	if _, err := m.lookup(target); err != abi.ENOENT {
		return err
	}
	if parent := path.Dir(target); parent != target {
		if err := m.makeTarget(parent, true); err != nil {
			return err
		}
	}
	root := m.ctx.FS.Root()
	if dir {
		return vfs.MkdirAt(m.ctx, root, target, 0o755)
	}
	return vfs.MknodAt(m.ctx, root, target, abi.S_IFREG|0o755, 0, 0)
}

// readonly makes a path read-only by a mount of itself. One that is not there is fine.
func (m *mounter) readonly(name string) error {
	p, err := m.lookup(name)
	if err == abi.ENOENT || err == abi.ENOTDIR {
		return nil
	}
	if err == nil {
		err = vfs.Bind(m.ctx, p, p, true)
	}
	if err == nil {
		p, err = m.lookup(name)
	}
	if err != nil {
		return err
	}
	return vfs.Remount(m.ctx, p, p.Mount.Flags()|abi.MS_RDONLY)
}

// mask hides a path: a directory below an empty one, a file below /dev/null.
func (m *mounter) mask(name string) error {
	p, err := m.lookup(name)
	if err == abi.ENOENT || err == abi.ENOTDIR {
		return nil
	}
	if err != nil {
		return err
	}
	if !p.Dentry.IsDir() {
		null, err := m.lookup("/dev/null")
		if err != nil {
			return err
		}
		return vfs.Bind(m.ctx, null, p, false)
	}
	s, err := vfs.NewMountSuper(m.ctx, "tmpfs", &vfs.MountSpec{Source: "tmpfs", Flags: abi.MS_RDONLY, Data: "size=0"})
	if err != nil {
		return err
	}
	return vfs.MountSuper(m.ctx, s, p, "tmpfs", abi.MS_RDONLY)
}
