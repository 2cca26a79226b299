package sandbox

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// tether is the child's end of the sync socket after its configuration was read.
type tether struct {
	f *os.File
}

// watch ends this process when the parent goes away before it lets go. The parent's
// death is seen twice: as end of file here, and by the kernel as PDEATHSIG, which also
// ends a child that is stopped or stuck.
func (t *tether) watch() {
	// PDEATHSIG belongs to a thread: the one that sets it must be the one that clears it.
	started := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
		close(started)
		var b [1]byte
		for {
			n, err := unix.Read(int(t.f.Fd()), b[:])
			if err == unix.EINTR {
				continue
			}
			if n == 1 && b[0] == detachByte {
				break
			}
			os.Exit(1)
		}
		_ = unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0)
		_ = t.f.Close()
	}()
	<-started
}

// ready tells the parent that this child is up.
func (t *tether) ready() error {
	_, err := t.f.Write([]byte(readyLine + "\n"))
	return err
}

// fail tells the parent what went wrong and ends.
func (t *tether) fail(err error) {
	if t != nil {
		_, _ = t.f.Write(oneLine(err))
	}
	os.Exit(1)
}
