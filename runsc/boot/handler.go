package boot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/runsc/control"
	"lazaret/runsc/sandbox"
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Create implements control.Lifecycle: for the first container everything came at boot.
func (s *Sentry) Create(args *control.CreateArgs) error {
	defer closeFiles(args.Files)
	s.mu.Lock()
	first := s.root == nil
	s.mu.Unlock()
	spec, err := s.cfg.Spec()
	if !first {
		spec, err = sandbox.DecodeSpec(args.Spec)
	}
	if err != nil {
		return err
	}
	net, err := takeNetwork(args)
	if err != nil {
		return err
	}
	fds, err := s.donated(args, first)
	if err != nil {
		net.close()
		return err
	}
	c, err := s.newContainer(args, spec, fds, net)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.containers[args.ID] != nil {
		c.release()
		return fmt.Errorf("container %q exists already", args.ID)
	}
	s.containers[args.ID] = c
	if first {
		s.root = c
	}
	return nil
}

// donated are the descriptors of the container: the ones from boot, or those that came
// with the request, which are duplicated because the request's files are closed.
func (s *Sentry) donated(args *control.CreateArgs, first bool) (containerFDs, error) {
	fds := containerFDs{gofer: sandbox.NoFD, processFDs: noFDs()}
	if first {
		fds.processFDs = processFDs{stdio: s.cfg.StdioFDs, extra: s.cfg.ExtraFDs}
		s.cfg.StdioFDs, s.cfg.ExtraFDs = noFDs().stdio, nil
		fds.gofer, fds.attach = takeFD(&s.cfg.Gofer.FD), s.cfg.Gofer.Attach
		return fds, nil
	}
	if err := json.Unmarshal(args.Attach, &fds.attach); err != nil {
		return fds, fmt.Errorf("read the gofer's attach points: %w", err)
	}
	files := args.Files
	var err error
	if args.HasGofer && len(files) > 0 {
		if fds.gofer, err = dupFile(files[0]); err != nil {
			return fds, err
		}
		files = files[1:]
	}
	if fds.processFDs, err = dupStdio(files, args.NumStdio); err != nil {
		fds.close()
	}
	return fds, err
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}

// Start implements control.Lifecycle.
func (s *Sentry) Start(id string) error {
	c, err := s.container(id)
	if err != nil {
		return err
	}
	if err := c.beginStart(); err != nil {
		return err
	}
	// Without the lock: hooks take their time, and signals must come through.
	err = c.startHooks()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.starting = false
	if err != nil {
		return err
	}
	c.status = control.StatusRunning
	c.run(c.init)
	return nil
}

func (c *container) beginStart() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status != control.StatusCreated || c.starting || c.paused {
		return fmt.Errorf("cannot start container %q: it is %s", c.id, c.shownLocked())
	}
	c.starting = true
	return nil
}

// shownLocked is the status with a pause, which may come before the start. c.mu is held.
func (c *container) shownLocked() control.ContainerStatus {
	if c.paused && c.status != control.StatusStopped {
		return control.StatusPaused
	}
	return c.status
}

// run starts a process that is ready and watches for its end. c.mu is held.
func (c *container) run(t *kernel.Task) *process {
	p := c.initProc
	if t != c.init {
		p = &process{task: t, done: make(chan struct{})}
	}
	pid := t.ThreadGroup().PIDIn(c.kc.PIDNS())
	c.procs[pid] = p
	t.Start()
	go c.watch(p, pid)
	return p
}

// watch waits for the end of a process that runsc started.
func (c *container) watch(p *process, pid int32) {
	tg := p.task.ThreadGroup()
	status, err := tg.WaitExit(kernel.NewOutsideSleeper())
	if err != nil {
		status = abi.SIGKILL
	}
	p.code = control.ExitStatus(uint32(status))
	c.terminals.remove(p.task)
	close(p.done)
	if p.task == c.init {
		c.ended(p.code)
	}
}

// ended is called when init has ended: its pid namespace is dead with it. The first
// container's end is the sandbox's.
func (c *container) ended(code control.ExitStatus) {
	c.mu.Lock()
	c.status = control.StatusStopped
	c.mu.Unlock()
	c.s.mu.Lock()
	root := c.s.root == c
	c.s.mu.Unlock()
	if root {
		c.s.exit(code.Code())
	}
}

// Destroy implements control.Lifecycle.
func (s *Sentry) Destroy(id string) error {
	c, err := s.container(id)
	if errors.Is(err, errNoContainer) {
		return nil
	}
	s.mu.Lock()
	delete(s.containers, id)
	root := s.root == c
	s.mu.Unlock()
	c.kill()
	c.release()
	if root {
		s.exit(128 + abi.SIGKILL)
	}
	return nil
}

