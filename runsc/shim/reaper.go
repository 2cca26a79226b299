package shim

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// exit is how a child ended.
type exit struct {
	status int // as a shell shows it
	at     time.Time
}

// strangers is how many exits are remembered of children that nobody waits for yet: a
// container may end before its pid file is read.
const strangers = 128

// reaper waits for all children of the shim: commands that it runs, and processes of
// containers, which runsc leaves to it.
type reaper struct {
	mu      sync.Mutex
	waiting map[int]chan exit
	ended   map[int]exit
	order   []int // of ended
}

// newReaper makes this process the reaper of its descendants.
func newReaper() (*reaper, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become a subreaper: %w", err)
	}
	r := &reaper{waiting: map[int]chan exit{}, ended: map[int]exit{}}
	ch := make(chan os.Signal, 32)
	signal.Notify(ch, unix.SIGCHLD)
	go func() {
		for range ch {
			r.reap()
		}
	}()
	return r, nil
}

func (r *reaper) reap() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		e := exit{status: ws.ExitStatus(), at: time.Now()}
		if ws.Signaled() {
			e.status = 128 + int(ws.Signal())
		}
		if ch := r.waiting[pid]; ch != nil {
			delete(r.waiting, pid)
			ch <- e
			continue
		}
		if len(r.order) == strangers {
			delete(r.ended, r.order[0])
			r.order = r.order[1:]
		}
		r.ended[pid] = e
		r.order = append(r.order, pid)
	}
}

// wait returns a channel that gets the exit of a child.
func (r *reaper) wait(pid int) <-chan exit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waitLocked(pid)
}

func (r *reaper) waitLocked(pid int) <-chan exit {
	ch := make(chan exit, 1)
	if e, ok := r.ended[pid]; ok {
		ch <- e
		delete(r.ended, pid)
		return ch
	}
	r.waiting[pid] = ch
	return ch
}

// run runs a command, whose standard files must all be files.
func (r *reaper) run(cmd *exec.Cmd) (exit, error) {
	ch, err := r.start(cmd)
	if err != nil {
		return exit{}, err
	}
	return <-ch, nil
}

// start starts a command. No child is waited for meanwhile: the end of this one cannot be
// missed.
func (r *reaper) start(cmd *exec.Cmd) (<-chan exit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	pid := cmd.Process.Pid
	delete(r.ended, pid) // another one's, with the same number
	ch := r.waitLocked(pid)
	_ = cmd.Process.Release()
	return ch, nil
}

// kill signals a process of ours. While the lock is held its number cannot be another's.
func (r *reaper) kill(p *process, signal uint32) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, pid, _ := p.snapshot()
	if r.waiting[pid] == nil {
		return errFinished
	}
	return unix.Kill(pid, unix.Signal(signal))
}
