package syscalls

import (
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/sentry/kernel"
	"lazaret/syscalls/abi"
)

// tracer writes a line for each system call, as strace(1) does.
type tracer struct {
	mu sync.Mutex // one line at a time
	w  io.Writer
}

// SetStrace starts to write every system call to w, or stops with nil. It may be called
// while tasks run.
func (tb *Table) SetStrace(w io.Writer) {
	k := tb.kernel.Load()
	if w == nil {
		tb.strace.Store(nil)
	} else {
		tb.strace.Store(&tracer{w: w})
	}
	if k != nil {
		k.WatchCalls(w != nil)
	}
}

// SetWatched implements kernel.WatchingTable.
func (tb *Table) SetWatched(k *kernel.Kernel) {
	tb.kernel.Store(k)
	k.WatchCalls(tb.strace.Load() != nil)
}

const (
	// tracePath and traceData bound what is shown of strings and buffers, in bytes.
	tracePath = 256
	traceData = 32
)

// traced carries out a call and writes what it was. The arguments are read before the
// call, which may change what they point to.
func (tb *Table) traced(tr *tracer, t *kernel.Task, nr uint64, a *abi.Args) (uint64, error) {
	r := tb.Lookup(nr)
	name := "syscall_" + strconv.FormatUint(nr, 10)
	if r != nil {
		name = r.Name
	}
	line := make([]byte, 0, 160)
	line = fmt.Appendf(line, "[%d:%d] %s(", t.ThreadGroup().PID(), t.TID(), name)
	from := len(line)
	line = appendArgs(line, t, r, a)
	began := time.Now()
	n, err := tb.call(t, r, a)
	took := time.Since(began)
	if r != nil && err == nil {
		if data, ok := appendReceived(nil, t, r, a, n); ok {
			line = append(line[:from], data...)
		}
	}
	line = append(line, ") = "...)
	line = appendResult(line, r, n, err)
	line = fmt.Appendf(line, " <%.6f>\n", took.Seconds())
	tr.mu.Lock()
	_, _ = tr.w.Write(line) // there is nobody to tell of an error
	tr.mu.Unlock()
	return n, err
}

// appendArgs shows the arguments as the row says.
func appendArgs(b []byte, t *kernel.Task, r *Row, a *abi.Args) []byte {
	if r == nil {
		for i := range a {
			b = appendSep(b, i)
			b = appendHex(b, a[i])
		}
		return b
	}
	sends := sendsData(r)
	for i, k := range r.Args {
		b = appendSep(b, i)
		if i == 1 && sends {
			b = appendData(b, t, a.Addr(1), a.Size(2))
			continue
		}
		b = appendArg(b, t, k, a, i)
	}
	return b
}

func appendSep(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ", "...)
	}
	return b
}

func appendArg(b []byte, t *kernel.Task, k Kind, a *abi.Args, i int) []byte {
	switch k {
	case FD:
		if a.Int(i) == abi.AT_FDCWD {
			return append(b, "AT_FDCWD"...)
		}
		return strconv.AppendInt(b, int64(a.Int(i)), 10)
	case Int:
		v := a.Long(i)
		if uint64(v)>>32 == 0 || uint64(v)>>31 == 1<<33-1 { // an int, whatever the upper half
			v = int64(a.Int(i))
		}
		return strconv.AppendInt(b, v, 10)
	case Path:
		return appendPath(b, t, a.Addr(i))
	case Sig:
		return append(b, sigName(a.Int(i))...)
	case Octal:
		return fmt.Appendf(b, "%#o", a.Uint(i))
	case Buf:
		if a.Addr(i) == 0 {
			return append(b, "NULL"...)
		}
	}
	return appendHex(b, a[i])
}

func appendHex(b []byte, v uint64) []byte {
	if v == 0 {
		return append(b, '0')
	}
	return strconv.AppendUint(append(b, "0x"...), v, 16)
}

// appendPath shows a string of the application, at most tracePath bytes of it. What it
// holds is hostile: it is quoted.
func appendPath(b []byte, t *kernel.Task, addr abi.Addr) []byte {
	if addr == 0 {
		return append(b, "NULL"...)
	}
	m := t.MM()
	s, err := m.CopyInString(addr, tracePath)
	if err == nil {
		return strconv.AppendQuote(b, s)
	}
	if err == abi.ENAMETOOLONG {
		var raw [tracePath]byte
		if m.CopyIn(addr, raw[:]) == nil {
			return append(strconv.AppendQuote(b, string(raw[:])), "..."...)
		}
	}
	return appendHex(b, uint64(addr))
}

// appendData shows the beginning of n bytes.
func appendData(b []byte, t *kernel.Task, addr abi.Addr, n uint64) []byte {
	var raw [traceData]byte
	part := raw[:min(n, traceData)]
	m := t.MM()
	if m == nil || m.CopyIn(addr, part) != nil {
		return appendHex(b, uint64(addr))
	}
	b = strconv.AppendQuoteToASCII(b, string(part))
	if n > traceData {
		b = append(b, "..."...)
	}
	return b
}

// sendsData and receivesData report whether the second argument is data, whose length the
// third or the result says.
func sendsData(r *Row) bool {
	switch r.Nr {
	case abi.SYS_WRITE, abi.SYS_PWRITE64, abi.SYS_SENDTO:
		return true
	}
	return false
}

func receivesData(r *Row) bool {
	switch r.Nr {
	case abi.SYS_READ, abi.SYS_PREAD64, abi.SYS_RECVFROM:
		return true
	}
	return false
}

// appendReceived shows the arguments of a call that received data.
func appendReceived(b []byte, t *kernel.Task, r *Row, a *abi.Args, n uint64) ([]byte, bool) {
	if !receivesData(r) {
		return b, false
	}
	for i, k := range r.Args {
		b = appendSep(b, i)
		if i == 1 {
			b = appendData(b, t, a.Addr(1), min(n, a.Size(2)))
			continue
		}
		b = appendArg(b, t, k, a, i)
	}
	return b, true
}

// appendResult shows a result as strace does: -1 ERRNO (text), ? for restarts.
func appendResult(b []byte, r *Row, n uint64, err error) []byte {
	if r != nil && (r.Nr == abi.SYS_EXIT || r.Nr == abi.SYS_EXIT_GROUP) {
		return append(b, '?')
	}
	if err == nil {
		if r != nil && returnsAddress(r) || int64(n) < 0 {
			return appendHex(b, n)
		}
		return strconv.AppendUint(b, n, 10)
	}
	e, ok := err.(abi.Errno)
	if !ok {
		return append(b, "-1 "+err.Error()...)
	}
	switch e {
	case abi.ERESTARTSYS, abi.ERESTARTNOINTR, abi.ERESTARTNOHAND, abi.ERESTART_RESTARTBLOCK:
		return append(append(b, "? "...), e.Error()...)
	}
	return fmt.Appendf(b, "-1 %s (%s)", e.Error(), errText(e))
}

// errText is strerror(3) as glibc has it: Go's begins with a small letter.
func errText(e abi.Errno) string {
	s := unix.Errno(e).Error()
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		s = string(s[0]-'a'+'A') + s[1:]
	}
	return s
}

func returnsAddress(r *Row) bool {
	switch r.Nr {
	case abi.SYS_MMAP, abi.SYS_MREMAP, abi.SYS_BRK, abi.SYS_SHMAT:
		return true
	}
	return false
}

func sigName(sig int32) string {
	if sig > 0 && sig < 32 {
		return unix.SignalName(unix.Signal(sig))
	}
	return strconv.Itoa(int(sig))
}
