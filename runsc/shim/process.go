package shim

import (
	"sync"
	"time"

	"github.com/containerd/containerd/api/types/task"
)

// process is a container's init or an exec.
type process struct {
	id    string // of the exec, "" for init
	names stdio
	spec  []byte // of an exec: process.json

	mu      sync.Mutex
	status  task.Status
	pid     int
	inner   int32 // pid inside the container, of an exec
	exit    exit
	streams *streams
	console *console
	ended   chan struct{} // closed after exit is set
}

func newProcess(id string, names stdio, spec []byte) *process {
	return &process{id: id, names: names, spec: spec, status: task.Status_CREATED, ended: make(chan struct{})}
}

// setRunning notes the pid.
func (p *process) setRunning(status task.Status, pid int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status, p.pid = status, pid
}

// end notes the exit and lets who waits go on.
func (p *process) end(e exit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status == task.Status_STOPPED {
		return
	}
	p.status, p.exit = task.Status_STOPPED, e
	close(p.ended)
}

// finishIO closes what the process had, after the last of it has been passed on.
func (p *process) finishIO() {
	p.mu.Lock()
	streams, console := p.streams, p.console
	p.streams, p.console = nil, nil
	p.mu.Unlock()
	if streams != nil {
		streams.closeStdin()
	}
	if console != nil {
		console.close()
	}
	if streams != nil {
		streams.close()
	}
}

// snapshot is what State answers.
func (p *process) snapshot() (status task.Status, pid int, e exit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status, p.pid, p.exit
}

func (p *process) stopped() bool {
	status, _, _ := p.snapshot()
	return status == task.Status_STOPPED
}

// killed is the exit of something whose end was not seen.
func killed() exit { return exit{status: 137, at: time.Now()} }
