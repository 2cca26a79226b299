package cmd

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"lazaret/runsc/container"
	"lazaret/runsc/control"
)

func (a *app) waitCommand() *cobra.Command {
	var pid int32
	cmd := &cobra.Command{
		Use: "wait [command options] <container-id>", Args: exactArgs(1),
		Short: "waits for the container's init process to end and prints its exit code",
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := a.load(args[0])
			if err != nil {
				return err
			}
			if c.Status() == container.Stopped {
				return errors.New("container not running; its exit code was the exit status of its process")
			}
			status, err := c.Client().Wait(backgroundUntil(c), &control.WaitArgs{ID: c.ID, PID: pid})
			if err != nil {
				return fmt.Errorf("wait for container %s: %w", c.ID, err)
			}
			fmt.Println(status.Code())
			return nil
		},
	}
	cmd.Flags().Int32Var(&pid, "pid", 0, "wait for this process of the container (its id inside) and take its status; 0 is init")
	return cmd
}
