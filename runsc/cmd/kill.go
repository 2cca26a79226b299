package cmd

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func (a *app) killCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "kill [command options] <container-id> [signal]", Args: minArgs(1),
		Short: "kill sends the specified signal (default: SIGTERM) to the container's init process",
		RunE: func(_ *cobra.Command, args []string) error {
			name := "SIGTERM"
			if len(args) > 1 {
				name = args[1]
			}
			// The order of runc: a container that is not there comes first.
			c, err := a.load(args[0])
			if err != nil {
				return err
			}
			sig, err := parseSignal(name)
			if err != nil {
				return err
			}
			return c.Kill(sig, all)
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "send the specified signal to all processes inside the container")
	return cmd
}

// parseSignal reads a number, or a name with or without SIG.
func parseSignal(s string) (unix.Signal, error) {
	if n, err := strconv.Atoi(s); err == nil {
		if n < 0 || n > 64 {
			return 0, fmt.Errorf("unable to signal init: invalid signal %d, want 1 to 64", n)
		}
		return unix.Signal(n), nil
	}
	name := strings.ToUpper(s)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if sig := unix.SignalNum(name); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("unknown signal %q", s)
}
