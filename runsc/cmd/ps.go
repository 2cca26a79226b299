package cmd

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

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
host that stands for the container. Options of ps(1) other than -ef are refused.`,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := requireOneOf("format", format, "table", "json"); err != nil {
				return err
			}
			if len(args) > 2 || len(args) == 2 && args[1] != "-ef" && args[1] != "ef" {
				return fmt.Errorf("ps options %q are not supported: the processes are not the host's; use runsc exec %s ps", args[1:], args[0])
			}
			return a.ps(args[0], format)
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "table", "select one of: table or json")
	return cmd
}

func (a *app) ps(id, format string) error {
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
	fmt.Fprint(w, "UID\tPID\tPPID\tC\tSTIME\tTTY\tTIME\tCMD\n")
	for _, p := range list {
		tty := p.TTY
		if tty == "" {
			tty = "?"
		}
		cpu := time.Duration(p.CPUTimeMS) * time.Millisecond
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%s\t%02d:%02d:%02d\t%s\n", strconv.FormatUint(uint64(p.UID), 10), p.PID, p.PPID,
			share(p), time.Unix(p.StartUnix, 0).Format("15:04"), tty, int(cpu.Hours()), int(cpu.Minutes())%60, int(cpu.Seconds())%60, p.Cmd)
	}
	return w.Flush()
}

// share is ps's C: processor time over life time, in percent.
func share(p control.Process) int64 {
	life := time.Now().Unix() - p.StartUnix
	if life <= 0 {
		return 0
	}
	return min(int64(p.CPUTimeMS)/10/life, 99)
}
