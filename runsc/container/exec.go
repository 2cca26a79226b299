package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/runsc/control"
)

// ExecOptions say what to run in a container.
type ExecOptions struct {
	Process      *specs.Process // validated
	Stdio        [3]*os.File
	ExtraFDs     []*os.File
	IgnorePaused bool
}

// Exec starts a process and returns its pid in the container.
func (c *Container) Exec(opts *ExecOptions) (int32, error) {
	switch s := c.Status(); {
	case s == Stopped:
		return 0, errors.New("cannot exec in a stopped container")
	case s == Paused && !opts.IgnorePaused:
		return 0, errors.New("cannot exec in a paused container (use --ignore-paused to override)")
	case s == Creating:
		return 0, errors.New("cannot exec in a container that is still being created")
	}
	raw, err := json.Marshal(opts.Process)
	if err != nil {
		return 0, fmt.Errorf("encode process: %w", err)
	}
	args := &control.ExecArgs{
		ID: c.ID, Process: raw, NumStdio: 3, Terminal: opts.Process.Terminal, IgnorePaused: opts.IgnorePaused,
		Files: append(opts.Stdio[:], opts.ExtraFDs...),
	}
	pid, err := c.Client().Exec(args)
	if errors.Is(err, control.ErrDead) {
		return 0, c.explain("exec in", err)
	}
	if err != nil {
		return 0, fmt.Errorf("unable to start container process: %w", err)
	}
	return pid, nil
}

// ExecProxy leaves a host process behind that stands for a process in the container, and
// returns its pid.
func (c *Container) ExecProxy(pid int32) (int, error) {
	return startProxy(c.store.dir(c.SandboxID), c.ID, pid)
}
