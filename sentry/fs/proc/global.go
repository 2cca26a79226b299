package proc

import (
	"runtime"
	"strings"

	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// globalTable is what /proc has beside processes and /proc/sys.
var globalTable = []pseudo.Entry{
	{Path: "bus", Mode: abi.S_IFDIR | 0o555},
	{Path: "cgroups", Show: showCgroups},
	{Path: "cmdline", Show: showBootline},
	{Path: "consoles"},
	{Path: "cpuinfo", Show: showCPUInfo},
	{Path: "crypto"},
	{Path: "devices", Text: devicesText},
	{Path: "diskstats"},
	{Path: "driver", Mode: abi.S_IFDIR | 0o555},
	{Path: "execdomains", Text: "0-0\tLinux           \t[kernel]\n"},
	{Path: "filesystems", Show: showFilesystems},
	{Path: "fs", Mode: abi.S_IFDIR | 0o555},
	{Path: "interrupts", Show: showInterrupts},
	{Path: "iomem"},
	{Path: "ioports"},
	{Path: "irq", Mode: abi.S_IFDIR | 0o555},
	{Path: "key-users"},
	{Path: "keys"},
	{Path: "kmsg", Mode: 0o400, Show: showKmsg},
	{Path: "loadavg", Show: showLoadavg},
	{Path: "locks"},
	{Path: "meminfo", Show: showMeminfo},
	{Path: "misc"},
	{Path: "modules"},
	{Path: "mounts", Link: "self/mounts"},
	{Path: "net", Link: "self/net"},
	{Path: "partitions", Text: "major minor  #blocks  name\n\n"},
	{Path: "pressure/cpu", Mode: 0o666, Show: showPressure, Store: refusePressure},
	{Path: "pressure/io", Mode: 0o666, Show: showPressure, Store: refusePressure},
	{Path: "pressure/memory", Mode: 0o666, Show: showPressure, Store: refusePressure},
	{Path: "softirqs", Show: showSoftirqs},
	{Path: "stat", Show: showKernelStat},
	{Path: "swaps", Text: "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"},
	{Path: "sysrq-trigger", Mode: 0o200, Store: refuseSysrq},
	{Path: "sysvipc/msg", Show: showIPC, Arg: "msg"},
	{Path: "sysvipc/sem", Show: showIPC, Arg: "sem"},
	{Path: "sysvipc/shm", Show: showIPC, Arg: "shm"},
	{Path: "timer_list", Mode: 0o400},
	{Path: "tty/drivers", Text: ttyDriversText},
	{Path: "tty/ldiscs", Text: "n_tty       0\n"},
	{Path: "uptime", Show: showUptime},
	{Path: "version", Show: showVersion},
	{Path: "vmstat", Show: showVmstat},
	{Path: "zoneinfo", Show: showZoneinfo},
}

const (
	devicesText = "Character devices:\n  1 mem\n  4 tty\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n 10 misc\n" +
		"128 ptm\n136 pts\n\nBlock devices:\n"
	ttyDriversText = "/dev/tty             /dev/tty        5       0 system:/dev/tty\n" +
		"/dev/console         /dev/console    5       1 system:console\n" +
		"/dev/ptmx            /dev/ptmx       5       2 system\n" +
		"pty_slave            /dev/pts      136 0-1048575 pty:slave\n" +
		"pty_master           /dev/ptm      128 0-1048575 pty:master\n"
)

func showCgroups(_ *pseudo.Call, b *pseudo.Buf) error {
	b.Str("#subsys_name\thierarchy\tnum_cgroups\tenabled\n")
	for _, n := range [...]string{"cpuset", "cpu", "cpuacct", "memory", "pids"} {
		b.Str(n, "\t0\t1\t1\n")
	}
	return nil
}

func showBootline(c *pseudo.Call, b *pseudo.Buf) error {
	b.Line(system(c).Info.Cmdline)
	return nil
}

// showCPUInfo is /proc/cpuinfo: what boot read of the host's, or the least that parsers
// need.
func showCPUInfo(c *pseudo.Call, b *pseudo.Buf) error {
	i := &system(c).Info
	if i.CPUInfo != "" {
		b.Str(i.CPUInfo)
		return nil
	}
	for n := range i.CPUs {
		b.Printf("processor\t: %d\n", n)
		if runtime.GOARCH == "amd64" {
			b.Printf("vendor_id\t: unknown\ncpu family\t: 6\nmodel\t\t: 0\nmodel name\t: unknown\nphysical id\t: 0\n"+
				"siblings\t: %d\ncore id\t\t: %d\ncpu cores\t: %d\nflags\t\t: fpu tsc cx8 cmov mmx fxsr sse sse2 syscall lm\n",
				i.CPUs, n, i.CPUs)
		}
		b.Byte('\n')
	}
	return nil
}

func showFilesystems(_ *pseudo.Call, b *pseudo.Buf) error {
	for _, n := range vfs.FileSystems() {
		b.Str("nodev\t", n, "\n")
	}
	return nil
}

func showInterrupts(c *pseudo.Call, b *pseudo.Buf) error {
	b.Str("    ")
	cpuHeader(c, b)
	return nil
}

func showSoftirqs(c *pseudo.Call, b *pseudo.Buf) error {
	b.Str("                ")
	cpuHeader(c, b)
	return nil
}

func cpuHeader(c *pseudo.Call, b *pseudo.Buf) {
	b.Str("     ")
	for n := range system(c).Info.CPUs {
		b.Printf("  CPU%-6d", n)
	}
	b.Byte('\n')
}

// showKmsg: nothing is logged, and nothing will be. Readers need CAP_SYSLOG (syslog(2)).
func showKmsg(c *pseudo.Call, _ *pseudo.Buf) error {
	if !c.Ctx.Creds.HasCapIn(abi.CAP_SYSLOG, system(c).K.RootUserNS) {
		return abi.EPERM
	}
	return nil
}

// load is what the processes of a pid namespace do and have done.
type load struct {
	running, tasks int
	user, system   int64 // ns
	switches       int64
}

func (fs *FS) load() load {
	var l load
	for _, g := range fs.sys.K.Groups(fs.ns) {
		u, s, cu, cs := g.CPUTimes()
		l.user += u + cu
		l.system += s + cs
		for _, t := range g.Tasks() {
			l.tasks++
			if state(t) == kernel.Running {
				l.running++
			}
		}
		if r, err := g.Leader().Rusage(abi.RUSAGE_SELF); err == nil {
			l.switches += r.Nvcsw
		}
	}
	return l
}

// showLoadavg is /proc/loadavg.
func showLoadavg(c *pseudo.Call, b *pseudo.Buf) error {
	fs := c.FS.(*FS)
	l := fs.load()
	a := fs.sys.K.LoadAverages()
	b.Printf("%.2f %.2f %.2f %d/%d %d\n", a[0], a[1], a[2], l.running, l.tasks, fs.sys.K.LastPID(fs.ns))
	return nil
}

func showUptime(c *pseudo.Call, b *pseudo.Buf) error {
	s := system(c)
	up := s.K.Clock.BoottimeNS()
	if t := taskOf(c.Ctx); t != nil {
		up, _ = t.ClockNS(abi.CLOCK_BOOTTIME)
	}
	l := c.FS.(*FS).load()
	idle := max(0, s.K.Clock.BoottimeNS()*int64(s.Info.CPUs)-l.user-l.system)
	cs := int64(abi.NsecPerSec / 100)
	b.Printf("%d.%02d %d.%02d\n", up/abi.NsecPerSec, up%abi.NsecPerSec/cs, idle/abi.NsecPerSec, idle%abi.NsecPerSec/cs)
	return nil
}

// showKernelStat is /proc/stat. Times are those of the processes that the reader sees,
// shared out evenly; what they did not use is idle.
func showKernelStat(c *pseudo.Call, b *pseudo.Buf) error {
	fs := c.FS.(*FS)
	s := fs.sys
	l := fs.load()
	up := s.K.Clock.BoottimeNS()
	cpus := int64(max(s.Info.CPUs, 1))
	idle := max(0, up*cpus-l.user-l.system)
	b.Printf("cpu  %d 0 %d %d 0 0 0 0 0 0\n", ticks(l.user), ticks(l.system), ticks(idle))
	for n := range cpus {
		b.Printf("cpu%d %d 0 %d %d 0 0 0 0 0 0\n", n, ticks(l.user/cpus), ticks(l.system/cpus), ticks(idle/cpus))
	}
	btime := (s.K.Clock.RealtimeNS() - up) / abi.NsecPerSec
	b.Printf("intr 0\nctxt %d\nbtime %d\nprocesses %d\nprocs_running %d\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
		l.switches, btime, s.K.Forks(), max(l.running, 1))
	return nil
}

func showVersion(c *pseudo.Call, b *pseudo.Buf) error {
	i := &system(c).Info
	b.Printf("Linux version %s (lazaret@sentry) (%s) %s\n", i.Release, runtime.Version(), i.Version)
	return nil
}

func showPressure(c *pseudo.Call, b *pseudo.Buf) error {
	const rest = " avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
	b.Str("some", rest, "full", rest)
	return nil
}

// refusePressure: no pressure is measured, so that nothing could trigger.
func refusePressure(*pseudo.Call, []byte) error { return abi.EOPNOTSUPP }

func refuseSysrq(*pseudo.Call, []byte) error { return abi.EPERM }

func showVmstat(c *pseudo.Call, b *pseudo.Buf) error {
	m := system(c).memory(c.Ctx.Account)
	b.Printf("nr_free_pages %d\n", m.free()>>abi.PageShift)
	b.Printf("nr_anon_pages %d\n", m.used>>abi.PageShift)
	b.Str(strings.ReplaceAll(vmstatZeros, " ", " 0\n"))
	return nil
}

// vmstatZeros are the counters that vmstat(8) and others look for, each with a space.
const vmstatZeros = "nr_mapped nr_file_pages nr_dirty nr_writeback nr_shmem nr_slab_reclaimable nr_slab_unreclaimable " +
	"pgpgin pgpgout pswpin pswpout pgalloc_dma pgalloc_dma32 pgalloc_normal pgfree pgactivate pgdeactivate " +
	"pgfault pgmajfault pgsteal_kswapd pgsteal_direct pgscan_kswapd pgscan_direct oom_kill "

func showZoneinfo(c *pseudo.Call, b *pseudo.Buf) error {
	m := system(c).memory(c.Ctx.Account)
	pages := m.total >> abi.PageShift
	b.Printf("Node 0, zone   Normal\n  pages free     %d\n        boost    0\n        min      0\n        low      0\n"+
		"        high     0\n        spanned  %d\n        present  %d\n        managed  %d\n  start_pfn:           0\n",
		m.free()>>abi.PageShift, pages, pages, pages)
	return nil
}

// IPCFiles is an IPCNamespace.State that fills /proc/sysvipc.
type IPCFiles interface {
	// ProcIPC appends the lines below the header of kind "shm", "sem" or "msg" to b, for
	// a reader in the user and pid namespaces of t (nil: the initial ones).
	ProcIPC(kind string, t *kernel.Task, b []byte) []byte
}

var ipcHeaders = map[string]string{
	"shm": "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n",
	"sem": "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n",
	"msg": "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n",
}

func showIPC(c *pseudo.Call, b *pseudo.Buf) error {
	kind, _ := c.Node.Arg.(string)
	b.Str(ipcHeaders[kind])
	t := taskOf(c.Ctx)
	if t == nil {
		return nil
	}
	if n := t.Namespaces(); n != nil && n.IPC != nil {
		if s, ok := n.IPC.State.(IPCFiles); ok {
			b.B = s.ProcIPC(kind, t, b.B)
		}
	}
	return nil
}