// kill ends every process of the container and waits for them.
func (c *container) kill() {
	c.kc.Thaw()
	_ = c.s.k.SignalContainer(c.kc, abi.SIGKILL) // ESRCH: there is none
	c.mu.Lock()
	var procs []*process
	for _, p := range c.procs {
		procs = append(procs, p)
	}
	c.mu.Unlock()
	for _, p := range procs {
		<-p.done
	}
}

// Shutdown implements control.Lifecycle.
func (s *Sentry) Shutdown() error {
	s.exit(128 + abi.SIGKILL)
	return nil
}

// Pause implements control.Lifecycle.
func (s *Sentry) Pause(id string) error {
	c, err := s.container(id)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status == control.StatusStopped || c.paused {
		return fmt.Errorf("cannot pause container %q: it is %s", id, c.shownLocked())
	}
	c.kc.Freeze()
	c.paused = true
	return nil
}

// Resume implements control.Lifecycle.
func (s *Sentry) Resume(id string) error {
	c, err := s.container(id)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shownLocked() != control.StatusPaused {
		return fmt.Errorf("cannot resume container %q: it is %s", id, c.status)
	}
	c.kc.Thaw()
	c.paused = false
	return nil
}

// Exec implements control.Processes.
func (s *Sentry) Exec(args *control.ExecArgs) (int32, error) {
	defer closeFiles(args.Files)
	c, err := s.container(args.ID)
	if err != nil {
		return 0, err
	}
	p := &specs.Process{}
	if err := json.Unmarshal(args.Process, p); err != nil {
		return 0, fmt.Errorf("read the process: %w", err)
	}
	fds, err := dupStdio(args.Files, args.NumStdio)
	if err != nil {
		return 0, err
	}
	defer fds.close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shownLocked() == control.StatusPaused && !args.IgnorePaused {
		return 0, fmt.Errorf("container %q is paused; resume it first", args.ID)
	}
	if c.status != control.StatusRunning && c.status != control.StatusCreated {
		return 0, fmt.Errorf("cannot exec in container %q: it is %s", args.ID, c.status)
	}
	fs := vfs.NewFSInfo(c.root, c.root, 0o022)
	t, err := c.newProcess(p, fs, c.ns.Copy())
	if err != nil {
		return 0, err
	}
	t.SetCreds(rootCreds(c.userNS))
	if err := c.load(t, p, &fds); err != nil {
		t.Abandon()
		return 0, err
	}
	c.run(t)
	return t.ThreadGroup().PIDIn(c.kc.PIDNS()), nil
}

// Wait implements control.Processes.
func (s *Sentry) Wait(ctx context.Context, args *control.WaitArgs) (control.ExitStatus, error) {
	c, err := s.container(args.ID)
	if err != nil {
		return 0, err
	}
	p, pid, err := c.process(args.PID)
	if err != nil {
		return 0, err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		if args.KillOnHangup {
			_ = p.task.ThreadGroup().Signal(abi.SIGKILL)
		}
		return 0, ctx.Err()
	}
	if p.task != c.init {
		c.mu.Lock()
		delete(c.procs, pid)
		c.mu.Unlock()
	}
	return p.code, nil
}

// process returns a process that runsc started; pid 0 is init.
func (c *container) process(pid int32) (*process, int32, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if pid == 0 {
		return c.initProc, 0, nil
	}
	if p := c.procs[pid]; p != nil {
		return p, pid, nil
	}
	return nil, 0, fmt.Errorf("container %q has no process %d that was started from outside", c.id, pid)
}

// Signal implements control.Processes.
func (s *Sentry) Signal(args *control.SignalArgs) error {
	c, err := s.container(args.ID)
	if err != nil {
		return err
	}
	if args.All {
		err = s.k.SignalContainer(c.kc, args.Signal)
	} else {
		pid := args.PID
		if pid == 0 {
			if pid = c.initPID(); pid == 0 {
				return fmt.Errorf("container %q has no process", args.ID)
			}
		}
		err = s.k.SignalOutside(c.kc.PIDNS(), pid, args.Signal)
	}
	if err != nil {
		return fmt.Errorf("signal %d to container %q: %w", args.Signal, args.ID, describe(err))
	}
	return nil
}

func (c *container) initPID() int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.init == nil || c.status == control.StatusStopped {
		return 0
	}
	return c.init.ThreadGroup().PIDIn(c.kc.PIDNS())
}
