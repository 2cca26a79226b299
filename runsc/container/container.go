package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/runsc/control"
	"lazaret/runsc/sandbox"
)

// Container is one container as read from disk.
type Container struct {
	State

	store *Store
	dir   string
	lock  *os.File // nil: not locked
}

// Unlock lets other commands change the container. It may be called twice.
func (c *Container) Unlock() {
	if c.lock != nil {
		c.lock.Close()
		c.lock = nil
	}
}

// save writes the state back. Preconditions: c is locked.
func (c *Container) save() error { return c.State.save(c.dir) }

// IsSub says whether the container lives in another one's sandbox.
func (c *Container) IsSub() bool { return c.SandboxID != c.ID }

// Client returns the way to the container's Sentry.
func (c *Container) Client() *control.Client {
	return &control.Client{Dir: c.store.dir(c.SandboxID)}
}

// Status says what the container is now: what was written, corrected by which processes
// still live.
func (c *Container) Status() Status {
	if c.State.Status == Creating {
		if c.Creator.Alive() {
			return Creating
		}
		return Stopped
	}
	if !c.Sentry.Alive() || c.IsSub() && !c.Init.Alive() {
		return Stopped
	}
	if c.InTransit {
		client := c.Client()
		client.Timeout = 2 * time.Second
		if s, err := client.State(c.ID); err == nil {
			return Status(s)
		}
	}
	return c.State.Status
}

// InitPID is the pid for state and list: 0 for a stopped container, as runc has it.
func (c *Container) InitPID() int {
	if c.Status() == Stopped {
		return 0
	}
	return c.Init.PID
}

// ociState is what hooks get on stdin.
func (c *Container) ociState(status Status) *specs.State {
	s := &specs.State{
		Version: c.Spec.Version, ID: c.ID, Status: specs.ContainerState(status),
		Bundle: c.Bundle, Annotations: c.Spec.Annotations,
	}
	if status != Stopped {
		s.Pid = c.Init.PID
	}
	return s
}

// DebugLog returns where the Sentry's log is.
func (c *Container) DebugLog() string {
	if c.Flags.DebugLog != "" {
		return c.Flags.DebugLog
	}
	return filepath.Join(c.store.dir(c.SandboxID), "sentry.log")
}

// change tells the Sentry to do something that ends in a new status. The mark in between
// lets others ask the Sentry if we die before the new status is on disk.
func (c *Container) change(to Status, do func() error) error {
	c.InTransit = true
	if err := c.save(); err != nil {
		return err
	}
	err := do()
	if err == nil {
		c.State.Status = to
	}
	c.InTransit = false
	return errors.Join(err, c.save())
}

// Pause stops every task in the container, also one that was not started yet.
func (c *Container) Pause() error {
	before := c.Status()
	if before != Running && before != Created {
		return errors.New("container not running")
	}
	c.Unstarted = before == Created
	return c.change(Paused, func() error { return c.explain("pause", c.Client().Pause(c.ID)) })
}

// Resume undoes Pause: the status is the one before it.
func (c *Container) Resume() error {
	if c.Status() != Paused {
		return errors.New("container not paused")
	}
	to := Running
	if c.Unstarted {
		to = Created
	}
	return c.change(to, func() error { return c.explain("resume", c.Client().Resume(c.ID)) })
}

// explain turns a dead peer into words.
func (c *Container) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, control.ErrDead) {
		why := sandbox.WhyDied(c.store.dir(c.SandboxID))
		if why != "" {
			why = ": " + why
		}
		if !c.Sentry.Alive() {
			return fmt.Errorf("%s container %s: the sandbox has ended%s (last words in %s)", what, c.ID, why, c.DebugLog())
		}
		return fmt.Errorf("%s container %s: %w; runsc delete --force ends it", what, c.ID, err)
	}
	return fmt.Errorf("%s container %s: %w", what, c.ID, err)
}

// Dir returns the container's state directory.
func (c *Container) Dir() string { return c.dir }
