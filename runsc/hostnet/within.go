package hostnet

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Within runs f on a thread in the network namespace at path; "" is the caller's own. f is told
// whether that is so. It must not start goroutines that need the namespace.
func Within(path string, f func(own bool) error) error {
	if path == "" {
		return f(true)
	}
	done := make(chan error)
	go func() {
		// The thread is not unlocked: it ends with the goroutine, and its namespace with it.
		runtime.LockOSThread()
		done <- within(path, f)
	}()
	return <-done
}

func within(path string, f func(own bool) error) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", path, err)
	}
	defer unix.Close(fd)
	own, err := isOwn(fd)
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", path, err)
	}
	if !own {
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("network namespace %s: enter: %w", path, err)
		}
	}
	return f(own)
}

// isOwn reports whether fd is the namespace that the thread is in.
func isOwn(fd int) (bool, error) {
	var there, here unix.Stat_t
	if err := unix.Fstat(fd, &there); err != nil {
		return false, err
	}
	if err := unix.Stat("/proc/thread-self/ns/net", &here); err != nil {
		return false, err
	}
	return there.Ino == here.Ino && there.Dev == here.Dev, nil
}
