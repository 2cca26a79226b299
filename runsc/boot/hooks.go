package boot

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/sentry/fs/tmpfs"
	"lazaret/sentry/kernel"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls"
	"lazaret/syscalls/abi"
)

// maxHookOutput bounds what of a hook's output an error shows.
const maxHookOutput = 1024

// startHooks runs the startContainer hooks: in the container, as its process's user, one
// after the other, the state on their stdin.
func (c *container) startHooks() error {
	if c.spec.Hooks == nil {
		return nil
	}
	for i := range c.spec.Hooks.StartContainer {
		h := &c.spec.Hooks.StartContainer[i]
		if err := c.startHook(h); err != nil {
			return fmt.Errorf("startContainer hook #%d (%s): %w", i, h.Path, err)
		}
	}
	return nil
}

// startHook runs one hook to its end.
func (c *container) startHook(h *specs.Hook) error {
	state, err := json.Marshal(&specs.State{
		Version: c.spec.Version, ID: c.id, Status: specs.StateCreated, Pid: 1, Bundle: c.bundle, Annotations: c.spec.Annotations,
	})
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	args := *c.spec.Process
	args.Terminal, args.Cwd, args.Args, args.Env = false, "/", h.Args, h.Env
	if len(args.Args) == 0 {
		args.Args = []string{h.Path}
	}
	t, err := c.newProcess(&args, vfs.NewFSInfo(c.root, c.root, 0o022), c.ns.Copy())
	if err != nil {
		return err
	}
	t.SetCreds(rootCreds(c.userNS))
	out, err := c.loadHook(t, h, &args, state)
	if err != nil {
		t.Abandon()
		return err
	}
	defer out.DecRef()
	c.mu.Lock()
	p := c.run(t)
	c.mu.Unlock()
	return c.awaitHook(p, h, out)
}

// loadHook gives a hook its files and program. It returns the file of its output.
func (c *container) loadHook(t *kernel.Task, h *specs.Hook, args *specs.Process, state []byte) (*vfs.File, error) {
	fs, ok := vfs.LookupFileSystem("tmpfs").(*tmpfs.Type)
	if !ok {
		return nil, abi.ENODEV
	}
	ctx := t.Ctx()
	in, err := fs.NewMemfd(ctx, "state", 0)
	if err != nil {
		return nil, err
	}
	if _, err = in.WriteAt(ctx, uio.One(state), 0); err == nil {
		err = t.Files().AllocAt(ctx, 0, in, false, vfs.NROpen)
	}
	if err != nil {
		in.DecRef()
		return nil, err
	}
	out, err := fs.NewMemfd(ctx, "output", 0)
	if err != nil {
		return nil, err
	}
	for fd := int32(1); fd <= 2 && err == nil; fd++ {
		out.IncRef()
		err = t.Files().AllocAt(ctx, fd, out, false, vfs.NROpen)
	}
	if err == nil {
		err = c.loadProgram(t, h, args)
	}
	if err != nil {
		out.DecRef()
		return nil, err
	}
	return out, nil
}

func (c *container) loadProgram(t *kernel.Task, h *specs.Hook, args *specs.Process) error {
	creds, err := c.credsOf(args)
	if err != nil {
		return err
	}
	t.SetCreds(creds)
	file, err := openProgram(t, h.Path)
	if err != nil {
		return describe(err)
	}
	defer file.DecRef()
	img, err := syscalls.Load(t, &syscalls.ExecParams{File: file, Filename: h.Path, Argv: args.Args, Envv: args.Env})
	if err != nil {
		return describe(err)
	}
	t.SetImage(img)
	return nil
}

// awaitHook waits for a hook's end, or ends it when its time is over.
func (c *container) awaitHook(p *process, h *specs.Hook, out *vfs.File) error {
	var timeout <-chan time.Time
	if h.Timeout != nil {
		timer := time.NewTimer(time.Duration(*h.Timeout) * time.Second)
		defer timer.Stop()
		timeout = timer.C
	}
	late := false
	select {
	case <-p.done:
	case <-timeout:
		late = true
		_ = p.task.ThreadGroup().Signal(abi.SIGKILL) // ESRCH: it has just ended
		<-p.done
	}
	c.mu.Lock()
	for pid, q := range c.procs {
		if q == p {
			delete(c.procs, pid)
		}
	}
	c.mu.Unlock()
	switch {
	case late:
		return fmt.Errorf("passed its timeout of %d seconds", *h.Timeout)
	case p.code == 0:
		return nil
	}
	buf := make([]byte, maxHookOutput)
	n, _ := out.ReadAt(c.kernelCtx(), uio.One(buf), 0)
	if text := strings.TrimSpace(string(buf[:n])); text != "" {
		return fmt.Errorf("exit status %d, output: %s", p.code.Code(), strings.ReplaceAll(text, "\n", "; "))
	}
	return fmt.Errorf("exit status %d", p.code.Code())
}
