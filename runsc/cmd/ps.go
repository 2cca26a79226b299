package cmd

import (
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lazaret/runsc/container"
	"lazaret/runsc/control"
)

func (a *app) psCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "ps [command options] <container-id> [ps options]", Args: minArgs(1),
		Short: "ps displays the processes running inside a container",
		Long: `ps displays the processes running inside a container. Their ids are those inside: the
host has no processes of its own for them. As JSON it gives engines the process of the
host that stands for the container. Of the options of ps(1) those that choose columns are
known: -e, -f, aux, and -o with a list of pid, ppid, pgid, sid, uid, user, gid, group,
nlwp, c, pcpu, vsz, rss, tty, stat, s, stime, start, etimes, time, comm, args, cmd, command.`,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := requireOneOf("format", format, "table", "json"); err != nil {
				return err
			}
			cols, err := psFormat(args[1:])
			if err != nil {
				return err
			}
			return a.ps(args[0], format, cols)
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "table", "select one of: table or json")
	return cmd
}

func (a *app) ps(id, format string, cols []psColumn) error {
	c, err := a.load(id)
	if err != nil {
		return err
	}
	if format == "json" {
		// What engines ask for: processes of the host, which they look up there.
		pids := []int{}
		if pid := c.InitPID(); pid != 0 {
			pids = append(pids, pid)
		}
		return json.NewEncoder(os.Stdout).Encode(pids)
	}
	var list []control.Process
	if c.Status() != container.Stopped {
		if list, err = c.Client().Processes(c.ID); err != nil {
			return err
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 1, ' ', 0)
	for i, c := range cols {
		fmt.Fprint(w, psSeparator(i), c.header)
	}
	for j := range list {
		fmt.Fprintln(w)
		for i, c := range cols {
			fmt.Fprint(w, psSeparator(i), c.show(&list[j]))
		}
	}
	fmt.Fprintln(w)
	return w.Flush()
}

// psSeparator is what comes before a column.
func psSeparator(i int) string {
	if i == 0 {
		return ""
	}
	return "\t"
}
