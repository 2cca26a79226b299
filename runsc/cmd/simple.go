package cmd

import (
	"context"
	"fmt"
	"time"

	"lazaret/runsc/container"
)

// backgroundUntil returns a context that ends when the container's Sentry has ended.
func backgroundUntil(c *container.Container) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for c.Sentry.Alive() {
			time.Sleep(500 * time.Millisecond)
		}
		cancel()
	}()
	return ctx
}

// withLocked runs f on the locked container.
func (a *app) withLocked(id string, f func(c *container.Container) error) error {
	c, err := a.loadLocked(id)
	if err != nil {
		return err
	}
	defer c.Unlock()
	return f(c)
}

// requireOneOf checks the value of an option.
func requireOneOf(flag, value string, known ...string) error {
	for _, k := range known {
		if value == k {
			return nil
		}
	}
	return fmt.Errorf("invalid format option: --%s %q, want one of %v", flag, value, known)
}
