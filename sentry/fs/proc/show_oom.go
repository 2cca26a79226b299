package proc

import (
	"strconv"

	"lazaret/sentry/fs/pseudo"
	"lazaret/syscalls/abi"
)

// Bounds of oom_score_adj and of its old form oom_adj (proc_pid_oom_adj(5)).
const (
	oomMin, oomMax       = -1000, 1000
	oldOOMMin, oldOOMMax = -16, 15
	oldOOMDisable        = -17
)

func showOOMScoreAdj(c *call, b *pseudo.Buf) error {
	b.Printf("%d\n", c.group().OOMScoreAdj())
	return nil
}

func (c *call) setOOM(v int32) error {
	if v < c.group().OOMScoreAdj() && !c.ctx.Creds.HasCapIn(abi.CAP_SYS_RESOURCE, c.fs.sys.K.RootUserNS) {
		return abi.EACCES
	}
	c.group().SetOOMScoreAdj(v)
	return nil
}

func storeOOMScoreAdj(c *call, data []byte) error {
	n, err := strconv.ParseInt(trim(data), 0, 32)
	if err != nil || n < oomMin || n > oomMax {
		return abi.EINVAL
	}
	return c.setOOM(int32(n))
}

func showOOMAdj(c *call, b *pseudo.Buf) error {
	v := c.group().OOMScoreAdj()
	old := v * -oldOOMDisable / oomMax
	if v == oomMax {
		old = oldOOMMax
	}
	b.Printf("%d\n", old)
	return nil
}

func storeOOMAdj(c *call, data []byte) error {
	n, err := strconv.ParseInt(trim(data), 0, 32)
	if err != nil || (n < oldOOMMin || n > oldOOMMax) && n != oldOOMDisable {
		return abi.EINVAL
	}
	if n == oldOOMMax {
		return c.setOOM(oomMax)
	}
	return c.setOOM(int32(n * oomMax / -oldOOMDisable))
}

// showOOMScore is the share of memory in thousandths plus the adjustment, moved to 0 to
// 1333 as Linux does since 5.9.
func showOOMScore(c *call, b *pseudo.Buf) error {
	adj := int64(c.group().OOMScoreAdj())
	score := int64(0)
	if c.mm != nil && adj != oomMin {
		total := c.fs.sys.memory(c.task.Container().Account).total
		score = max(0, (1000+adj+int64(c.mm.Stats().VmRSS*1000/max(total, 1)))*2/3)
	}
	b.Printf("%d\n", score)
	return nil
}
