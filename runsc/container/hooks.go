package container

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// maxHookOutput bounds what of a hook's output an error shows.
const maxHookOutput = 1024

// runHooks runs hooks in order and stops at the first failure.
func runHooks(name string, hooks []specs.Hook, state *specs.State, dir string) error {
	for i := range hooks {
		if err := runHook(&hooks[i], state, dir); err != nil {
			return fmt.Errorf("%s hook #%d (%s): %w", name, i, hooks[i].Path, err)
		}
	}
	return nil
}

// runHook runs one hook with the state on its stdin. A hook that passes its timeout is
// killed with everything in its process group.
func runHook(h *specs.Hook, state *specs.State, dir string) error {
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
	err = cmd.Run()
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
