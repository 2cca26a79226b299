package boot

import (
	"fmt"
	"strings"

	"lazaret/runsc/sandbox"
	"lazaret/sentry/fs/gofer"
	"lazaret/sentry/fs/overlay"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// kernelCtx is the context of the kernel's own work for the container.
func (c *container) kernelCtx() *vfs.Context {
	return &vfs.Context{
		Creds: rootCreds(c.s.k.RootUserNS), Account: c.acct, Clock: c.s.k.Clock, MaxFileSize: ^uint64(0),
	}
}

// openGofer starts the protocol with the container's Gofer.
func (c *container) openGofer() error {
	client, err := gofer.NewClient(c.fds.gofer)
	if err != nil {
		return fmt.Errorf("talk to the gofer: %w", err)
	}
	c.gofer, c.fds.gofer = client, sandbox.NoFD
	if c.s.cfg.Flags.HostUDS {
		client.UseHost(c.s.notifier)
	}
	for _, a := range c.fds.attach {
		if a.Shared() {
			if err := client.Watch(); err != nil {
				return fmt.Errorf("watch for changes on the host: %w", err)
			}
			break
		}
	}
	return nil
}

// attachFor returns the Gofer's name for the source of mount i, -1 for the root.
func (c *container) attachFor(i int) (sandbox.Attach, bool) {
	for _, a := range c.fds.attach {
		if a.Mount == i {
			return a, true
		}
	}
	return sandbox.Attach{}, false
}

// rootSuper makes the file system at the root: the Gofer's, below a layer in memory
// unless --overlay none says that changes go through to the host. A root that is
// read-only has one for missing mount points.
func (c *container) rootSuper(ctx *vfs.Context) (*vfs.Super, error) {
	a, ok := c.attachFor(-1)
	if !ok {
		return nil, fmt.Errorf("the gofer serves no root")
	}
	lower, err := gofer.Mount(ctx, c.gofer, a.Name, "root")
	if err != nil {
		return nil, fmt.Errorf("mount the root: %w", err)
	}
	if c.s.cfg.Flags.Overlay == "none" && !c.spec.Root.Readonly {
		return lower, nil
	}
	return c.overlaid(ctx, lower)
}

// overlaid puts a layer in memory over lower.
func (c *container) overlaid(ctx *vfs.Context, lower *vfs.Super) (*vfs.Super, error) {
	attr, err := lower.Root().Inode().Attr(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("look at the root: %w", err)
	}
	// The merged root shows the upper one's owner and mode.
	data := fmt.Sprintf("mode=%o,uid=%d,gid=%d", attr.Mode&0o7777, attr.UID, attr.GID)
	upper, err := vfs.NewMountSuper(ctx, "tmpfs", &vfs.MountSpec{Source: "overlay", Data: data})
	if err != nil {
		return nil, fmt.Errorf("make the overlay's memory: %w", err)
	}
	s, err := overlay.New(ctx, upper, []*vfs.Super{lower}, "overlay")
	if err != nil {
		return nil, fmt.Errorf("make the overlay: %w", err)
	}
	return s, nil
}

// mountFlags are the options of mounts that are flags of mount(2): what each sets and
// clears.
var mountFlags = map[string]struct{ set, clear uint32 }{
	"ro":            {abi.MS_RDONLY, 0},
	"rw":            {0, abi.MS_RDONLY},
	"nosuid":        {abi.MS_NOSUID, 0},
	"suid":          {0, abi.MS_NOSUID},
	"nodev":         {abi.MS_NODEV, 0},
	"dev":           {0, abi.MS_NODEV},
	"noexec":        {abi.MS_NOEXEC, 0},
	"exec":          {0, abi.MS_NOEXEC},
	"sync":          {abi.MS_SYNCHRONOUS, 0},
	"async":         {0, abi.MS_SYNCHRONOUS},
	"dirsync":       {abi.MS_DIRSYNC, 0},
	"noatime":       {abi.MS_NOATIME, 0},
	"atime":         {0, abi.MS_NOATIME},
	"nodiratime":    {abi.MS_NODIRATIME, 0},
	"diratime":      {0, abi.MS_NODIRATIME},
	"relatime":      {abi.MS_RELATIME, 0},
	"norelatime":    {0, abi.MS_RELATIME},
	"strictatime":   {abi.MS_STRICTATIME, 0},
	"nostrictatime": {0, abi.MS_STRICTATIME},
	"bind":          {abi.MS_BIND, 0},
	"rbind":         {abi.MS_BIND | abi.MS_REC, 0},
	"defaults":      {0, 0},
	"silent":        {0, 0},
	"loud":          {0, 0},
	"mand":          {0, 0},
	"nomand":        {0, 0},
	"nosymfollow":   {abi.MS_NOSYMFOLLOW, 0},
	"symfollow":     {0, abi.MS_NOSYMFOLLOW},

	// Those of the host's disks, which no file system of a sandbox has.
	"iversion": {0, 0}, "noiversion": {0, 0}, "lazytime": {0, 0}, "nolazytime": {0, 0}, "acl": {0, 0}, "noacl": {0, 0},
}

// recursive reports whether an option is one of mountFlags with an r before it: it holds for
// what is mounted below too. A bind's tree is one file system here.
func recursive(option string) (plain string, ok bool) {
	plain, ok = strings.CutPrefix(option, "r")
	switch plain {
	case "ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "noatime", "atime", "nodiratime", "diratime",
		"relatime", "norelatime", "strictatime", "nostrictatime", "nosymfollow", "symfollow":
		return plain, ok
	}
	return "", false
}

// propagation are the options that change how mounts spread.
var propagation = map[string]uint32{
	"private": abi.MS_PRIVATE, "rprivate": abi.MS_PRIVATE | abi.MS_REC,
	"shared": abi.MS_SHARED, "rshared": abi.MS_SHARED | abi.MS_REC,
	"slave": abi.MS_SLAVE, "rslave": abi.MS_SLAVE | abi.MS_REC,
	"unbindable": abi.MS_UNBINDABLE, "runbindable": abi.MS_UNBINDABLE | abi.MS_REC,
}

// options are a mount's options, sorted by what they are.
type options struct {
	flags       uint32
	propagation []uint32
	copyUp      bool // tmpcopyup
	remount     bool
	data        string
}

func parseOptions(list []string) options {
	var o options
	for _, v := range list {
		if plain, ok := recursive(v); ok {
			v = plain
		}
		if f, ok := mountFlags[v]; ok {
			o.flags = o.flags&^f.clear | f.set
		} else if p, ok := propagation[v]; ok {
			o.propagation = append(o.propagation, p)
		} else if v == "tmpcopyup" {
			o.copyUp = true
		} else if v == "remount" {
			o.remount = true
		} else {
			if o.data != "" {
				o.data += ","
			}
			o.data += v
		}
	}
	return o
}
