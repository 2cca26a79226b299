package sys

import (
	"strconv"

	"lazaret/sentry/fs/proc"
	"lazaret/sentry/fs/pseudo"
)

// mask returns a bit mask of processors [first, end).
func mask(first, end int) []uint64 {
	m := make([]uint64, end/64+1)
	for i := first; i < end; i++ {
		m[i/64] |= 1 << (i % 64)
	}
	return m
}

func self(cpu, n int) string     { return proc.MaskHex(mask(cpu, cpu+1), n) }
func selfList(cpu, _ int) string { return strconv.Itoa(cpu) }
func all(_, n int) string        { return proc.MaskHex(mask(0, n), n) }
func allList(_, n int) string    { return proc.MaskList(mask(0, n), n) }
func zero(int, int) string       { return "0" }

func showCPUs(c *pseudo.Call, b *pseudo.Buf) error {
	b.Line(allList(0, typeOf(c).info.CPUs))
	return nil
}

func showCPUMask(c *pseudo.Call, b *pseudo.Buf) error {
	b.Line(all(0, typeOf(c).info.CPUs))
	return nil
}

// showNodeMemory is the meminfo of the one memory node.
func showNodeMemory(c *pseudo.Call, b *pseudo.Buf) error {
	total, free := typeOf(c).memory.Memory(c.Ctx)
	kb := func(name string, n uint64) { b.Printf("Node 0 %-15s%9d kB\n", name, n>>10) }
	kb("MemTotal:", total)
	kb("MemFree:", free)
	kb("MemUsed:", total-free)
	kb("Active:", total-free)
	kb("Inactive:", 0)
	kb("FilePages:", 0)
	kb("Mapped:", 0)
	kb("AnonPages:", total-free)
	kb("Shmem:", 0)
	for _, n := range [...]string{"HugePages_Total:", "HugePages_Free:", "HugePages_Surp:"} {
		b.Printf("Node 0 %-16s%6d\n", n, 0)
	}
	return nil
}
