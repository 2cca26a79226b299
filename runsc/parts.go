package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"

	"lazaret/runsc/boot"
	"lazaret/runsc/cmd"
	"lazaret/runsc/sandbox"
	"lazaret/runsc/seccomp"
	"lazaret/syscalls"
)

// bootMain, goferMain and netProxyMain join the rooms that make up the re-executed processes.
func bootMain() { boot.Main() }

func goferMain() { sandbox.GoferMain() }

func netProxyMain() { sandbox.NetProxyMain() }

// connect gives the command line what it shows of other rooms.
func connect() {
	cmd.HostSyscalls = hostSyscalls
	cmd.Syscalls = printSyscalls
}

// printSyscalls prints the table of system calls.
func printSyscalls(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NR\tNAME\tSUPPORT\tNOTE")
	syscalls.New().Rows(func(r *syscalls.Row) {
		note := r.Note
		if r.Support == syscalls.Absent {
			note = r.Errno.Error() + ": " + note
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", r.Nr, r.Name, r.Support, note)
	})
	return w.Flush()
}

// hostSyscalls prints what a Sentry with these flags may ask of the host, and why.
func hostSyscalls(out io.Writer, f *sandbox.Flags) error {
	name, err := sandbox.FilterFor(f)
	if err != nil {
		return err
	}
	filter, ok := seccomp.Lookup(name)
	if !ok {
		return fmt.Errorf("no seccomp filter %q in this build", name)
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
	_, err = fmt.Fprintf(out, "%d calls\n", len(calls))
	return err
}
