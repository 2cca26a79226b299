package proc

import (
	"strings"

	"lazaret/sentry/auth"
	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

// stateNames are the words of status.
var stateNames = [...]string{"R (running)", "S (sleeping)", "D (disk sleep)", "T (stopped)", "t (tracing stop)", "Z (zombie)", "X (dead)"}

// readerNS is the user namespace that ids are shown for: that of who opened the file.
func (c *call) readerNS() *auth.UserNamespace { return c.file.Creds.UserNS }

// showStatus is /proc/PID/status.
func showStatus(c *call, b *pseudo.Buf) error {
	c.statusIDs(b)
	if c.mm != nil {
		c.statusMemory(b)
	}
	c.statusSignals(b)
	c.statusSecurity(b)
	c.statusPlaces(b)
	return nil
}

func (c *call) statusIDs(b *pseudo.Buf) {
	t, tg, ns, cr, u := c.task, c.group(), c.fs.ns, c.task.Creds(), c.readerNS()
	b.Str("Name:\t", escapeComm(t.Comm()), "\n")
	if fs := t.FS(); fs != nil {
		b.Printf("Umask:\t%04o\n", fs.Umask())
	}
	tracer := int32(0)
	if tr := t.Tracer(); tr != nil {
		tracer = tr.TIDIn(ns)
	}
	b.Printf("State:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n",
		stateNames[state(t)], tg.PIDIn(ns), t.TIDIn(ns), tg.ParentIn(ns), tracer)
	b.Printf("Uid:\t%d\t%d\t%d\t%d\n", u.UID(cr.RUID), u.UID(cr.EUID), u.UID(cr.SUID), u.UID(cr.FSUID))
	b.Printf("Gid:\t%d\t%d\t%d\t%d\n", u.GID(cr.RGID), u.GID(cr.EGID), u.GID(cr.SGID), u.GID(cr.FSGID))
	size := 0
	if f := t.Files(); f != nil {
		for size = 64; size < f.Count(); size *= 2 {
		}
	}
	b.Printf("FDSize:\t%d\nGroups:\t", size)
	for i, g := range cr.Groups {
		if i > 0 {
			b.Byte(' ')
		}
		b.Uint(uint64(u.GID(g)))
	}
	b.Str(" \n")
	c.statusNamespaceIDs(b)
}

// statusNamespaceIDs writes the ids in each pid namespace from the reader's down to the
// task's own.
func (c *call) statusNamespaceIDs(b *pseudo.Buf) {
	t, tg := c.task, c.group()
	var spaces []*kernel.PIDNamespace
	for ns := t.PIDNS(); ns != nil; ns = ns.Parent {
		spaces = append([]*kernel.PIDNamespace{ns}, spaces...)
		if ns == c.fs.ns {
			break
		}
	}
	line := func(name string, id func(*kernel.PIDNamespace) int32) {
		b.Str(name)
		for _, ns := range spaces {
			b.Printf("\t%d", id(ns))
		}
		b.Byte('\n')
	}
	line("NStgid:", tg.PIDIn)
	line("NSpid:", t.TIDIn)
	line("NSpgid:", func(ns *kernel.PIDNamespace) int32 { p, _ := tg.GroupIDs(ns); return p })
	line("NSsid:", func(ns *kernel.PIDNamespace) int32 { _, s := tg.GroupIDs(ns); return s })
	b.Str("Kthread:\t0\n")
}

// escapeComm keeps a command name on its line.
func escapeComm(s string) string {
	return strings.NewReplacer("\n", `\n`, `\`, `\\`).Replace(s)
}

func (c *call) statusMemory(b *pseudo.Buf) {
	s := c.mm.Stats()
	kb := func(name string, n uint64) { b.Printf("%s\t%8d kB\n", name, n>>10) }
	kb("VmPeak:", s.VmPeak)
	kb("VmSize:", s.VmSize)
	kb("VmLck:", s.VmLck)
	kb("VmPin:", 0)
	kb("VmHWM:", s.VmHWM)
	kb("VmRSS:", s.VmRSS)
	kb("RssAnon:", s.RssAnon)
	kb("RssFile:", s.RssFile)
	kb("RssShmem:", s.RssShmem)
	kb("VmData:", s.VmData)
	kb("VmStk:", s.VmStk)
	kb("VmExe:", s.VmExe)
	kb("VmLib:", s.VmLib)
	kb("VmPTE:", s.VmPTE)
	kb("VmSwap:", 0)
	kb("HugetlbPages:", 0)
	b.Str("CoreDumping:\t0\nTHP_enabled:\t0\nuntag_mask:\t0xffffffffffffffff\n")
}

func (c *call) statusSignals(b *pseudo.Buf) {
	s := c.task.SignalSets()
	b.Printf("Threads:\t%d\nSigQ:\t%d/%d\n", len(c.group().Tasks()), s.Queued, s.QueueLimit)
	b.Printf("SigPnd:\t%016x\nShdPnd:\t%016x\nSigBlk:\t%016x\nSigIgn:\t%016x\nSigCgt:\t%016x\n",
		uint64(s.Pending), uint64(s.SharedPending), uint64(s.Blocked), uint64(s.Ignored), uint64(s.Caught))
}

func (c *call) statusSecurity(b *pseudo.Buf) {
	cr := c.task.Creds()
	b.Printf("CapInh:\t%016x\nCapPrm:\t%016x\nCapEff:\t%016x\nCapBnd:\t%016x\nCapAmb:\t%016x\n",
		uint64(cr.Inheritable), uint64(cr.Permitted), uint64(cr.Effective), uint64(cr.Bounding), uint64(cr.Ambient))
	nnp := 0
	if c.task.NoNewPrivs() {
		nnp = 1
	}
	b.Printf("NoNewPrivs:\t%d\nSeccomp:\t%d\nSeccomp_filters:\t%d\n", nnp, c.task.SeccompMode(), c.task.SeccompFilters())
	b.Str("Speculation_Store_Bypass:\tthread vulnerable\nSpeculationIndirectBranch:\tconditional enabled\n")
}

func (c *call) statusPlaces(b *pseudo.Buf) {
	set := c.task.Affinity()
	b.Str("Cpus_allowed:\t", MaskHex(set, c.fs.sys.Info.CPUs), "\nCpus_allowed_list:\t", MaskList(set, c.fs.sys.Info.CPUs), "\n")
	b.Str("Mems_allowed:\t", MaskHex([]uint64{1}, maxNodes), "\nMems_allowed_list:\t0\n")
	b.Printf("voluntary_ctxt_switches:\t%d\nnonvoluntary_ctxt_switches:\t0\n", c.usage().switches)
}

// maxNodes is CONFIG_NODES_SHIFT 10, as distributions have it.
const maxNodes = 1024

// showLimits is /proc/PID/limits.
func showLimits(c *call, b *pseudo.Buf) error {
	b.Str("Limit                     Soft Limit           Hard Limit           Units     \n")
	for i := range limitNames {
		n := &limitNames[i]
		l := c.group().Limit(n.res)
		b.Printf("%-25s ", n.name)
		for _, v := range [...]uint64{l.Cur, l.Max} {
			if v == abi.RlimInfinity {
				b.Printf("%-20s ", "unlimited")
			} else {
				b.Printf("%-20d ", v)
			}
		}
		if n.unit != "" {
			b.Printf("%-10s", n.unit)
		}
		b.Byte('\n')
	}
	return nil
}

var limitNames = [...]struct {
	res        int
	name, unit string
}{
	{abi.RLIMIT_CPU, "Max cpu time", "seconds"},
	{abi.RLIMIT_FSIZE, "Max file size", "bytes"},
	{abi.RLIMIT_DATA, "Max data size", "bytes"},
	{abi.RLIMIT_STACK, "Max stack size", "bytes"},
	{abi.RLIMIT_CORE, "Max core file size", "bytes"},
	{abi.RLIMIT_RSS, "Max resident set", "bytes"},
	{abi.RLIMIT_NPROC, "Max processes", "processes"},
	{abi.RLIMIT_NOFILE, "Max open files", "files"},
	{abi.RLIMIT_MEMLOCK, "Max locked memory", "bytes"},
	{abi.RLIMIT_AS, "Max address space", "bytes"},
	{abi.RLIMIT_LOCKS, "Max file locks", "locks"},
	{abi.RLIMIT_SIGPENDING, "Max pending signals", "signals"},
	{abi.RLIMIT_MSGQUEUE, "Max msgqueue size", "bytes"},
	{abi.RLIMIT_NICE, "Max nice priority", ""},
	{abi.RLIMIT_RTPRIO, "Max realtime priority", ""},
	{abi.RLIMIT_RTTIME, "Max realtime timeout", "us"},
}
