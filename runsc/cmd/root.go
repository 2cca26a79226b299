package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"lazaret/runsc/container"
	"lazaret/runsc/sandbox"
	"lazaret/runsc/spec"
	"lazaret/runsc/timeline"
)

// Version is set by the build (-ldflags -X).
var Version = "0.1.0-dev"

// app is what the commands share.
type app struct {
	root      string
	rootless  string
	systemd   bool
	logPath   string
	logFormat string
	debug     bool
	flags     sandbox.Flags
	set       func(name string) bool // was the global flag given?

	log     *logger
	starter container.Starter
	trace   string // file of --trace-startup
	exit    int    // exit code of a command that did not fail
}

// exitError ends the program with a code; err may be nil when all was said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return "exit " + strconv.Itoa(e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageError is a wrong call of a command: its help is printed too.
type usageError struct {
	cmd *cobra.Command
	err error
}

func (e *usageError) Error() string { return e.err.Error() }

// Main runs the command line and returns the exit code.
func Main(args []string) int {
	a := &app{log: newLogger(), starter: container.Processes{}}
	root := a.rootCommand()
	root.SetArgs(args)
	err := root.Execute()
	timeline.Mark("done")
	if terr := timeline.Finish(a.trace); terr != nil {
		a.log.warn(terr.Error())
	}
	return a.report(root, err)
}

// report says what went wrong and picks the exit code.
func (a *app) report(root *cobra.Command, err error) int {
	if err == nil {
		return a.exit
	}
	code := 1
	var exit *exitError
	var usage *usageError
	switch {
	case errors.As(err, &exit):
		code = exit.code
		if exit.err == nil {
			return code
		}
		a.log.error(exit.err.Error())
	case errors.As(err, &usage):
		fmt.Printf("Incorrect Usage.\n\n")
		_ = usage.cmd.Help()
		a.log.error(usage.err.Error())
	case strings.HasPrefix(err.Error(), "unknown command "):
		// cobra has no type for it. runc's exit code and words.
		code = 3
		name, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "unknown command "), " for ")
		a.log.error(fmt.Sprintf("No help topic for %s; runsc --help lists the commands", strings.ReplaceAll(name, `"`, "'")))
	default:
		a.log.error(err.Error())
	}
	return code
}

const longHelp = `runsc runs containers packaged by the Open Container Initiative (OCI) runtime
specification on a Linux kernel of its own, in user space: applications make no system
call of the host's. It takes runc's commands and flags.

To start a new instance of a container:

    # runsc run [ -b bundle ] <container-id>

To run a command over this machine's own files, read-only with changes in memory:

    # runsc do COMMAND`

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use: "runsc", Short: "Open Container Initiative runtime with a kernel of its own", Long: longHelp,
		Version: Version, SilenceErrors: true, SilenceUsage: true,
		// Flags of a command end at its first argument, as in runc: the rest belongs
		// to the application.
		TraverseChildren:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.setup() },
	}
	root.Args = cobra.ArbitraryArgs
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("unknown command %q for runsc", args[0])
		}
		return cmd.Help()
	}
	root.SetVersionTemplate(versionText())
	root.CompletionOptions.HiddenDefaultCmd = false
	a.globalFlags(root)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return &usageError{cmd, err} })
	root.AddCommand(
		a.createCommand(), a.startCommand(), a.runCommand(), a.execCommand(), a.killCommand(), a.deleteCommand(),
		a.stateCommand(), a.listCommand(), a.psCommand(), a.pauseCommand(), a.resumeCommand(), a.waitCommand(),
		a.specCommand(), a.featuresCommand(), a.eventsCommand(), a.updateCommand(), a.doCommand(), a.debugCommand(),
		a.doctorCommand(), a.installCommand(), a.uninstallCommand(),
	)
	root.SetHelpCommand(a.helpCommand(root))
	for _, c := range root.Commands() {
		c.Flags().SetInterspersed(false)
		c.DisableFlagsInUseLine = true
	}
	a.addCompletions(root)
	return root
}

func versionText() string {
	commit := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = s.Value
			}
		}
	}
	return fmt.Sprintf("runsc version %s\ncommit: %s\nspec: %s\ngo: %s\n", Version, commit, spec.MaxVersion, runtime.Version())
}

