package shim

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"

	eventsapi "github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types/task"
	"google.golang.org/protobuf/types/known/timestamppb"
	"lazaret/runsc/control"
)

// container is a task: a container of runsc's.
type container struct {
	id     string
	bundle string
	s      *service
	rt     *cli
	init   *process

	// mu is held while the container changes: events of it come in the order of what
	// they tell.
	mu       sync.Mutex
	execs    map[string]*process
	oomKills uint64 // of the host's group, as last seen
}

// create makes the container.
func (c *container) create(req *taskapi.CreateTaskRequest) error {
	if err := mountAll(req.Rootfs, c.rootfs()); err != nil {
		return err
	}
	pidFile := filepath.Join(c.bundle, "init.pid")
	err := c.launch(c.init, pidFile, func(args []string) []string {
		return append([]string{"create", "--bundle", c.bundle}, append(args, c.id)...)
	})
	if err != nil {
		_ = unmountAll(c.rootfs())
		return runtimeError("create", err)
	}
	return nil
}

// runtimeError begins as those of runc's shim do: people, and some engines, look for it.
func runtimeError(verb string, err error) error {
	return fmt.Errorf("OCI runtime %s failed: %w", verb, err)
}

func (c *container) rootfs() string { return filepath.Join(c.bundle, "rootfs") }

// launch runs the command of runsc's that makes a process, with its standard files, and
// watches for its end.
func (c *container) launch(p *process, pidFile string, args func([]string) []string) error {
	streams, err := openStreams(c.s.reaper, c.s.config.namespace, c.id, &p.names)
	if err != nil {
		return err
	}
	flags := []string{"--pid-file", pidFile}
	var socket *consoleSocket
	if p.names.terminal {
		if socket, err = newConsoleSocket(); err != nil {
			streams.close()
			return err
		}
		defer socket.close()
		flags = append(flags, "--console-socket", socket.path())
	}
	cmd := c.rt.command(args(flags)...)
	if !p.names.terminal {
		giveFiles(cmd, streams)
	}
	// runsc sends the terminal before it makes the process; it waits in the socket.
	if err := c.rt.start(cmd); err != nil {
		streams.close()
		return err
	}
	pid, err := readPID(pidFile)
	if err != nil {
		streams.close()
		return err
	}
	p.mu.Lock()
	p.streams = streams
	p.mu.Unlock()
	if socket != nil {
		master, err := socket.receive()
		if err != nil {
			streams.close()
			return err
		}
		p.mu.Lock()
		p.console = newConsole(master, streams)
		p.mu.Unlock()
	}
	streams.given()
	status := task.Status_RUNNING
	if p == c.init {
		status = task.Status_CREATED
	}
	p.setRunning(status, pid)
	ended := c.s.reaper.wait(pid)
	go func() { c.ended(p, <-ended) }()
	return nil
}

// giveFiles makes streams the standard files of a command.
func giveFiles(cmd *exec.Cmd, s *streams) {
	if s.files[0] != nil {
		cmd.Stdin = s.files[0]
	}
	if s.files[1] != nil {
		cmd.Stdout = s.files[1]
	}
	if s.files[2] != nil {
		cmd.Stderr = s.files[2]
	}
}

// ended is called when a process has ended. Its container's mutex makes the event come
// after that of its start.
func (c *container) ended(p *process, e exit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p == c.init {
		c.reportOOM()
		// Other processes of the container have ended with it.
		for _, x := range c.execs {
			if _, pid, _ := x.snapshot(); pid > 0 && !x.stopped() {
				c.endProcess(x, killed())
			}
		}
	}
	c.endProcess(p, e)
}

func (c *container) endProcess(p *process, e exit) {
	if p.stopped() {
		return
	}
	p.finishIO()
	p.end(e)
	_, pid, _ := p.snapshot()
	id := p.id
	if id == "" {
		id = c.id
	}
	c.s.events.publish("/tasks/exit", &eventsapi.TaskExit{
		ContainerID: c.id, ID: id, Pid: uint32(pid), ExitStatus: uint32(e.status), ExitedAt: timestamppb.New(e.at),
	})
}

// start runs init, or makes an exec's process.
func (c *container) start(p *process) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p == c.init {
		if err := c.rt.run("start", c.id); err != nil {
			return 0, runtimeError("start", err)
		}
		p.mu.Lock()
		if p.status == task.Status_CREATED {
			p.status = task.Status_RUNNING
		}
		p.mu.Unlock()
		_, pid, _ := p.snapshot()
		c.s.events.publish("/tasks/start", &eventsapi.TaskStart{ContainerID: c.id, Pid: uint32(pid)})
		return pid, nil
	}
	if err := c.startExec(p); err != nil {
		p.end(exit{status: 255})
		return 0, runtimeError("exec", err)
	}
	_, pid, _ := p.snapshot()
	c.s.events.publish("/tasks/exec-started", &eventsapi.TaskExecStarted{ContainerID: c.id, ExecID: p.id, Pid: uint32(pid)})
	return pid, nil
}

func (c *container) startExec(p *process) error {
	dir, err := os.MkdirTemp("", "runsc-exec-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	spec := filepath.Join(dir, "process.json")
	if err := os.WriteFile(spec, p.spec, 0o600); err != nil {
		return err
	}
	inner := filepath.Join(dir, "inner")
	err = c.launch(p, filepath.Join(dir, "pid"), func(args []string) []string {
		return append([]string{"exec", "--detach", "--process", spec, "--internal-pid-file", inner}, append(args, c.id)...)
	})
	if err != nil {
		return err
	}
	if pid, err := readPID(inner); err == nil {
		p.mu.Lock()
		p.inner = int32(pid)
		p.mu.Unlock()
	}
	return nil
}

// resize gives a process's terminal its size, and tells the Sentry, which does not see the
// change of a terminal that is not init's.
func (c *container) resize(p *process, width, height uint32) error {
	p.mu.Lock()
	console, inner := p.console, p.inner
	p.mu.Unlock()
	if console == nil {
		return nil
	}
	if err := console.resize(width, height); err != nil {
		return fmt.Errorf("resize the terminal: %w", err)
	}
	if inner > 0 {
		if client, err := c.client(); err == nil {
			_ = client.Resize(&control.ResizeArgs{ID: c.id, PID: inner, Cols: uint16(width), Rows: uint16(height)})
		}
	}
	return nil
}

// kill signals a process. The host process of an exec passes signals on, and its end is the
// end of the one inside.
func (c *container) kill(p *process, signal uint32, all bool) error {
	if p != c.init {
		return c.s.reaper.kill(p, signal)
	}
	args := []string{"kill"}
	if all {
		args = append(args, "--all")
	}
	return c.rt.run(append(args, c.id, strconv.Itoa(int(signal)))...)
}

// client is the way to the container's Sentry.
func (c *container) client() (*control.Client, error) {
	st, err := c.rt.state(c.id)
	if err != nil {
		return nil, err
	}
	return &control.Client{Dir: filepath.Join(c.rt.root, st.SandboxID)}, nil
}

// remove deletes the container from runsc and its root's mounts.
func (c *container) remove() error {
	if err := c.rt.run("delete", "--force", c.id); err != nil {
		return err
	}
	return unmountAll(c.rootfs())
}
