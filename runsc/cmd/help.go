package cmd

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// Syscalls, when main.go has set it, prints the table of system calls and how far each is
// there.
var Syscalls func(w io.Writer) error

// helpCommand is cobra's help and one topic of ours.
func (a *app) helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [command | syscalls]", Short: "help about a command, or the table of system calls",
		ValidArgsFunction: func(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			return helpTopics(root, args, prefix), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "syscalls" {
				if Syscalls == nil {
					return errors.New("this build has no system call table")
				}
				return Syscalls(os.Stdout)
			}
			c, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 && c == root {
				return errors.New("unknown command \"" + args[0] + "\" for runsc")
			}
			return c.Help()
		},
	}
}

// helpTopics are what help knows something about.
func helpTopics(root *cobra.Command, args []string, prefix string) []string {
	c, _, err := root.Find(args)
	if err != nil || len(args) > 0 && c == root {
		return nil
	}
	var topics []string
	if c == root && strings.HasPrefix("syscalls", prefix) {
		topics = append(topics, "syscalls")
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && strings.HasPrefix(sub.Name(), prefix) {
			topics = append(topics, sub.Name())
		}
	}
	return topics
}
