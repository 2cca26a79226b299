package proc

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"lazaret/sentry/auth"
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// HostInfo is what proc tells about the machine. Boot collects it, since the Sentry
// opens no files. Empty fields get plausible values.
type HostInfo struct {
	CPUInfo  string // text of /proc/cpuinfo
	MemTotal uint64 // bytes
	CPUs     int
	Release  string // uname(2): "6.12.0"
	Version  string // "#1 SMP PREEMPT_DYNAMIC ..."
	Cmdline  string // text of /proc/cmdline, without newline
}

// System is procfs of one kernel, common to all instances.
type System struct {
	K    *kernel.Kernel
	Info HostInfo

	bootID   string
	settings settings
	nsfs     nsFS
}

// Register makes the file system type "proc" known and returns what boot needs of it.
func Register(k *kernel.Kernel, info HostInfo) *System {
	if info.CPUs <= 0 {
		info.CPUs = k.CPUs
	}
	if info.MemTotal == 0 && k.MemFile != nil {
		info.MemTotal = k.MemFile.TotalMemory()
	}
	if info.Release == "" {
		info.Release = "6.12.0"
	}
	if info.Version == "" {
		info.Version = "#1 SMP PREEMPT_DYNAMIC"
	}
	if info.Cmdline == "" {
		info.Cmdline = "quiet"
	}
	s := &System{K: k, Info: info, bootID: newUUID()}
	vfs.RegisterFileSystem(s)
	return s
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Name implements vfs.FileSystemType.
func (s *System) Name() string { return "proc" }

// UserNSMount implements vfs.UserNSMountable.
func (s *System) UserNSMount() bool { return true }

// PIDNamespacer is a vfs.Context's Sleeper that is no task and knows the pid namespace of
// what it mounts.
type PIDNamespacer interface {
	PIDNamespace() *kernel.PIDNamespace
}

// BootSleeper is a Sleeper for boot: a proc that is mounted with it shows NS, and a
// cgroup2 the group of C.
type BootSleeper struct {
	wait.Sleeper
	NS *kernel.PIDNamespace
	C  *kernel.Container
}

// Container returns the container that boot works for.
func (b BootSleeper) Container() *kernel.Container { return b.C }

// PIDNamespace implements PIDNamespacer.
func (b BootSleeper) PIDNamespace() *kernel.PIDNamespace { return b.NS }

// taskOf returns the task that ctx works for, nil for the kernel itself.
func taskOf(ctx *vfs.Context) *kernel.Task {
	t, _ := ctx.Sleeper.(*kernel.Task)
	return t
}

func (s *System) pidNSOf(ctx *vfs.Context) *kernel.PIDNamespace {
	if t := taskOf(ctx); t != nil {
		return t.PIDNS()
	}
	if p, ok := ctx.Sleeper.(PIDNamespacer); ok {
		return p.PIDNamespace()
	}
	return s.K.RootPIDNS
}

// FS is an instance.
type FS struct {
	sys   *System
	super *vfs.Super
	ns    *kernel.PIDNamespace

	mu   sync.Mutex
	opts options
}

// Values of the hidepid option (proc(5)).
const (
	hideOff        = 0
	hideNoAccess   = 1
	hideInvisible  = 2
	hidePtraceable = 4
)

type options struct {
	hide    int
	gid     auth.KGID
	gidSet  bool
	pidOnly bool // subset=pid
}

func (o *options) parse(ctx *vfs.Context, data string) error {
	for opt := range strings.SplitSeq(data, ",") {
		key, val, _ := strings.Cut(opt, "=")
		switch key {
		case "", "rw", "ro", "source":
		case "hidepid":
			n, ok := map[string]int{"0": 0, "off": 0, "1": 1, "noaccess": 1, "2": 2, "invisible": 2, "4": 4, "ptraceable": 4}[val]
			if !ok {
				return abi.EINVAL
			}
			o.hide = n
		case "gid":
			n, err := strconv.ParseUint(val, 10, 32)
			if err != nil {
				return abi.EINVAL
			}
			g, ok := ctx.Creds.UserNS.KGID(uint32(n))
			if !ok {
				return abi.EINVAL
			}
			o.gid, o.gidSet = g, true
		case "subset":
			if val != "pid" {
				return abi.EINVAL
			}
			o.pidOnly = true
		default:
			return abi.EINVAL
		}
	}
	return nil
}

// NewSuper implements vfs.FileSystemType.
func (s *System) NewSuper(ctx *vfs.Context, spec *vfs.MountSpec) (*vfs.Super, error) {
	var o options
	if err := o.parse(ctx, spec.Data); err != nil {
		return nil, err
	}
	fs := &FS{sys: s, ns: s.pidNSOf(ctx), opts: o}
	fs.super = vfs.NewSuper("proc", abi.PROC_SUPER_MAGIC, fs)
	fs.super.NoMissing = true
	fs.super.Source = spec.Source
	fs.super.UserNS = fs.ns.UserNS
	root := &rootDir{fs: fs}
	root.Sup, root.Ino, root.Mode = fs.super, 1, abi.S_IFDIR|0o555
	if err := fs.super.SetRoot(ctx, root); err != nil {
		return nil, err
	}
	return fs.super, nil
}

// Remount implements vfs.Remounter.
func (fs *FS) Remount(ctx *vfs.Context, _ uint32, data string) error {
	o := fs.options()
	if err := o.parse(ctx, data); err != nil {
		return err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if o.pidOnly != fs.opts.pidOnly {
		return abi.EINVAL
	}
	fs.opts = o
	return nil
}

func (fs *FS) options() options {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.opts
}

// ShowOptions implements vfs.OptionShower.
func (fs *FS) ShowOptions() string {
	o := fs.options()
	var s []string
	if o.gidSet && o.gid != 0 {
		s = append(s, fmt.Sprintf("gid=%d", o.gid))
	}
	if name := map[int]string{1: "noaccess", 2: "invisible", 4: "ptraceable"}[o.hide]; name != "" {
		s = append(s, "hidepid="+name)
	}
	if o.pidOnly {
		s = append(s, "subset=pid")
	}
	return strings.Join(s, ",")
}

// visible reports whether ctx may know of t at a level of hidepid.
func (fs *FS) visible(ctx *vfs.Context, t *kernel.Task, level int) bool {
	o := fs.options()
	if o.hide != hidePtraceable {
		if o.hide < level || o.gidSet && ctx.Creds.InGroup(o.gid) {
			return true
		}
	}
	return mayLook(ctx, t)
}

// mayLook is ptrace_may_access(PTRACE_MODE_READ_FSCREDS).
func mayLook(ctx *vfs.Context, t *kernel.Task) bool {
	me := taskOf(ctx)
	return me == nil || me.MayAccess(t, kernel.AccessFS) == nil
}
