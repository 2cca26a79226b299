package container

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/runsc/sandbox"
)

// Proc names a host process for as long as the machine runs: a pid alone may be used
// again.
type Proc struct {
	PID   int    `json:"pid,omitempty"`
	Start uint64 `json:"start,omitempty"` // clock ticks since boot, field 22 of /proc/PID/stat
}

// procOf notes a running process.
func procOf(pid int) Proc {
	if pid <= 0 {
		return Proc{}
	}
	_, start, err := readStat(pid)
	if err != nil {
		// Already gone; a start time of 0 is no process's, so Alive says no.
		return Proc{PID: pid}
	}
	return Proc{PID: pid, Start: start}
}

// Alive says whether the process still runs. A zombie does not.
func (p Proc) Alive() bool {
	if p.PID <= 0 {
		return false
	}
	state, start, err := readStat(p.PID)
	return err == nil && start == p.Start && state != 'Z' && state != 'X'
}

// needPidfds refuses a host that could not end what is started there: nothing is made on it.
func needPidfds() error {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return fmt.Errorf("pidfd_open(2): %w; Linux 5.3 or newer is needed, and a seccomp profile that lets it through", err)
	}
	return unix.Close(fd)
}

// open returns a pidfd of exactly this process; NoFD, and no error, for one that is gone.
func (p Proc) open() (int, error) {
	if p.PID <= 0 {
		return sandbox.NoFD, nil
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err == unix.ESRCH {
		return sandbox.NoFD, nil
	}
	if err != nil {
		return sandbox.NoFD, fmt.Errorf("find process %d: %w", p.PID, err)
	}
	// Looked at after the pidfd is held: now the number cannot be used again. A zombie counts:
	// it can be the first of threads that are still ending.
	if _, start, err := readStat(p.PID); err != nil || start != p.Start {
		_ = unix.Close(fd)
		return sandbox.NoFD, nil
	}
	return fd, nil
}

// kill sends a signal to exactly this process; one that is gone is no error.
func (p Proc) kill(sig unix.Signal) error {
	fd, err := p.open()
	if fd < 0 {
		return err
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && err != unix.ESRCH {
		return fmt.Errorf("signal process %d: %w", p.PID, err)
	}
	return nil
}

// killLimit is how long a killed process may take to end.
const killLimit = 10 * time.Second

// killWait kills and waits for the end.
func (p Proc) killWait() error {
	fd, err := p.open()
	if fd < 0 {
		return err
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && err != unix.ESRCH {
		return fmt.Errorf("signal process %d: %w", p.PID, err)
	}
	if !awaitEnd(fd, killLimit) {
		return fmt.Errorf("process %d does not die", p.PID)
	}
	return nil
}

// awaitEnd waits until the process has ended, or for limit.
func (p Proc) awaitEnd(limit time.Duration) {
	if fd, _ := p.open(); fd >= 0 {
		awaitEnd(fd, limit)
		_ = unix.Close(fd)
	}
}

// awaitEnd waits for the end of a pidfd's process; false means that it did not come.
func awaitEnd(pidFD int, limit time.Duration) bool {
	fds := []unix.PollFd{{Fd: int32(pidFD), Events: unix.POLLIN}}
	for deadline := time.Now().Add(limit); ; {
		n, err := unix.Poll(fds, max(int(time.Until(deadline).Milliseconds()), 0))
		if err != unix.EINTR {
			return err == nil && n == 1
		}
	}
}

// readStat returns a process's state letter and start time.
func readStat(pid int) (state byte, start uint64, err error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, err
	}
	// The name is in parentheses and may hold any character; count fields behind it.
	i := bytes.LastIndexByte(data, ')')
	if i < 0 {
		return 0, 0, fmt.Errorf("malformed stat of process %d", pid)
	}
	f := bytes.Fields(data[i+1:])
	if len(f) < 20 {
		return 0, 0, fmt.Errorf("malformed stat of process %d", pid)
	}
	start, err = strconv.ParseUint(string(f[19]), 10, 64)
	return f[0][0], start, err
}
