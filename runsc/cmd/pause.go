package cmd

import (
	"github.com/spf13/cobra"

	"lazaret/runsc/container"
)

func (a *app) pauseCommand() *cobra.Command {
	return &cobra.Command{
		Use: "pause <container-id>", Short: "pause suspends all processes inside the container", Args: exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.withLocked(args[0], (*container.Container).Pause)
		},
	}
}
