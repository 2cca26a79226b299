package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"lazaret/runsc/control"
	"lazaret/runsc/sandbox"
)

// HostSyscalls, when main.go has set it, prints the Sentry's allow-list with some flags.
var HostSyscalls func(w io.Writer, f *sandbox.Flags) error

func (a *app) debugCommand() *cobra.Command {
	var stacks, mounts, stats, hostSyscalls, net bool
	var maps int32
	var strace string
	cmd := &cobra.Command{
		Use: "debug [command options] <container-id>", Short: "look into a live sandbox",
		Long: `Debug shows what a live sandbox does. --host-syscalls without a container prints the
host system calls that a Sentry may make.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if hostSyscalls && len(args) == 0 && HostSyscalls != nil {
				return HostSyscalls(os.Stdout, &a.flags)
			}
			if err := exactArgs(1)(cmd, args); err != nil {
				return err
			}
			kinds, err := debugKinds(map[control.DebugKind]bool{
				control.DebugStacks: stacks, control.DebugMounts: mounts, control.DebugPlatformStats: stats,
				control.DebugHostSyscalls: hostSyscalls, control.DebugNet: net, control.DebugMaps: cmd.Flags().Changed("maps"),
			}, strace)
			if err != nil {
				return err
			}
			return a.debugRun(args[0], kinds, maps)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&stacks, "stacks", false, "what every task is doing")
	f.BoolVar(&mounts, "mounts", false, "the mounts of every mount namespace")
	f.Int32Var(&maps, "maps", 0, "the address space of the process with this id (inside the container)")
	f.StringVar(&strace, "strace", "", "switch the logging of system calls on or off")
	f.BoolVar(&hostSyscalls, "host-syscalls", false, "the host system calls that the Sentry may make, with reasons")
	f.BoolVar(&net, "net", false, "interfaces, addresses, routes, sockets and counters of the container's network")
	f.BoolVar(&stats, "platform-stats", false, "counters of the platform")
	return cmd
}

// debugKinds puts the requests in a fixed order.
func debugKinds(want map[control.DebugKind]bool, strace string) ([]control.DebugKind, error) {
	var kinds []control.DebugKind
	for _, k := range []control.DebugKind{control.DebugStacks, control.DebugMounts, control.DebugMaps,
		control.DebugHostSyscalls, control.DebugPlatformStats, control.DebugNet} {
		if want[k] {
			kinds = append(kinds, k)
		}
	}
	switch strace {
	case "":
	case "on":
		kinds = append(kinds, control.DebugStraceOn)
	case "off":
		kinds = append(kinds, control.DebugStraceOff)
	default:
		return nil, fmt.Errorf("--strace %q: want on or off", strace)
	}
	if len(kinds) == 0 {
		return nil, errors.New("say what to show: --stacks, --mounts, --maps PID, --strace on|off, --net, --host-syscalls or --platform-stats")
	}
	return kinds, nil
}

func (a *app) debugRun(id string, kinds []control.DebugKind, pid int32) error {
	c, err := a.load(id)
	if err != nil {
		return err
	}
	for _, k := range kinds {
		args := &control.DebugArgs{ID: c.ID, Kind: k}
		if k == control.DebugMaps {
			args.PID = pid
		}
		text, err := c.Client().Debug(args)
		if err != nil {
			return fmt.Errorf("debug %s: %w", k, err)
		}
		fmt.Print(text)
		if k == control.DebugNet {
			for _, p := range c.Published {
				fmt.Println("published", p)
			}
		}
	}
	return nil
}
