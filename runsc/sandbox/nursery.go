package sandbox

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// nursery is a thread that starts children and lives until they may stand alone:
// PDEATHSIG comes when the thread that started a child ends, not its process, and the Go
// runtime ends threads as it likes.
type nursery struct{ work chan func() }

func newNursery() *nursery {
	n := &nursery{work: make(chan func())}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for f := range n.work {
			f()
		}
	}()
	return n
}

// do runs f on the thread.
func (n *nursery) do(f func() error) error {
	done := make(chan error, 1)
	n.work <- func() { done <- f() }
	return <-done
}

// close ends the thread. Children that are still tethered end with it.
func (n *nursery) close() {
	if n.work != nil {
		close(n.work)
		n.work = nil
	}
}

// enterNetNS moves the nursery's thread, on which it is called, to another network namespace:
// children that get none of their own are in it.
func enterNetNS(fd int) error {
	// Once more than the nursery unlocks it: the thread ends with its goroutine and is not
	// used again.
	runtime.LockOSThread()
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace: %w", err)
	}
	return nil
}
