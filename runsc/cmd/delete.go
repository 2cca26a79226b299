package cmd

import (
	"errors"

	"github.com/spf13/cobra"

	"lazaret/runsc/container"
)

func (a *app) deleteCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "delete [command options] <container-id>", Args: exactArgs(1),
		Short: "delete any resources held by the container often used with detached container",
		RunE: func(_ *cobra.Command, args []string) error {
			return a.delete(args[0], force)
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "Forcibly deletes the container if it is still running (uses SIGKILL)")
	return cmd
}

func (a *app) delete(id string, force bool) error {
	s, err := a.store()
	if err != nil {
		return err
	}
	c, err := s.LoadLocked(id)
	switch {
	case err == nil:
		defer c.Unlock()
		return c.Delete(force, a.log.warn)
	case !force, errors.Is(err, container.ErrInvalidID):
		return err
	}
	// What is not there, or cannot be read, is gone afterwards.
	if err := s.RemoveDamaged(id); err != nil && !errors.Is(err, container.ErrNotExist) {
		return err
	}
	return nil
}