func (a *app) globalFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&a.root, "root", defaultRoot(), "root directory for storage of container state (this should be located in tmpfs)")
	f.StringVar(&a.logPath, "log", "", "set the log file to write runsc logs to (default is '/dev/stderr')")
	f.StringVar(&a.logFormat, "log-format", "text", "set the log format ('text' or 'json')")
	f.BoolVar(&a.debug, "debug", false, "enable debug logging")
	f.BoolVar(&a.systemd, "systemd-cgroup", false, "have systemd make the control groups: linux.cgroupsPath is slice:prefix:name")
	f.StringVar(&a.rootless, "rootless", "auto", "ignore cgroup permission errors ('true', 'false', or 'auto')")
	f.String("criu", "", "ignored, for compatibility")
	_ = f.MarkHidden("criu")
	f.StringVar(&a.flags.Platform, "platform", "trap", "how application code runs: trap, or ptrace (slower, for hosts that lack what trap needs)")
	f.StringVar(&a.flags.Overlay, "overlay", "auto", "what gets a writable layer in memory: root, all (bind mounts too) or none; auto is root for run and do, and none for create, so that engines find what was written")
	a.networkFlags(f)
	f.BoolVar(&a.flags.Strace, "strace", false, "log every system call of the application")
	f.StringVar(&a.flags.StraceLog, "strace-log", "", "file for --strace's lines (default: the sandbox's log)")
	f.StringVar(&a.flags.Pcap, "pcap", "", "write the packets of the sandbox's network to this file, for tcpdump -r")
	f.StringVar(&a.flags.DebugLog, "debug-log", "", "file for the sandbox's log (default: sentry.log in the state directory)")
	f.BoolVar(&a.flags.HostUDS, "host-uds", false, "let applications use, and serve at, unix sockets and FIFOs of the host in bind mounts")
	f.StringVar(&a.trace, "trace-startup", "", "write what the start and the end of a sandbox spend their time on to this file")
	a.set = func(name string) bool { fl := f.Lookup(name); return fl != nil && fl.Changed }
}

// defaultRoot is runc's choice with our name: a user's directory for whoever is root only
// in a user namespace too, unless /run is his.
func defaultRoot() string {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir != "" && (os.Geteuid() != 0 || sandbox.InUserNS() && unix.Access("/run", unix.W_OK) != nil) {
		return filepath.Join(dir, "runsc")
	}
	return "/run/runsc"
}

// setup checks the global flags; it runs before every command.
func (a *app) setup() error {
	if err := a.log.open(a.logPath, a.logFormat, a.debug); err != nil {
		return err
	}
	a.log.debugf("command line: %q", os.Args)
	if a.trace != "" {
		f, err := os.OpenFile(a.trace, os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
		if err != nil {
			return fmt.Errorf("--trace-startup: %w", err)
		}
		timeline.Open("runsc", f)
		timeline.Mark("command line is read")
	}
	a.flags.Debug, a.flags.LogFormat = a.debug, a.logFormat
	switch a.rootless {
	case "auto", "true", "false":
	default:
		return fmt.Errorf("--rootless %q: want true, false or auto", a.rootless)
	}
	return checkFlags(&a.flags)
}

func (a *app) isRootless() bool {
	return a.rootless == "true" || a.rootless == "auto" && (os.Geteuid() != 0 || sandbox.InUserNS())
}

func (a *app) store() (*container.Store, error) { return container.Open(a.root) }

// load opens a container by a command's first argument.
func (a *app) load(id string) (*container.Container, error) {
	s, err := a.store()
	if err != nil {
		return nil, err
	}
	return s.Load(id)
}

func (a *app) loadLocked(id string) (*container.Container, error) {
	s, err := a.store()
	if err != nil {
		return nil, err
	}
	return s.LoadLocked(id)
}

// exactArgs and minArgs have runc's words.
func exactArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return &usageError{cmd, fmt.Errorf("runsc: %q requires exactly %d argument(s)", cmd.Name(), n)}
		}
		return nil
	}
}

func minArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return &usageError{cmd, fmt.Errorf("runsc: %q requires a minimum of %d argument(s)", cmd.Name(), n)}
		}
		return nil
	}
}
