package devpts

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"lazaret/sentry/auth"
	"lazaret/sentry/tty"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

const (
	// maxPTYs is kernel.pty.max.
	maxPTYs = 4096
	// ptyCost is charged for a pseudoterminal with full buffers, in bytes.
	ptyCost = 16 << 10

	superMagic = 0x1cd1
)

// Type is the file system type for mount(2).
type Type struct{}

// Name implements vfs.FileSystemType.
func (Type) Name() string { return "devpts" }

// UserNSMount implements vfs.UserNSMountable.
func (Type) UserNSMount() bool { return true }

// NewSuper implements vfs.FileSystemType.
func (Type) NewSuper(ctx *vfs.Context, spec *vfs.MountSpec) (*vfs.Super, error) {
	i := &Instance{ptys: make(map[uint32]*pts), opts: options{mode: 0o600, max: maxPTYs}}
	if err := i.opts.parse(ctx, spec.Data); err != nil {
		return nil, err
	}
	i.super = vfs.NewSuper("devpts", superMagic, i)
	i.super.Source = spec.Source
	i.now = ctx.Now()
	return i.super, i.super.SetRoot(ctx, &root{inst: i})
}

// options are those of mount(8), devpts.
type options struct {
	uid        auth.KUID
	gid        auth.KGID
	hasUID     bool
	hasGID     bool
	mode, ptmx uint32
	max        uint32
}

func (o *options) parse(ctx *vfs.Context, data string) error {
	for opt := range strings.SplitSeq(data, ",") {
		key, val, _ := strings.Cut(opt, "=")
		base := 10
		switch key {
		case "", "newinstance":
			continue
		case "mode", "ptmxmode":
			base = 8
		}
		n, err := strconv.ParseUint(val, base, 32)
		if err != nil {
			return abi.EINVAL
		}
		ok := true
		switch key {
		case "uid":
			o.uid, ok = ctx.Creds.UserNS.KUID(uint32(n))
			o.hasUID = true
		case "gid":
			o.gid, ok = ctx.Creds.UserNS.KGID(uint32(n))
			o.hasGID = true
		case "mode":
			o.mode = uint32(n) & 0o7777
		case "ptmxmode":
			o.ptmx = uint32(n) & 0o7777
		case "max":
			o.max, ok = uint32(min(n, maxPTYs)), n <= 1<<20
		default:
			ok = false
		}
		if !ok {
			return abi.EINVAL
		}
	}
	return nil
}

// Instance is a mounted devpts.
type Instance struct {
	super *vfs.Super
	now   abi.Timespec // of the mount

	mu   sync.Mutex
	opts options
	ptys map[uint32]*pts
}

// Remount implements vfs.Remounter.
func (i *Instance) Remount(ctx *vfs.Context, _ uint32, data string) error {
	i.mu.Lock()
	o := i.opts
	i.mu.Unlock()
	if err := o.parse(ctx, data); err != nil {
		return err
	}
	i.mu.Lock()
	i.opts = o
	i.mu.Unlock()
	return nil
}

// ShowOptions implements vfs.OptionShower.
func (i *Instance) ShowOptions() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	var b strings.Builder
	sep := ""
	add := func(format string, v any) {
		fmt.Fprintf(&b, sep+format, v)
		sep = ","
	}
	if i.opts.hasUID {
		add("uid=%d", i.opts.uid)
	}
	if i.opts.hasGID {
		add("gid=%d", i.opts.gid)
	}
	add("mode=%03o", i.opts.mode)
	add("ptmxmode=%03o", i.opts.ptmx)
	if i.opts.max != maxPTYs {
		add("max=%d", i.opts.max)
	}
	return b.String()
}

// open makes a pseudoterminal. at is the root of the instance as the opener reached it,
// which TIOCGPTPEER opens the terminal from.
func (i *Instance) open(ctx *vfs.Context, f *vfs.File, at vfs.Path) (vfs.FileOps, error) {
	if ctx.Account != nil {
		if err := ctx.Account.Charge(ptyCost); err != nil {
			return nil, err
		}
	}
	p, m, err := i.add(ctx)
	if err == nil && at.TryIncRef() {
		p.at = at
	}
	if err != nil {
		if ctx.Account != nil {
			ctx.Account.Uncharge(ptyCost)
		}
		return nil, err
	}
	f.Mode |= vfs.ModeStream | vfs.ModeAsync
	return m, nil
}

func (i *Instance) add(ctx *vfs.Context) (*pts, *tty.Master, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if uint32(len(i.ptys)) >= i.opts.max {
		return nil, nil, abi.ENOSPC
	}
	n := uint32(0)
	for i.ptys[n] != nil {
		n++
	}
	p := &pts{inst: i, n: n, acct: ctx.Account, now: ctx.Now()}
	p.mode = abi.S_IFCHR | i.opts.mode
	p.uid, p.gid = i.opts.uid, i.opts.gid
	if !i.opts.hasUID {
		p.uid = ctx.Creds.FSUID
	}
	if !i.opts.hasGID {
		p.gid = ctx.Creds.FSGID
	}
	t, m := tty.NewPTY(tty.PTSMajor, n, p)
	p.t = t
	i.ptys[n] = p
	return p, m, nil
}

// DevPTMX opens /dev/ptmx.
type DevPTMX struct{}

// OpenDevice implements vfs.DeviceOpener: the instance is the one at "pts" beside the
// device, ENODEV if there is none.
func (DevPTMX) OpenDevice(ctx *vfs.Context, f *vfs.File, _, _ uint32) (vfs.FileOps, error) {
	dir := vfs.Path{Mount: f.Path.Mount, Dentry: f.Path.Dentry.Parent()}
	if !dir.OK() {
		return nil, abi.ENODEV
	}
	p, err := vfs.Lookup(ctx, dir, "pts", vfs.LookupFollow|vfs.LookupDirectory)
	if err != nil {
		return nil, abi.ENODEV
	}
	i, ok := p.Dentry.Super().FS.(*Instance)
	if !ok || p.Dentry != p.Dentry.Super().Root() {
		return nil, abi.ENODEV
	}
	return i.open(ctx, f, p)
}
