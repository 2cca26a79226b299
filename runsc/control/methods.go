package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// Create makes a container; args.Files stay the caller's.
func (c *Client) Create(args *CreateArgs) error {
	return c.do(methodCreate, args, args.Files, nil)
}

// Start runs the container's program. It waits without limit: startContainer hooks run
// inside, each with its own timeout.
func (c *Client) Start(ctx context.Context, id string) error {
	return c.call(ctx, 0, methodStart, &idArgs{id}, nil, nil)
}

// Exec starts a process and returns its pid in the container's pid namespace.
func (c *Client) Exec(args *ExecArgs) (int32, error) {
	var pid int32
	if err := c.do(methodExec, args, args.Files, &pid); err != nil {
		return 0, err
	}
	if pid <= 0 {
		return 0, fmt.Errorf("sandbox gave pid %d for a new process", pid)
	}
	return pid, nil
}

// Wait returns a process's wait status when it has ended. An ErrDead says that the
// sandbox ended first.
func (c *Client) Wait(ctx context.Context, args *WaitArgs) (ExitStatus, error) {
	var status int64
	if err := c.call(ctx, 0, methodWait, args, nil, &status); err != nil {
		return 0, err
	}
	return checkStatus(status)
}

// StartWait sends the request of Wait and returns the connection that its answer will
// come on, to be given to another process: there is no moment at which nobody waits.
func (c *Client) StartWait(args *WaitArgs) (*os.File, error) {
	raw, err := json.Marshal(args)
	if err != nil {
		return nil, fmt.Errorf("encode wait request: %w", err)
	}
	body, err := json.Marshal(&request{Method: methodWait, Args: raw})
	if err != nil {
		return nil, fmt.Errorf("encode wait request: %w", err)
	}
	fd, err := c.connect()
	if err == nil {
		if err = sendFrame(fd, body, nil); err == nil {
			return os.NewFile(uintptr(fd), "wait"), nil
		}
		unix.Close(fd)
	}
	return nil, fmt.Errorf("%w (wait: %w)", ErrDead, err)
}

// FinishWait reads the answer to StartWait.
func FinishWait(conn *os.File) (ExitStatus, error) {
	reply, fds, err := recvFrame(int(conn.Fd()), maxResponse, false)
	closeFDs(fds)
	if err != nil {
		return 0, fmt.Errorf("%w (wait: %w)", ErrDead, err)
	}
	var status int64
	if err := decodeReply(methodWait, reply, &status); err != nil {
		return 0, err
	}
	return checkStatus(status)
}

func checkStatus(status int64) (ExitStatus, error) {
	if status < 0 || status > math.MaxUint16 {
		return 0, fmt.Errorf("sandbox gave impossible wait status %#x", status)
	}
	return ExitStatus(status), nil
}

// Signal sends a signal to a process or to all processes of a container.
func (c *Client) Signal(args *SignalArgs) error {
	return c.do(methodSignal, args, nil, nil)
}

// Resize sets the size of a process's terminal.
func (c *Client) Resize(args *ResizeArgs) error {
	return c.do(methodResize, args, nil, nil)
}

// Pause stops every task of a container.
func (c *Client) Pause(id string) error { return c.do(methodPause, &idArgs{id}, nil, nil) }

// Resume undoes Pause.
func (c *Client) Resume(id string) error { return c.do(methodResume, &idArgs{id}, nil, nil) }

// Processes lists the processes of a container.
func (c *Client) Processes(id string) ([]Process, error) {
	var ps []Process
	if err := c.do(methodProcesses, &idArgs{id}, nil, &ps); err != nil {
		return nil, err
	}
	for i := range ps {
		p := &ps[i]
		p.Cmd, p.TTY, p.State = oneLine(p.Cmd), oneLine(p.TTY), oneLine(p.State)
	}
	return ps, nil
}

// Stats returns what the Sentry accounts to a container.
func (c *Client) Stats(id string) (*Stats, error) {
	s := new(Stats)
	if err := c.do(methodStats, &idArgs{id}, nil, s); err != nil {
		return nil, err
	}
	return s, nil
}

// State returns the container's state inside the Sentry.
func (c *Client) State(id string) (ContainerStatus, error) {
	var s ContainerStatus
	if err := c.do(methodState, &idArgs{id}, nil, &s); err != nil {
		return "", err
	}
	switch s {
	case StatusCreated, StatusRunning, StatusPaused, StatusStopped:
		return s, nil
	}
	return "", fmt.Errorf("sandbox gave unknown state %q", oneLine(string(s)))
}

// Update passes new limits on.
func (c *Client) Update(args *UpdateArgs) error { return c.do(methodUpdate, args, nil, nil) }

// Attach gives a network further interfaces; args.Files stay the caller's.
func (c *Client) Attach(args *AttachArgs) error { return c.do(methodAttach, args, args.Files, nil) }

// Debug returns text for people. It can hold anything but escape sequences.
func (c *Client) Debug(args *DebugArgs) (string, error) {
	var text string
	if err := c.do(methodDebug, args, nil, &text); err != nil {
		return "", err
	}
	return printable(text), nil
}

// Destroy ends a container inside a sandbox that lives on.
func (c *Client) Destroy(id string) error { return c.do(methodDestroy, &idArgs{id}, nil, nil) }

// Shutdown ends the sandbox. A sandbox that is gone before it could answer is a success.
func (c *Client) Shutdown() error {
	err := c.do(methodShutdown, struct{}{}, nil, nil)
	if errors.Is(err, ErrDead) && (errors.Is(err, ErrClosed) || errors.Is(err, unix.ECONNRESET)) {
		return nil
	}
	return err
}
