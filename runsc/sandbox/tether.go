package sandbox

import (
	"os"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// tether is the child's end of the sync socket after its configuration was read. While
// it holds, the child ends with its parent. That is seen twice: as end of file, and by
// the kernel as PDEATHSIG, which also ends a child that is stopped or stuck.
type tether struct {
	f        *os.File
	detached atomic.Bool
}

// newTether starts to watch for the end of file.
func newTether(f *os.File) *tether {
	t := &tether{f: f}
	go t.watchEnd()
	return t
}

// watchEnd ends this process when the parent's end closes, unless it let go before. It
// owns the descriptor: nobody else closes it.
func (t *tether) watchEnd() {
	fds := []unix.PollFd{{Fd: int32(t.f.Fd()), Events: unix.POLLRDHUP}}
	for {
		n, err := unix.Poll(fds, -1)
		if err == unix.EINTR || (err == nil && n == 0) {
			continue
		}
		if t.detached.Load() {
			_ = t.f.Close()
			return
		}
		os.Exit(1)
	}
}

// holdOn sets PDEATHSIG, which a change of credentials clears, until the parent lets go.
func (t *tether) holdOn() {
	started := make(chan struct{})
	go func() {
		// PDEATHSIG belongs to a thread: the one that sets it must be the one that clears it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
		close(started)
		for !t.released() {
		}
		_ = unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0)
		t.detached.Store(true)
		// The parent waits for this end of file; watchEnd closes.
		_ = unix.Shutdown(int(t.f.Fd()), unix.SHUT_RDWR)
	}()
	<-started
}

// released reads one byte; true if it is the one that lets go. When the parent is gone
// it does not return.
func (t *tether) released() bool {
	var b [1]byte
	n, err := unix.Read(int(t.f.Fd()), b[:])
	if err == unix.EINTR {
		return false
	}
	if n != 1 {
		os.Exit(1)
	}
	return b[0] == detachByte
}

// ready tells the parent that this child is up.
func (t *tether) ready() error {
	_, err := t.f.Write([]byte(readyLine + "\n"))
	return err
}

// fail tells the parent what went wrong and ends.
func (t *tether) fail(err error) {
	_, _ = t.f.Write(oneLine(err))
	os.Exit(1)
}
