package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"

	"lazaret/runsc/cmd"
	"lazaret/runsc/seccomp"
)

// bootMain and goferMain join the rooms that make up the re-executed processes.
// TODO: call boot.Main and sandbox.GoferMain.
func bootMain() {
	fmt.Fprintln(os.Stderr, "boot: this build has no Sentry")
	os.Exit(1)
}

func goferMain() {
	fmt.Fprintln(os.Stderr, "gofer: this build has no Gofer")
	os.Exit(1)
}

// connect gives the command line what it shows of other rooms.
func connect() { cmd.HostSyscalls = hostSyscalls }

// hostSyscalls prints what a Sentry on the ptrace platform may ask of the host, and why.
func hostSyscalls(out io.Writer) error {
	filter, ok := seccomp.Lookup(seccomp.SentryPtrace)
	if !ok {
		return fmt.Errorf("no seccomp filter %q in this build", seccomp.SentryPtrace)
	}
	calls := filter.Calls(runtime.GOARCH)
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, call := range calls {
		var reasons []string
		for _, r := range filter.Rules(runtime.GOARCH) {
			if r.Call == call && !slices.Contains(reasons, r.Reason) {
				reasons = append(reasons, r.Reason)
				name := call
				if len(reasons) > 1 {
					name = ""
				}
				fmt.Fprintf(w, "%s\t%s\n", name, r.Reason)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%d calls\n", len(calls))
	return err
}
