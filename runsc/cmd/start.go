package cmd

import (
	"github.com/spf13/cobra"

	"lazaret/runsc/container"
)

func (a *app) startCommand() *cobra.Command {
	return &cobra.Command{
		Use: "start <container-id>", Short: "executes the user defined process in a created container", Args: exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.withLocked(args[0], func(c *container.Container) error { return c.Start(a.log.warn) })
		},
	}
}
