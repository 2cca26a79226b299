package sandbox

import (
	"fmt"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Process is a child of this process.
type Process struct {
	PID int

	mu     sync.Mutex
	reaped bool
	status syscall.WaitStatus
}

// Kill ends it. The number is its own until Wait has returned.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = unix.Kill(p.PID, unix.SIGKILL)
	}
}

// Wait waits for its end and says how it ended; it may be called again.
func (p *Process) Wait() (syscall.WaitStatus, error) {
	// Looked at without the lock, which Kill needs.
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PID, p.PID, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return p.status, nil
	}
	for {
		_, err := syscall.Wait4(p.PID, &p.status, 0, nil)
		if err == nil {
			p.reaped = true
		}
		if err != syscall.EINTR {
			return p.status, err
		}
	}
}

// describe words how a process ended.
func describe(ws syscall.WaitStatus) string {
	if ws.Signaled() {
		core := ""
		if ws.CoreDump() {
			core = " (core dumped)"
		}
		return fmt.Sprintf("signal: %v%s", ws.Signal(), core)
	}
	return fmt.Sprintf("exit status %d", ws.ExitStatus())
}
