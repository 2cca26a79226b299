package proc

import (
	"strconv"

	"lazaret/sentry/fs/anon"
	"lazaret/sentry/fs/epoll"
	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// showFDExtra adds the lines of fdinfo that kinds of files have of their own.
func showFDExtra(f *vfs.File, ns *kernel.PIDNamespace, b *pseudo.Buf) {
	switch o := f.Ops.(type) {
	case FDInfoer:
		b.B = o.FDInfo(f, ns, b.B)
	case *anon.EventFD:
		b.Printf("eventfd-count: %16x\n", o.Count())
	case interface{ Mask() uint64 }: // a signalfd, bare or wrapped
		b.Printf("sigmask:\t%016x\n", o.Mask())
	case *anon.TimerFD:
		t := o.Get()
		b.Printf("it_value: (%d, %d)\nit_interval: (%d, %d)\n",
			t.Value.Sec, t.Value.Nsec, t.Interval.Sec, t.Interval.Nsec)
	case *epoll.Epoll:
		for _, w := range o.Watches() {
			showWatch(b, &w)
		}
	case *vfs.Inotify:
		o.EachWatch(func(wd int32, ino, dev uint64, mask uint32) {
			b.Printf("inotify wd:%x ino:%x sdev:%x mask:%x ignored_mask:0\n", wd, ino, dev, mask)
		})
	case *kernel.PidFD:
		b.Printf("Pid:\t%d\nNSpid:\t%d\n", o.NumberIn(ns), o.NumberIn(ns))
	}
}

func showWatch(b *pseudo.Buf, w *epoll.Watch) {
	var ino, dev uint64
	if p := w.File.Path; p.Dentry != nil {
		dev = p.Dentry.Dev()
		if a, err := w.File.Inode.Attr(&vfs.Context{Creds: w.File.Creds}, abi.AT_STATX_DONT_SYNC); err == nil {
			ino = a.Ino
		}
	}
	b.Printf("tfd: %8d events: %8x data: %16x  pos:%d ino:%x sdev:%x\n", w.FD, w.Events, w.Data, posOf(w.File), ino, dev)
}

// lockLine writes a lock as /proc/locks does.
func lockLine(b *pseudo.Buf, f *vfs.File, ino uint64, n int, kind string, k vfs.RecordLock) {
	typ := "READ "
	if k.Type == abi.F_WRLCK {
		typ = "WRITE"
	}
	end := "EOF"
	if k.End < 1<<63-1 {
		end = strconv.FormatInt(k.End, 10)
	}
	s := f.Path.Dentry.Super()
	b.Printf("%d: %-6s ADVISORY  %s %d %02x:%02x:%d %d %s\n", n, kind, typ, k.PID, s.Major, s.Minor, ino, k.Start, end)
}
