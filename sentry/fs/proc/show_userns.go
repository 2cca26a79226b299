package proc

import (
	"strconv"
	"strings"

	"lazaret/sentry/auth"
	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

func showExtents(b *pseudo.Buf, m []auth.Extent) {
	for _, e := range m {
		b.Printf("%10d %10d %10d\n", e.First, e.LowerFirst, e.Len)
	}
}

func showUIDMap(c *call, b *pseudo.Buf) error {
	showExtents(b, c.task.UserNS().UIDMap(c.readerNS()))
	return nil
}

func showGIDMap(c *call, b *pseudo.Buf) error {
	showExtents(b, c.task.UserNS().GIDMap(c.readerNS()))
	return nil
}

// showProjidMap is the map of project ids, which no file system here has.
func showProjidMap(c *call, b *pseudo.Buf) error {
	if c.task.UserNS().Parent == nil {
		showExtents(b, []auth.Extent{{First: 0, LowerFirst: 0, Len: auth.NoID}})
	}
	return nil
}

// mapWriter checks that both who opened the file and who writes may change the map: an
// open file handed to a privileged program must not make it a tool (user_namespaces(7)).
func (c *call) mapWriter() (*auth.UserNamespace, error) {
	ns := c.task.UserNS()
	if c.pos != 0 {
		return nil, abi.EINVAL
	}
	if o := c.file.Creds; o.UserNS != ns && o.UserNS != ns.Parent || !o.HasCapIn(abi.CAP_SYS_ADMIN, ns) {
		return nil, abi.EPERM
	}
	return ns, nil
}

func storeUIDMap(c *call, data []byte) error {
	ns, err := c.mapWriter()
	if err != nil {
		return err
	}
	return ns.WriteUIDMap(c.ctx.Creds, string(data))
}

func storeGIDMap(c *call, data []byte) error {
	ns, err := c.mapWriter()
	if err != nil {
		return err
	}
	return ns.WriteGIDMap(c.ctx.Creds, string(data))
}

func showSetgroups(c *call, b *pseudo.Buf) error {
	if c.task.UserNS().Setgroups() {
		b.Str("allow\n")
	} else {
		b.Str("deny\n")
	}
	return nil
}

func storeSetgroups(c *call, data []byte) error {
	s := strings.TrimRight(string(data), " \t\n")
	if c.pos != 0 || len(data) > 7 || s != "allow" && s != "deny" {
		return abi.EINVAL
	}
	if ns := c.task.UserNS(); !c.file.Creds.HasCapIn(abi.CAP_SYS_ADMIN, ns) {
		return abi.EPERM
	}
	return c.task.UserNS().WriteSetgroups(c.ctx.Creds, s == "allow")
}

func (c *call) timeForChildren() *kernel.TimeNamespace {
	n := c.task.Namespaces()
	switch {
	case n == nil:
		return nil
	case n.TimeChild != nil:
		return n.TimeChild
	}
	return n.Time
}

func showTimeOffsets(c *call, b *pseudo.Buf) error {
	ns := c.timeForChildren()
	if ns == nil {
		return abi.ESRCH
	}
	mono, boot := ns.Offsets()
	line := func(name string, ns int64) {
		ts := abi.NsecToTimespec(ns)
		b.Printf("%-10s %10d %9d\n", name, ts.Sec, ts.Nsec)
	}
	line("monotonic", mono)
	line("boottime", boot)
	return nil
}

// maxOffsetSec bounds offsets (KTIME_SEC_MAX / 2), so that sums stay in range.
const maxOffsetSec = 1 << 32

// storeTimeOffsets takes lines of clock, seconds, nanoseconds (time_namespaces(7)).
func storeTimeOffsets(c *call, data []byte) error {
	ns := c.timeForChildren()
	if ns == nil {
		return abi.ESRCH
	}
	if c.pos != 0 || strings.Count(trim(data), "\n") > 1 {
		return abi.EINVAL
	}
	if !c.ctx.Creds.HasCapIn(abi.CAP_SYS_TIME, ns.UserNS) {
		return abi.EPERM
	}
	mono, boot := ns.Offsets()
	for line := range strings.SplitSeq(trim(data), "\n") {
		f := strings.Fields(line)
		if len(f) != 3 {
			return abi.EINVAL
		}
		sec, err := strconv.ParseInt(f[1], 10, 64)
		nsec, err2 := strconv.ParseInt(f[2], 10, 64)
		if err != nil || err2 != nil || nsec < 0 || nsec >= abi.NsecPerSec {
			return abi.EINVAL
		}
		if sec > maxOffsetSec || sec < -maxOffsetSec {
			return abi.ERANGE
		}
		switch f[0] {
		case "monotonic", strconv.Itoa(abi.CLOCK_MONOTONIC):
			mono = sec*abi.NsecPerSec + nsec
		case "boottime", strconv.Itoa(abi.CLOCK_BOOTTIME):
			boot = sec*abi.NsecPerSec + nsec
		default:
			return abi.EINVAL
		}
	}
	return ns.SetOffsets(mono, boot)
}
