package cmd

import (
	"encoding/json"
	"os"
	"time"

	"github.com/spf13/cobra"

	"lazaret/runsc/container"
)

// stateJSON is the output of state and list, in runc's order.
type stateJSON struct {
	Version     string            `json:"ociVersion"`
	ID          string            `json:"id"`
	PID         int               `json:"pid"`
	Status      string            `json:"status"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Owner       string            `json:"owner"`
}

func newStateJSON(c *container.Container) stateJSON {
	status := c.Status()
	pid := c.Init.PID
	if status == container.Stopped {
		pid = 0
	}
	return stateJSON{
		Version: c.OCIVersion, ID: c.ID, PID: pid, Status: string(status), Bundle: c.Bundle, Rootfs: c.Rootfs,
		Created: c.Created, Annotations: c.Spec.Annotations,
	}
}

func (a *app) stateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "state <container-id>", Short: "output the state of a container", Args: exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := a.load(args[0])
			if err != nil {
				return err
			}
			data, err := json.MarshalIndent(newStateJSON(c), "", "  ")
			if err != nil {
				return err
			}
			_, err = os.Stdout.Write(data)
			return err
		},
	}
}
