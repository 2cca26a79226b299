package container

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/runsc/control"
)

// Start runs the container's program. Preconditions: c is locked.
func (c *Container) Start(warn func(string)) error {
	switch s := c.Status(); s {
	case Created:
	case Stopped:
		return errors.New("cannot start a container that has stopped")
	case Running:
		return errors.New("cannot start an already running container")
	default:
		return fmt.Errorf("cannot start a container in the %s state", s)
	}
	err := c.change(Running, func() error {
		ctx, cancel := c.untilDead()
		defer cancel()
		return c.explain("start", c.Client().Start(ctx, c.ID))
	})
	if err == nil && c.Spec.Hooks != nil {
		err = runHooks("poststart", c.Spec.Hooks.Poststart, c.ociState(Running), "", nil)
	}
	if err != nil {
		// "stop the container, and continue the lifecycle at step 12".
		if derr := c.Destroy(warn); derr != nil {
			warn(derr.Error())
		}
	}
	return err
}

// untilDead returns a context that ends when the Sentry has ended: a socket whose
// listener was inherited elsewhere would not tell.
func (c *Container) untilDead() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if !c.Sentry.Alive() {
					cancel()
				}
			}
		}
	}()
	return ctx, cancel
}

// Kill sends a signal to the container's init, or to all its processes.
func (c *Container) Kill(sig unix.Signal, all bool) error {
	if c.Status() == Stopped {
		if all {
			return nil
		}
		return errors.New("container not running")
	}
	client := c.Client()
	client.Timeout = 5 * time.Second
	err := client.Signal(&control.SignalArgs{ID: c.ID, Signal: int(sig), All: all})
	if err == nil || sig != unix.SIGKILL {
		return c.explain("signal", err)
	}
	// SIGKILL must work even if the Sentry hangs.
	if c.IsSub() {
		if errors.Is(err, control.ErrDead) && !c.Sentry.Alive() {
			return nil
		}
		return c.explain("signal", err)
	}
	return c.Sentry.kill(unix.SIGKILL)
}

// Delete removes a stopped container, or one that was never started, or with force any.
// Preconditions: c is locked.
func (c *Container) Delete(force bool, warn func(string)) error {
	switch s := c.Status(); {
	case s == Stopped, s == Created, force:
	default:
		return fmt.Errorf("cannot delete container %s that is not stopped: %s", c.ID, s)
	}
	return c.Destroy(warn)
}

// Destroy ends and removes the container and runs its poststop hooks. Preconditions: c is
// locked.
func (c *Container) Destroy(warn func(string)) error {
	if err := c.destroy(); err != nil {
		return err
	}
	c.poststop(warn)
	return nil
}

// destroy undoes create, whatever of it was done. It may be repeated. The state goes
// last, so that a failure leaves something to delete.
func (c *Container) destroy() error {
	if c.IsSub() {
		if c.Sentry.Alive() {
			client := c.Client()
			client.Timeout = 10 * time.Second
			if err := client.Destroy(c.ID); err != nil && c.Sentry.Alive() {
				return c.explain("destroy", err)
			}
		}
		// The waiting process has its answer by now; it is killed only if it hangs.
		c.Init.awaitEnd(time.Second)
		if err := c.Init.killWait(); err != nil {
			return err
		}
	} else if err := c.Sentry.killWait(); err != nil {
		return err
	}
	if err := c.Gofer.killWait(); err != nil {
		return err
	}
	if err := c.Net.killWait(); err != nil {
		return err
	}
	if c.Cgroup != nil {
		if !c.Cgroup.Optional {
			if err := c.Cgroup.Kill(); err != nil {
				return err
			}
		}
		if err := c.Cgroup.Delete(); err != nil && !c.Cgroup.Optional {
			return err
		}
	}
	return c.store.removeDir(c.dir)
}

// poststop runs the hooks that follow deletion; their failures are warnings.
func (c *Container) poststop(warn func(string)) {
	if c.Spec == nil || c.Spec.Hooks == nil {
		return
	}
	for i := range c.Spec.Hooks.Poststop {
		hook := &c.Spec.Hooks.Poststop[i]
		if err := runHook(hook, c.ociState(Stopped), "", nil); err != nil && warn != nil {
			warn(fmt.Sprintf("poststop hook #%d (%s): %v", i, hook.Path, err))
		}
	}
}

// RemoveDamaged removes a container directory whose state cannot be read. Its processes
// are unknown; a sandbox whose state is gone is found by nobody, so this is a last resort.
func (s *Store) RemoveDamaged(id string) error {
	if err := CheckID(id); err != nil {
		return err
	}
	lock, err := lockDir(s.dir(id))
	if err != nil {
		return err
	}
	defer lock.Close()
	return s.removeDir(s.dir(id))
}
