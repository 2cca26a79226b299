package vfs

import (
	"slices"
	"strings"
	"sync"

	"lazaret/sentry/uio"
	"lazaret/syscalls/abi"
)

// FSContext is what fsopen(2) and fspick(2) give a descriptor of: options of a file
// system that is being made or changed.
type FSContext struct {
	mu     sync.Mutex
	fstype string
	spec   MountSpec
	mask   uint32 // bits of spec.Flags that were said
	opts   []string
	super  *Super // made by FSCONFIG_CMD_CREATE, or picked
	phase  fsPhase
}

// fsPhase is what a context waits for.
type fsPhase int

const (
	phaseCreate fsPhase = iota // options and FSCONFIG_CMD_CREATE
	phaseMount                 // fsmount(2)
	phaseChange                // options and FSCONFIG_CMD_RECONFIGURE
	phaseFailed                // nothing any more
)

// Fsopen is fsopen(2).
func Fsopen(ctx *Context, fstype string) (*File, error) {
	if err := mayMount(ctx); err != nil {
		return nil, err
	}
	if LookupFileSystem(fstype) == nil {
		return nil, abi.ENODEV
	}
	return NewAnonFile(ctx, "[fscontext]", &FSContext{fstype: fstype}, abi.O_RDWR, ModeRead|ModeWrite|ModeStream)
}

// Fspick is fspick(2) of the mount whose root is p.
func Fspick(ctx *Context, p Path) (*File, error) {
	if err := mayMount(ctx); err != nil {
		return nil, err
	}
	if p.Mount == nil || p.Dentry != p.Mount.root {
		return nil, abi.EINVAL
	}
	p.Mount.super.get()
	c := &FSContext{fstype: p.Mount.super.Type, super: p.Mount.super, phase: phaseChange}
	return NewAnonFile(ctx, "[fscontext]", c, abi.O_RDWR, ModeRead|ModeWrite|ModeStream)
}

// maxFSOptions bounds the options that one context takes.
const maxFSOptions = 256

