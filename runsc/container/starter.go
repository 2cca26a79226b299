package container

import (
	"encoding/json"
	"fmt"
	"os"
	"syscall"

	"lazaret/runsc/sandbox"
)

// Starter starts the processes of a sandbox. Tests have one of their own.
type Starter interface {
	// Start starts a sandbox, which ends with this process until Detach.
	Start(cfg *sandbox.Config) (Handle, error)

	// StartGofer starts the Gofer of a further container. It returns its pid, the
	// Sentry's end of its connection and what it serves, for control.CreateArgs.
	StartGofer(cfg *sandbox.Config) (pid int, conn *os.File, attach json.RawMessage, err error)

	// StartNetProxy starts the network proxy of a sandbox. It returns its pid and the
	// Sentry's end of the wire.
	StartNetProxy(cfg *sandbox.Config, np *sandbox.NetProxy) (pid int, wire *os.File, err error)
}

// Handle is a started sandbox, as its starter holds it.
type Handle interface {
	Detach() error
	Kill()

	// Wait waits for the Sentry, a child of this process.
	Wait() (syscall.WaitStatus, error)
}

// Processes is the real Starter.
type Processes struct{}

// Start starts Sentry and Gofer.
func (Processes) Start(cfg *sandbox.Config) (Handle, error) {
	sb, err := sandbox.Start(cfg)
	if err != nil {
		return nil, err
	}
	return realSandbox{sb}, nil
}

// StartGofer starts a Gofer.
func (Processes) StartGofer(cfg *sandbox.Config) (int, *os.File, json.RawMessage, error) {
	list, err := sandbox.AttachList(cfg)
	if err != nil {
		return 0, nil, nil, err
	}
	attach, err := json.Marshal(list)
	if err != nil {
		return 0, nil, nil, fmt.Errorf("encode attach list: %w", err)
	}
	pid, conn, err := sandbox.StartGofer(cfg)
	return pid, conn, attach, err
}

// StartNetProxy starts a network proxy.
func (Processes) StartNetProxy(cfg *sandbox.Config, np *sandbox.NetProxy) (int, *os.File, error) {
	return sandbox.StartNetProxy(cfg, np)
}

type realSandbox struct{ *sandbox.Sandbox }

func (s realSandbox) Wait() (syscall.WaitStatus, error) { return s.Process.Wait() }
