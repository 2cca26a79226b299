package cmd

import (
	"github.com/spf13/cobra"

	"lazaret/runsc/container"
)

func (a *app) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "resume <container-id>", Short: "resumes all processes that have been previously paused", Args: exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.withLocked(args[0], (*container.Container).Resume)
		},
	}
}