// Fsconfig is fsconfig(2) on the file of a context. value is what FSCONFIG_SET_STRING or
// FSCONFIG_SET_PATH gave.
func Fsconfig(ctx *Context, f *File, cmd uint32, key, value string) error {
	c, ok := f.Ops.(*FSContext)
	if !ok {
		return abi.EINVAL
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch cmd {
	case abi.FSCONFIG_SET_FLAG, abi.FSCONFIG_SET_STRING, abi.FSCONFIG_SET_PATH, abi.FSCONFIG_SET_PATH_EMPTY:
		return c.setLocked(ctx, cmd, key, value)
	case abi.FSCONFIG_SET_BINARY, abi.FSCONFIG_SET_FD:
		return abi.EINVAL // Linux difference: no file system here has options of these kinds
	case abi.FSCONFIG_CMD_CREATE, abi.FSCONFIG_CMD_CREATE_EXCL:
		return c.createLocked(ctx)
	case abi.FSCONFIG_CMD_RECONFIGURE:
		return c.reconfigureLocked(ctx)
	}
	return abi.EOPNOTSUPP
}

func (c *FSContext) createLocked(ctx *Context) error {
	if c.phase != phaseCreate {
		return abi.EBUSY
	}
	c.spec.Data = strings.Join(c.opts, ",")
	s, err := NewMountSuper(ctx, c.fstype, &c.spec)
	if err != nil {
		c.phase = phaseFailed
		return err
	}
	s.get()
	c.super, c.phase = s, phaseMount
	return nil
}

func (c *FSContext) setLocked(ctx *Context, cmd uint32, key, value string) error {
	if c.phase != phaseCreate && c.phase != phaseChange {
		return abi.EBUSY
	}
	if key == "" {
		return abi.EINVAL
	}
	if len(c.opts) >= maxFSOptions {
		return abi.E2BIG
	}
	opt := key
	if cmd != abi.FSCONFIG_SET_FLAG {
		opt += "=" + value
	}
	switch {
	case key == "source" && cmd != abi.FSCONFIG_SET_FLAG:
		if c.spec.Source != "" {
			return abi.EINVAL
		}
		c.spec.Source = value
	case key == "ro" && cmd == abi.FSCONFIG_SET_FLAG:
		c.spec.Flags |= abi.MS_RDONLY
		c.mask |= abi.MS_RDONLY
	case key == "rw" && cmd == abi.FSCONFIG_SET_FLAG:
		c.spec.Flags &^= abi.MS_RDONLY
		c.mask |= abi.MS_RDONLY
	case cmd == abi.FSCONFIG_SET_FLAG && slices.Contains(superFlags, key):
	case strings.Contains(opt, ","):
		return abi.EINVAL
	default:
		if err := c.check(ctx, opt); err != nil {
			return err
		}
		c.opts = append(c.opts, opt)
	}
	return nil
}

// superFlags are options of every file system that change nothing here.
var superFlags = []string{"sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand"}

// check refuses an option that the file system does not know.
func (c *FSContext) check(ctx *Context, opt string) error {
	if t, ok := LookupFileSystem(c.fstype).(OptionChecker); ok {
		return t.CheckOption(ctx, opt)
	}
	return nil
}

func (c *FSContext) reconfigureLocked(ctx *Context) error {
	if c.phase != phaseChange {
		return abi.EBUSY
	}
	s := c.super
	if !s.mayReconfigure(ctx) {
		return abi.EPERM
	}
	flags := s.Flags()&^c.mask | c.spec.Flags&c.mask
	if err := s.reconfigure(ctx, flags, strings.Join(c.opts, ",")); err != nil {
		c.phase = phaseFailed
		return err
	}
	c.opts, c.mask = nil, 0
	return nil
}

// Read implements FileOps: there are no messages.
func (c *FSContext) Read(*Context, *File, uio.Bufs, *int64) (int, error) { return 0, abi.ENODATA }

// Write implements FileOps.
func (c *FSContext) Write(*Context, *File, uio.Bufs, *int64) (int, error) { return 0, abi.EINVAL }

// Release implements FileOps.
func (c *FSContext) Release(*File) {
	if c.super != nil {
		c.super.put()
	}
}

// attrFlags turns MOUNT_ATTR_* into MS_*. EINVAL: unknown ones.
func attrFlags(attr uint64) (uint32, error) {
	const known = abi.MOUNT_ATTR_RDONLY | abi.MOUNT_ATTR_NOSUID | abi.MOUNT_ATTR_NODEV | abi.MOUNT_ATTR_NOEXEC |
		abi.MOUNT_ATTR__ATIME | abi.MOUNT_ATTR_NODIRATIME | abi.MOUNT_ATTR_NOSYMFOLLOW
	if attr&^known != 0 {
		return 0, abi.EINVAL
	}
	var fl uint32
	for _, b := range [...]struct {
		attr uint64
		ms   uint32
	}{{abi.MOUNT_ATTR_RDONLY, abi.MS_RDONLY}, {abi.MOUNT_ATTR_NOSUID, abi.MS_NOSUID}, {abi.MOUNT_ATTR_NODEV, abi.MS_NODEV},
		{abi.MOUNT_ATTR_NOEXEC, abi.MS_NOEXEC}, {abi.MOUNT_ATTR_NODIRATIME, abi.MS_NODIRATIME}, {abi.MOUNT_ATTR_NOSYMFOLLOW, abi.MS_NOSYMFOLLOW}} {
		if attr&b.attr != 0 {
			fl |= b.ms
		}
	}
	switch attr & abi.MOUNT_ATTR__ATIME {
	case abi.MOUNT_ATTR_RELATIME:
		fl |= abi.MS_RELATIME
	case abi.MOUNT_ATTR_NOATIME:
		fl |= abi.MS_NOATIME
	case abi.MOUNT_ATTR_STRICTATIME:
	default:
		return 0, abi.EINVAL
	}
	return fl, nil
}

// mountFile is what fsmount(2) and open_tree(2) with OPEN_TREE_CLONE give a descriptor
// of: a tree that goes away with the last of them unless it was moved into place.
type mountFile struct{ mount *Mount }

// Read implements FileOps.
func (*mountFile) Read(*Context, *File, uio.Bufs, *int64) (int, error) { return 0, abi.EBADF }

// Write implements FileOps.
func (*mountFile) Write(*Context, *File, uio.Bufs, *int64) (int, error) { return 0, abi.EBADF }

// Release implements FileOps.
func (o *mountFile) Release(*File) {
	if o.mount.ns.Load() == nil && o.mount.place().Mount == nil {
		dropTree(o.mount)
	}
}

// newMountFile returns an O_PATH file of the root of a tree that is nowhere.
func newMountFile(ctx *Context, m *Mount) (*File, error) {
	p := Path{m, m.root}
	if !p.TryIncRef() {
		return nil, abi.ENOENT
	}
	f, err := openPinned(ctx, p, abi.O_PATH)
	if err != nil {
		p.DecRef()
		return nil, err
	}
	f.Ops = &mountFile{m}
	return f, nil
}

// Fsmount is fsmount(2) on the file of a context; attr is MOUNT_ATTR_*.
func Fsmount(ctx *Context, f *File, attr uint64) (*File, error) {
	c, ok := f.Ops.(*FSContext)
	if !ok {
		return nil, abi.EINVAL
	}
	fl, err := attrFlags(attr)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.super == nil {
		return nil, abi.EINVAL
	}
	if c.phase != phaseMount {
		return nil, abi.EBUSY
	}
	m, err := newMount(ctx.Account, c.super.root, c.spec.Source, fl, ctx.Creds.UserNS)
	if err != nil {
		return nil, err
	}
	c.phase = phaseChange // as if it were picked, from here on
	c.opts, c.mask = nil, 0
	return newMountFile(ctx, m)
}

// OpenTree is open_tree(2) with OPEN_TREE_CLONE: a copy of the mount at p, with those
// below if recursive, that is nowhere yet. (Without the flag open_tree is an O_PATH open.)
func OpenTree(ctx *Context, p Path, recursive bool) (*File, error) {
	if err := mayMount(ctx); err != nil {
		return nil, err
	}
	m, err := cloneFrom(ctx, p, recursive)
	if err != nil {
		return nil, err
	}
	return newMountFile(ctx, m)
}

// MoveMountTo is move_mount(2): it attaches a tree from Fsmount or OpenTree, or moves a
// mount that is in place.
func MoveMountTo(ctx *Context, from, to Path) error {
	if err := mayMount(ctx); err != nil {
		return err
	}
	return MoveMount(ctx, from, to)
}

// MountSetattr is mount_setattr(2) on the mount whose root is p. set and clear are
// MOUNT_ATTR_*, propagation is 0 or an MS_* type.
func MountSetattr(ctx *Context, p Path, set, clear uint64, propagation uint32, recursive bool) error {
	if err := mayMount(ctx); err != nil {
		return err
	}
	if p.Dentry != p.Mount.root {
		return abi.EINVAL
	}
	if clear&abi.MOUNT_ATTR__ATIME != 0 && clear&abi.MOUNT_ATTR__ATIME != abi.MOUNT_ATTR__ATIME ||
		set&abi.MOUNT_ATTR__ATIME != 0 && clear&abi.MOUNT_ATTR__ATIME == 0 {
		return abi.EINVAL
	}
	on, err := attrFlags(set)
	if err != nil {
		return err
	}
	off, err := attrFlags(clear &^ abi.MOUNT_ATTR__ATIME)
	if err != nil {
		return err
	}
	off &^= abi.MS_RELATIME
	if clear&abi.MOUNT_ATTR__ATIME == 0 {
		on &^= abi.MS_RELATIME | abi.MS_NOATIME
	} else {
		off |= abi.MS_RELATIME | abi.MS_NOATIME
	}
	if propagation&(propagation-1) != 0 || propagation&^propagationFlags != 0 {
		return abi.EINVAL
	}
	mounts.mu.Lock()
	defer mounts.mu.Unlock()
	var all []*Mount
	if recursive {
		eachLocked(p.Mount, func(m *Mount) { all = append(all, m) })
	} else {
		all = []*Mount{p.Mount}
	}
	for _, m := range all {
		if m.lockFlags&off&^on != 0 {
			return abi.EPERM
		}
		if on&^m.flags.Load()&abi.MS_RDONLY != 0 && m.writes.Load() > 0 {
			return abi.EBUSY
		}
	}
	for _, m := range all {
		m.flags.Store(m.flags.Load()&^off | on)
		if propagation != 0 {
			setPropagationLocked(m, propagation)
		}
	}
	if ns := p.Mount.ns.Load(); ns != nil {
		ns.changed()
	}
	return nil
}
