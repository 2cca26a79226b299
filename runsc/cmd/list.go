package cmd

import (
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lazaret/runsc/container"
)

func (a *app) listCommand() *cobra.Command {
	var format string
	var quiet bool
	cmd := &cobra.Command{
		Use: "list [command options]", Args: exactArgs(0),
		Short: "lists containers started by runsc with the given root",
		RunE: func(*cobra.Command, []string) error {
			s, err := a.store()
			if err != nil {
				return err
			}
			list, errs := s.List()
			for _, err := range errs {
				fmt.Fprintln(os.Stderr, err)
			}
			if quiet {
				for _, c := range list {
					fmt.Println(c.ID)
				}
				return nil
			}
			return printList(list, format)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&format, "format", "f", "table", "select one of: table or json")
	f.BoolVarP(&quiet, "quiet", "q", false, "display only container IDs")
	return cmd
}

func printList(list []*container.Container, format string) error {
	if err := requireOneOf("format", format, "table", "json"); err != nil {
		return err
	}
	var rows []stateJSON
	for _, c := range list {
		row := newStateJSON(c)
		row.Owner = owner(c.Dir())
		rows = append(rows, row)
	}
	if format == "json" {
		return json.NewEncoder(os.Stdout).Encode(rows)
	}
	w := tabwriter.NewWriter(os.Stdout, 12, 1, 3, ' ', 0)
	fmt.Fprint(w, "ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER\n")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", r.ID, r.PID, r.Status, r.Bundle, r.Created.Format(time.RFC3339Nano), r.Owner)
	}
	return w.Flush()
}

// owner names the user that the state directory belongs to.
func owner(dir string) string {
	st, err := os.Stat(dir)
	if err != nil {
		return ""
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	uid := strconv.FormatUint(uint64(sys.Uid), 10)
	if u, err := user.LookupId(uid); err == nil {
		return u.Username
	}
	return "#" + uid
}
