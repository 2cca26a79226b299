package cmd

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"lazaret/runsc/container"
)

// flagWords are what a shell completes as the value of a flag; those that are not here are
// free text, or files.
var flagWords = map[string][]string{
	"platform": platforms, "overlay": overlays, "network": networkModes, "log-format": {"text", "json"},
	"rootless": {"auto", "true", "false"}, "format": {"table", "json"}, "tty": {"auto", "yes", "no"},
}

// flagDirs are the flags that name a directory.
var flagDirs = []string{"root", "bundle", "rootfs"}

// takesContainer are the commands whose first argument is a container, with the states in which
// they can do something with it; none: any.
var takesContainer = map[string][]container.Status{
	"start": {container.Created}, "resume": {container.Paused},
	"exec": {container.Running, container.Created}, "pause": {container.Running, container.Created},
	"kill": {container.Running, container.Created, container.Paused},
	"ps":   {container.Running, container.Created, container.Paused}, "events": {container.Running, container.Created, container.Paused},
	"update": {container.Running, container.Created, container.Paused}, "debug": {container.Running, container.Created, container.Paused},
	"delete": nil, "state": nil, "wait": nil,
}

// addCompletions tells the shells' completion what may follow.
func (a *app) addCompletions(root *cobra.Command) {
	completeFlags(root)
	for _, c := range root.Commands() {
		completeFlags(c)
		if states, ok := takesContainer[c.Name()]; ok {
			c.ValidArgsFunction = a.completeContainer(states)
		}
	}
}

// completeFlags gives a command's flags their values.
func completeFlags(c *cobra.Command) {
	for _, set := range []*pflag.FlagSet{c.LocalNonPersistentFlags(), c.PersistentFlags()} {
		set.VisitAll(func(f *pflag.Flag) {
			if words := flagWords[f.Name]; words != nil {
				_ = c.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
			}
			if slices.Contains(flagDirs, f.Name) {
				_ = cobra.MarkFlagDirname(set, f.Name)
			}
		})
	}
}

// completeContainer completes the containers under --root, and what may follow one.
func (a *app) completeContainer(states []container.Status) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		switch {
		case len(args) == 0:
			return a.containerNames(states, word), cobra.ShellCompDirectiveNoFileComp
		case len(args) == 1 && cmd.Name() == "kill":
			return signalNames(word), cobra.ShellCompDirectiveNoFileComp
		case cmd.Name() == "exec":
			return nil, cobra.ShellCompDirectiveDefault
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

func (a *app) containerNames(states []container.Status, prefix string) []string {
	s, err := a.store()
	if err != nil {
		return nil
	}
	list, _ := s.List()
	var names []string
	for _, c := range list {
		if strings.HasPrefix(c.ID, prefix) && (states == nil || slices.Contains(states, c.Status())) {
			names = append(names, c.ID)
		}
	}
	return names
}

// signalNames are the signals whose names begin with prefix, which may leave SIG out.
func signalNames(prefix string) []string {
	var names []string
	cut := !strings.HasPrefix(strings.ToUpper(prefix), "SIG") && prefix != ""
	for n := unix.Signal(1); n < 32; n++ {
		name := unix.SignalName(n)
		if cut {
			name = strings.TrimPrefix(name, "SIG")
		}
		if strings.HasPrefix(name, strings.ToUpper(prefix)) {
			names = append(names, name)
		}
	}
	return names
}
