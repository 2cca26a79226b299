package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Witness is a process that tells the host's kernel of the Sentry's OOM kills, because
// engines ask that kernel (memory.oom_control, memory.events). The Sentry keeps the limit
// of its containers before the host's group is full; when it kills, it has the witness fill
// the group first, and the kernel's own OOM killer kills the witness.
//
// It is forked without being executed anew and gives all memory back but a page of code: it
// costs a few kilobytes. Nothing reaches it but one byte on its socket, and seccomp's
// strict mode leaves it read and exit. It ends when the Sentry's end of the socket closes.
type Witness struct {
	PID  int
	File *os.File // the Sentry's end: a byte asks; end of file says that it was heard
}

// witnessWait bounds how long the Sentry waits for the kernel: on a busy machine, seconds.
var witnessWait = unix.Timeval{Sec: 15}

// StartWitness starts a witness that fills a group of at most size bytes. The caller puts it
// into the group and makes it the OOM killer's first choice.
func StartWitness(size int64) (*Witness, error) {
	fail := func(err error) (*Witness, error) { return nil, fmt.Errorf("start the witness of OOM kills: %w", err) }
	end, err := memoryEnd()
	if err != nil {
		return fail(err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(fds[1])
	w := &Witness{File: os.NewFile(uintptr(fds[0]), "witness")}
	if err = unix.SetsockoptTimeval(fds[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &witnessWait); err == nil {
		// Not while Go makes descriptors that are not close-on-exec yet.
		syscall.ForkLock.Lock()
		w.PID, err = forkWitness(fds[1], size, end)
		syscall.ForkLock.Unlock()
	}
	if err != nil {
		_ = w.File.Close()
		return fail(err)
	}
	// Where it is a child of this process for long (run), it is waited for.
	go func() {
		if p, err := os.FindProcess(w.PID); err == nil {
			_, _ = p.Wait()
		}
	}()
	return w, nil
}

// Prefer makes the kernel's OOM killer take the witness first.
func (w *Witness) Prefer() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", w.PID), []byte("1000"), 0)
}

// memoryEnd is the end of this process's last mapping, but for the kernel's own.
func memoryEnd() (uintptr, error) {
	data, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, err
	}
	var end uint64
	for line := range strings.Lines(string(data)) {
		_, rest, _ := strings.Cut(line, "-")
		to, _, _ := strings.Cut(rest, " ")
		if n, err := strconv.ParseUint(to, 16, 64); err == nil && n>>63 == 0 {
			end = max(end, n)
		}
	}
	if end == 0 {
		return 0, errors.New("no mappings")
	}
	return uintptr(end), nil
}
