package proc

import (
	"strings"
	"sync/atomic"

	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// mountsOps is an open mounts, mountinfo or mountstats: the mounts of the namespace that
// the process was in when the file was opened, as seen from its root. poll(2) tells of
// changes since the last poll.
type mountsOps struct {
	pseudo.Seq
	ns   *vfs.MountNamespace
	root vfs.Path // pinned
	seen atomic.Uint64
}

func (i *taskFile) openMounts() (vfs.FileOps, error) {
	t := i.task()
	if t == nil {
		return nil, abi.EINVAL
	}
	n, fs := t.Namespaces(), t.FS()
	if n == nil || n.Mnt == nil || fs == nil {
		return nil, abi.EINVAL
	}
	o := &mountsOps{ns: n.Mnt.Mounts, root: fs.Root()}
	if !o.root.OK() || !o.root.TryIncRef() {
		return nil, abi.ENOENT
	}
	o.seen.Store(o.ns.Seq.Load())
	return o, nil
}

// Release implements vfs.FileOps.
func (o *mountsOps) Release(f *vfs.File) {
	o.Seq.Release(f)
	o.root.DecRef()
}

// Poll implements vfs.Poller.
func (o *mountsOps) Poll(*vfs.File) wait.Mask {
	m := wait.In | abi.POLLRDNORM
	if now := o.ns.Seq.Load(); o.seen.Swap(now) != now {
		m |= wait.Err | wait.Pri
	}
	return m
}

// WaitQueue implements vfs.Poller.
func (o *mountsOps) WaitQueue(*vfs.File) *wait.Queue { return &o.ns.Changed }

// eachMount calls line for the mounts, a piece at a time; the Cursor counts mounts.
func eachMount(c *call, b *pseudo.Buf, line func(m *vfs.MountInfo)) error {
	o, ok := c.file.Ops.(*mountsOps)
	if !ok {
		return abi.EINVAL
	}
	list := o.ns.MountInfos(o.root)
	for i := b.Cursor; i < uint64(len(list)); i++ {
		if b.Full() {
			b.Stop(i)
			return nil
		}
		line(&list[i])
	}
	return nil
}

func showMounts(c *call, b *pseudo.Buf) error {
	return eachMount(c, b, func(m *vfs.MountInfo) { b.Line(m.MountsLine()) })
}

func showMountInfo(c *call, b *pseudo.Buf) error {
	return eachMount(c, b, func(m *vfs.MountInfo) { b.Line(m.String()) })
}

func showMountStats(c *call, b *pseudo.Buf) error {
	return eachMount(c, b, func(m *vfs.MountInfo) {
		// Both names as mounts has them, with its escapes.
		f := strings.Fields(m.MountsLine())
		if len(f) >= 3 {
			b.Str("device ", f[0], " mounted on ", f[1], " with fstype ", f[2], "\n")
		}
	})
}
