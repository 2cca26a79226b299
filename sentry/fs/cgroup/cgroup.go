package cgroup

import (
	"slices"
	"strconv"
	"strings"

	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Values is a kernel.Container's Data that knows files of the group, such as "cpu.max":
// the text without the final newline, false for what it does not know.
type Values interface {
	CgroupFile(name string) (string, bool)
}

// Type is the file system type "cgroup2".
type Type struct {
	k    *kernel.Kernel
	cpus int
	tree *pseudo.Tree
}

// Register makes the file system type known.
func Register(k *kernel.Kernel) *Type {
	t := &Type{k: k, cpus: k.CPUs, tree: pseudo.NewTree(0o755, table)}
	vfs.RegisterFileSystem(t)
	return t
}

// Name implements vfs.FileSystemType.
func (t *Type) Name() string { return "cgroup2" }

// UserNSMount implements vfs.UserNSMountable.
func (t *Type) UserNSMount() bool { return true }

// FS is an instance: the group of one container.
type FS struct {
	typ *Type
	c   *kernel.Container
}

// containerer is a vfs.Context's Sleeper that belongs to a container: a task, or boot's.
type containerer interface{ Container() *kernel.Container }

// NewSuper implements vfs.FileSystemType. It shows the container of who mounts it.
func (t *Type) NewSuper(ctx *vfs.Context, spec *vfs.MountSpec) (*vfs.Super, error) {
	for opt := range strings.SplitSeq(spec.Data, ",") {
		switch opt {
		case "", "rw", "ro", "nsdelegate", "memory_recursiveprot", "favordynmods", "memory_localevents", "memory_hugetlb_accounting":
		default:
			return nil, abi.EINVAL
		}
	}
	fs := &FS{typ: t}
	if c, ok := ctx.Sleeper.(containerer); ok {
		fs.c = c.Container()
	}
	if fs.c == nil {
		return nil, abi.EPERM
	}
	s := vfs.NewSuper("cgroup2", abi.CGROUP2_SUPER_MAGIC, fs)
	s.Source, s.Options = spec.Source, "nsdelegate,memory_recursiveprot"
	if err := s.SetRoot(ctx, pseudo.NewInode(s, t.tree.Root, 1)); err != nil {
		return nil, err
	}
	return s, nil
}

func fsOf(c *pseudo.Call) *FS { return c.FS.(*FS) }

// limit formats a limit, of which 0 is none.
func limit(n uint64) string {
	if n == 0 {
		return "max"
	}
	return strconv.FormatUint(n, 10)
}

// value returns what the container's owner says, or def.
func (fs *FS) value(name, def string) string {
	if v, ok := fs.c.Data.(Values); ok {
		if s, ok := v.CgroupFile(name); ok {
			return s
		}
	}
	return def
}

// show is a file whose text the owner may know; Arg is the text otherwise.
func show(c *pseudo.Call, b *pseudo.Buf) error {
	def, _ := c.Node.Arg.(string)
	if s := fsOf(c).value(c.Node.Name, def); s != "" {
		b.Line(s)
	}
	return nil
}

func showMemoryMax(c *pseudo.Call, b *pseudo.Buf) error {
	fs := fsOf(c)
	n := uint64(0)
	if a := fs.c.Account; a != nil {
		n = a.Limit()
	}
	b.Line(fs.value(c.Node.Name, limit(n)))
	return nil
}

func (fs *FS) used() (now, peak, fails uint64) {
	if a := fs.c.Account; a != nil {
		return a.Used(), a.Peak(), a.Fails()
	}
	return 0, 0, 0
}

func showMemoryCurrent(c *pseudo.Call, b *pseudo.Buf) error {
	now, _, _ := fsOf(c).used()
	b.Printf("%d\n", now)
	return nil
}

func showMemoryPeak(c *pseudo.Call, b *pseudo.Buf) error {
	_, peak, _ := fsOf(c).used()
	b.Printf("%d\n", peak)
	return nil
}

func showMemoryEvents(c *pseudo.Call, b *pseudo.Buf) error {
	_, _, fails := fsOf(c).used()
	kills := fsOf(c).c.OOMKills()
	b.Printf("low 0\nhigh 0\nmax %d\noom %d\noom_kill %d\noom_group_kill 0\n", fails, kills, kills)
	return nil
}

// showMemoryStat tells everything as anonymous: pages of tmpfs are charged alike.
func showMemoryStat(c *pseudo.Call, b *pseudo.Buf) error {
	now, _, _ := fsOf(c).used()
	b.Printf("anon %d\nfile 0\nkernel 0\nkernel_stack 0\npagetables 0\nsec_pagetables 0\npercpu 0\nsock 0\nvmalloc 0\nshmem 0\n"+
		"file_mapped 0\nfile_dirty 0\nfile_writeback 0\nswapcached 0\nanon_thp 0\nfile_thp 0\nshmem_thp 0\ninactive_anon 0\n"+
		"active_anon %d\ninactive_file 0\nactive_file 0\nunevictable 0\nslab_reclaimable 0\nslab_unreclaimable 0\nslab 0\n"+
		"pgfault 0\npgmajfault 0\n", now, now)
	return nil
}

func showPidsMax(c *pseudo.Call, b *pseudo.Buf) error {
	b.Line(limit(uint64(max(fsOf(c).c.MaxTasks(), 0))))
	return nil
}

func showPidsCurrent(c *pseudo.Call, b *pseudo.Buf) error {
	b.Printf("%d\n", fsOf(c).c.Tasks())
	return nil
}

func showPidsEvents(c *pseudo.Call, b *pseudo.Buf) error {
	b.Printf("max %d\n", fsOf(c).c.TasksRefused())
	return nil
}

func frozen(c *pseudo.Call) int {
	if fsOf(c).c.Frozen() {
		return 1
	}
	return 0
}

func showEvents(c *pseudo.Call, b *pseudo.Buf) error {
	b.Printf("populated 1\nfrozen %d\n", frozen(c))
	return nil
}

func showFreeze(c *pseudo.Call, b *pseudo.Buf) error {
	b.Printf("%d\n", frozen(c))
	return nil
}

// groups returns the container's processes.
func (fs *FS) groups() []*kernel.ThreadGroup {
	return slices.DeleteFunc(fs.typ.k.Groups(fs.typ.k.RootPIDNS), func(g *kernel.ThreadGroup) bool { return g.Container() != fs.c })
}

func showCPUStat(c *pseudo.Call, b *pseudo.Buf) error {
	user, system := fsOf(c).c.CPUTimes()
	held := fsOf(c).c.Throttling()
	b.Printf("usage_usec %d\nuser_usec %d\nsystem_usec %d\nnice_usec 0\ncore_sched.force_idle_usec 0\n"+
		"nr_periods %d\nnr_throttled %d\nthrottled_usec %d\nnr_bursts 0\nburst_usec 0\n",
		(user + system).Microseconds(), user.Microseconds(), system.Microseconds(), held.Periods, held.Throttled, held.ThrottledNS/1000)
	return nil
}

func showCPUs(c *pseudo.Call, b *pseudo.Buf) error {
	n := fsOf(c).typ.cpus
	if n == 1 {
		b.Line(fsOf(c).value(c.Node.Name, "0"))
		return nil
	}
	b.Line(fsOf(c).value(c.Node.Name, "0-"+strconv.Itoa(n-1)))
	return nil
}

// showProcs lists ids as the reader's pid namespace has them.
func showProcs(c *pseudo.Call, b *pseudo.Buf) error {
	fs := fsOf(c)
	ns := fs.c.PIDNS()
	if t, ok := c.Ctx.Sleeper.(*kernel.Task); ok {
		ns = t.PIDNS()
	}
	var ids []int32
	for _, g := range fs.groups() {
		if c.Node.Name == "cgroup.procs" {
			ids = append(ids, g.PIDIn(ns))
			continue
		}
		for _, t := range g.Tasks() {
			ids = append(ids, t.TIDIn(ns))
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		b.Int(int64(id))
		b.Byte('\n')
	}
	return nil
}

// storeProcs lets processes move to where they are.
func storeProcs(*pseudo.Call, []byte) error { return nil }

// refuse: limits are the container's owner's to set.
func refuse(*pseudo.Call, []byte) error { return abi.EPERM }

func showPressure(_ *pseudo.Call, b *pseudo.Buf) error {
	const rest = " avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
	b.Str("some", rest, "full", rest)
	return nil
}
