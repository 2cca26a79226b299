package proc

import (
	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/memfile"
	"lazaret/sentry/vfs"
)

// memory is what meminfo tells, in bytes.
type memory struct{ total, used uint64 }

func (m memory) free() uint64 { return m.total - min(m.used, m.total) }

// memory returns what a container may know: its own limit and use if it has a limit, else
// the machine's size and the sandbox's use.
func (s *System) memory(acct *memfile.Account) memory {
	if acct != nil {
		if l := acct.Limit(); l != 0 && l < s.Info.MemTotal {
			return memory{l, acct.Used()}
		}
	}
	m := memory{total: s.Info.MemTotal}
	if s.K.MemFile != nil {
		m.used = s.K.MemFile.InUse()
	}
	return m
}

// Memory returns total and free memory as ctx's container sees them, in bytes, for
// sysinfo(2) and sysfs.
func (s *System) Memory(ctx *vfs.Context) (total, free uint64) {
	m := s.memory(ctx.Account)
	return m.total, m.free()
}

// system returns the System of a file in the static tree.
func system(c *pseudo.Call) *System { return c.FS.(*FS).sys }

// showMeminfo is /proc/meminfo. The Sentry has no page cache of its own to report: file
// pages are tmpfs's (Shmem, part of use) or the host's.
func showMeminfo(c *pseudo.Call, b *pseudo.Buf) error {
	m := system(c).memory(c.Ctx.Account)
	kb := func(name string, n uint64) { b.Printf("%-16s%8d kB\n", name, n>>10) }
	zero := func(names ...string) {
		for _, n := range names {
			kb(n, 0)
		}
	}
	kb("MemTotal:", m.total)
	kb("MemFree:", m.free())
	kb("MemAvailable:", m.free())
	zero("Buffers:", "Cached:", "SwapCached:")
	kb("Active:", m.used)
	zero("Inactive:")
	kb("Active(anon):", m.used)
	zero("Inactive(anon):", "Active(file):", "Inactive(file):", "Unevictable:", "Mlocked:", "SwapTotal:", "SwapFree:",
		"Zswap:", "Zswapped:", "Dirty:", "Writeback:")
	kb("AnonPages:", m.used)
	zero("Mapped:", "Shmem:", "KReclaimable:", "Slab:", "SReclaimable:", "SUnreclaim:", "KernelStack:", "PageTables:",
		"SecPageTables:", "NFS_Unstable:", "Bounce:", "WritebackTmp:")
	kb("CommitLimit:", m.total/2)
	kb("Committed_AS:", m.used)
	kb("VmallocTotal:", 34359738367<<10)
	zero("VmallocUsed:", "VmallocChunk:", "Percpu:", "AnonHugePages:", "ShmemHugePages:", "ShmemPmdMapped:",
		"FileHugePages:", "FilePmdMapped:")
	b.Str("HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\nHugePages_Surp:        0\n")
	kb("Hugepagesize:", 2<<20)
	zero("Hugetlb:")
	kb("DirectMap4k:", m.total)
	zero("DirectMap2M:")
	return nil
}
