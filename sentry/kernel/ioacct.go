package kernel

import (
	"sync/atomic"

	"lazaret/syscalls/abi"
)

// IOCounts are the bytes and calls of reads and writes (/proc/PID/io): what passed the
// calls, whatever it went to. What reached storage is not known to the Sentry.
type IOCounts struct{ ReadBytes, WrittenBytes, Reads, Writes int64 }

func (c *IOCounts) add(o IOCounts) {
	c.ReadBytes += o.ReadBytes
	c.WrittenBytes += o.WrittenBytes
	c.Reads += o.Reads
	c.Writes += o.Writes
}

// ioAccount counts for one task; its goroutine alone writes.
type ioAccount struct{ rchar, wchar, syscr, syscw atomic.Int64 }

func (a *ioAccount) read() IOCounts {
	return IOCounts{a.rchar.Load(), a.wchar.Load(), a.syscr.Load(), a.syscw.Load()}
}

// countIO counts a system call that returned v or err, as /proc/PID/io has
// it on Linux: a call whose arguments are bad does not count.
func (a *ioAccount) countIO(nr, v uint64, err error) {
	in, out := false, false
	switch nr {
	case abi.SYS_READ, abi.SYS_PREAD64, abi.SYS_READV, abi.SYS_PREADV, abi.SYS_PREADV2:
		in = true
	case abi.SYS_WRITE, abi.SYS_PWRITE64, abi.SYS_WRITEV, abi.SYS_PWRITEV, abi.SYS_PWRITEV2:
		out = true
	case abi.SYS_SENDFILE, abi.SYS_COPY_FILE_RANGE:
		in, out = true, true
	default:
		return
	}
	switch err {
	case nil:
	case abi.EBADF, abi.EFAULT, abi.EINVAL, abi.ESPIPE, abi.EOPNOTSUPP:
		return
	default:
		if in && out { // it found out before it read
			return
		}
		v = 0
	}
	if in {
		a.rchar.Add(int64(v))
		a.syscr.Add(1)
	}
	if out {
		a.wchar.Add(int64(v))
		a.syscw.Add(1)
	}
}

// IO returns the counts of the task.
func (t *Task) IO() IOCounts { return t.acct.io.read() }

// IO returns the counts of the process and of the children that it has waited for.
func (tg *ThreadGroup) IO() IOCounts { return tg.usage.self(tg).io }
