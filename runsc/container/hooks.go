package container

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// maxHookOutput bounds what of a hook's output an error shows.
const maxHookOutput = 1024

// hookPlace is where hooks run that belong into the container's namespaces. The real ones
// are the Sentry's, in its own kernel, where no host program runs: what stands for them on
// the host are new ones, which keep what a hook does from the host's, and those that the
// spec names by a path.
type hookPlace struct {
	fresh  int            // CLONE_NEW*
	join   map[string]int // path, CLONE_NEW*
	mounts *hookMounts    // made before each hook runs
}

// containerPlace is the place of createContainer hooks; nil is runsc's own. A path of a
// mount namespace is left out: the hook's own path is one of the runtime's.
func containerPlace(s *specs.Spec, mounts *hookMounts) *hookPlace {
	if s.Linux == nil || os.Geteuid() != 0 {
		return nil // without root, what a user namespace does not allow: run where runsc is
	}
	p := &hookPlace{join: map[string]int{}, mounts: mounts}
	for _, ns := range s.Linux.Namespaces {
		flag := map[specs.LinuxNamespaceType]int{
			specs.NetworkNamespace: unix.CLONE_NEWNET, specs.IPCNamespace: unix.CLONE_NEWIPC, specs.UTSNamespace: unix.CLONE_NEWUTS,
		}[ns.Type]
		switch {
		case flag == 0:
		case ns.Path == "":
			p.fresh |= flag
		default:
			p.join[ns.Path] = flag
		}
	}
	return p
}

// run runs cmd in the place.
func (p *hookPlace) run(cmd *exec.Cmd) error {
	if p == nil {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		return runPunctual(cmd)
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never undone: the thread ends with its namespaces
		done <- p.runHere(cmd)
	}()
	return <-done
}

func (p *hookPlace) runHere(cmd *exec.Cmd) error {
	for path, flag := range p.join {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, flag)
			unix.Close(fd)
		}
		if err != nil {
			return fmt.Errorf("join namespace %s: %w", path, err)
		}
	}
	if err := unix.Unshare(p.fresh | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("new namespaces: %w", err)
	}
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts apart from the host's: %w", err)
	}
	if p.mounts != nil {
		if err := p.mounts.mount(); err != nil {
			return err
		}
	}
	return runPunctual(cmd)
}

// runPunctual runs cmd with timers as they are in any process: runsc's own may be late (see
// populate), which is inherited from the thread that starts it.
//
// Preconditions: the goroutine is locked to its thread.
func runPunctual(cmd *exec.Cmd) error {
	const usualNS = 50_000
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, usualNS, 0, 0, 0)
	return cmd.Run()
}

// runHooks runs hooks in order and stops at the first failure.
func runHooks(name string, hooks []specs.Hook, state *specs.State, dir string, place *hookPlace) error {
	for i := range hooks {
		if err := runHook(&hooks[i], state, dir, place); err != nil {
			return fmt.Errorf("%s hook #%d (%s): %w", name, i, hooks[i].Path, err)
		}
	}
	return nil
}

// runHook runs one hook with the state on its stdin. A hook that passes its timeout is
// killed with everything in its process group.
func runHook(h *specs.Hook, state *specs.State, dir string, place *hookPlace) error {
	stdin, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	ctx := context.Background()
	if h.Timeout != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(*h.Timeout)*time.Second)
		defer cancel()
	}
	var out tail
	cmd := exec.CommandContext(ctx, h.Path)
	cmd.Path = h.Path // no search in PATH
	if len(h.Args) > 0 {
		cmd.Args = h.Args
	}
	// Not nil, which would mean our own environment.
	cmd.Env = append([]string{}, h.Env...)
	cmd.Dir = dir
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	// A daemon that a hook leaves behind may keep the pipes open.
	cmd.WaitDelay = 2 * time.Second
	err = place.run(cmd)
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("passed its timeout of %d seconds", *h.Timeout)
	case err == nil:
		return nil
	}
	var perr *os.PathError
	if errors.As(err, &perr) {
		err = perr.Err
	}
	if text := strings.TrimSpace(out.String()); text != "" {
		return fmt.Errorf("%w, output: %s", err, strings.ReplaceAll(text, "\n", "; "))
	}
	return err
}

// tail keeps the last bytes written.
type tail struct{ buf []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if n := len(t.buf); n > maxHookOutput {
		t.buf = append(t.buf[:0], t.buf[n-maxHookOutput:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.buf) }
