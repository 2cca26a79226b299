package cmd

import (
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"

	"lazaret/runsc/container"
	"lazaret/runsc/control"
	"lazaret/runsc/spec"
)

// execFailed is runc's exit code of an exec that could not start its process: different
// from what most programs exit with.
const execFailed = 255

type execFlags struct {
	consoleSocket, cwd, user, process, pidFile, innerPidFile, label, apparmor, cgroup string

	env, caps     []string
	gids          []uint
	tty, detach   bool
	noNewPrivs    bool
	ignorePaused  bool
	preserveFDs   int
	setNoNewPrivs bool
}

func (a *app) execCommand() *cobra.Command {
	e := &execFlags{}
	cmd := &cobra.Command{
		Use:   "exec [command options] <container-id> <command> [command options] || -p process.json <container-id>",
		Short: "execute new process inside the container", Args: minArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e.setNoNewPrivs = cmd.Flags().Changed("no-new-privs")
			code, err := a.exec(args[0], args[1:], e)
			if err != nil {
				return &exitError{execFailed, fmt.Errorf("exec failed: %w", err)}
			}
			a.exit = code
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&e.consoleSocket, "console-socket", "", "path to an AF_UNIX socket which will receive a file descriptor referencing the master end of the console's pseudoterminal")
	f.StringVar(&e.cwd, "cwd", "", "current working directory in the container")
	f.StringArrayVarP(&e.env, "env", "e", nil, "set environment variables")
	f.BoolVarP(&e.tty, "tty", "t", false, "allocate a pseudo-TTY")
	f.StringVarP(&e.user, "user", "u", "", "UID (format: <uid>[:<gid>])")
	f.UintSliceVarP(&e.gids, "additional-gids", "g", nil, "additional gids")
	f.StringVarP(&e.process, "process", "p", "", "path to the process.json")
	f.BoolVarP(&e.detach, "detach", "d", false, "detach from the container's process")
	f.StringVar(&e.pidFile, "pid-file", "", "specify the file to write the process id to")
	f.StringVar(&e.innerPidFile, "internal-pid-file", "", "specify the file to write the process id inside the container to")
	f.StringVar(&e.label, "process-label", "", "refused: SELinux labels are not supported in a sandbox")
	f.StringVar(&e.apparmor, "apparmor", "", "without effect, as AppArmor does not reach into a sandbox; refused where the host has none")
	f.BoolVar(&e.noNewPrivs, "no-new-privs", false, "set the no new privileges value for the process")
	f.StringArrayVarP(&e.caps, "cap", "c", nil, "add a capability to the bounding set for the process")
	f.IntVar(&e.preserveFDs, "preserve-fds", 0, "Pass N additional file descriptors to the container (stdio + $LISTEN_FDS + N in total)")
	f.StringVar(&e.cgroup, "cgroup", "", "refused: processes of a sandbox have no host cgroups of their own")
	f.BoolVar(&e.ignorePaused, "ignore-paused", false, "allow exec in a paused container")
	return cmd
}

func (a *app) exec(id string, argv []string, e *execFlags) (int, error) {
	extra, env, err := inheritedFDs(e.preserveFDs)
	if err != nil {
		return 0, err
	}
	c, err := a.load(id)
	if err != nil {
		return 0, err
	}
	p, err := e.build(c.Spec.Process, argv)
	if err != nil {
		return 0, err
	}
	p.Env = append(p.Env, env...)
	opts := &container.ExecOptions{
		Process: p, Stdio: [3]*os.File{os.Stdin, os.Stdout, os.Stderr}, ExtraFDs: extra, IgnorePaused: e.ignorePaused,
	}
	if err := callerTerminal(p, e.consoleSocket, e.detach); err != nil {
		return 0, err
	}
	console, err := openConsole(p, e.consoleSocket, e.detach, &opts.Stdio)
	if err != nil {
		return 0, err
	}
	if console != nil {
		defer console.Close()
	}
	sigs := container.CatchSignals()
	pid, err := c.Exec(opts)
	if err != nil {
		return 0, err
	}
	if console != nil {
		console.CloseSlave()
	}
	if e.innerPidFile != "" {
		if err := container.WritePidFile(e.innerPidFile, int(pid)); err != nil {
			return 0, errors.Join(err, killExec(c, pid))
		}
	}
	if e.detach {
		return 0, a.execDetached(c, pid, e.pidFile)
	}
	if e.pidFile != "" {
		// This process is the one that ends with the application's status.
		if err := container.WritePidFile(e.pidFile, os.Getpid()); err != nil {
			return 0, errors.Join(err, killExec(c, pid))
		}
	}
	return a.execForeground(c, pid, console, sigs)
}

// execDetached leaves a process that stands for the one in the container.
func (a *app) execDetached(c *container.Container, pid int32, pidFile string) error {
	proxy, err := c.ExecProxy(pid)
	if err == nil && pidFile != "" {
		err = container.WritePidFile(pidFile, proxy)
	}
	if err != nil {
		return errors.Join(err, killExec(c, pid))
	}
	return nil
}

func killExec(c *container.Container, pid int32) error {
	return c.Client().Signal(&control.SignalArgs{ID: c.ID, PID: pid, Signal: 9})
}

func (a *app) execForeground(c *container.Container, pid int32, console *container.Console, sigs *container.CaughtSignals) (int, error) {
	var att *container.Attachment
	if console != nil {
		var err error
		if att, err = console.Attach(os.Stdin, os.Stdout); err != nil {
			return 0, errors.Join(err, killExec(c, pid))
		}
		defer att.Detach()
	}
	client := c.Client()
	stop := sigs.Forward(client, c.ID, pid)
	defer stop()
	defer watchSize(att, func() {
		// A process that has ended needs no size.
		_ = c.Client().Resize(&control.ResizeArgs{ID: c.ID, PID: pid})
	})()
	status, err := client.Wait(backgroundUntil(c), &control.WaitArgs{ID: c.ID, PID: pid, KillOnHangup: true})
	if errors.Is(err, control.ErrDead) {
		// The container ended, and this process with it: what a killed one shows.
		return 137, nil
	}
	if err != nil {
		return 0, err
	}
	return status.Code(), nil
}

// build makes the process object from --process, or from the container's own and flags.
func (e *execFlags) build(base *specs.Process, argv []string) (*specs.Process, error) {
	if e.label != "" {
		return nil, errors.New("--process-label: SELinux labels are not supported in a sandbox")
	}
	if e.cgroup != "" {
		return nil, errors.New("--cgroup: processes of a sandbox have no host cgroups of their own")
	}
	if e.process != "" {
		p, err := spec.LoadProcess(e.process)
		if err != nil {
			return nil, err
		}
		// As with runc: -t is for processes given on the command line.
		return p, nil
	}
	if len(argv) == 0 {
		return nil, errors.New("process args cannot be empty")
	}
	p := new(specs.Process)
	if base != nil {
		*p = *base
	}
	p.Args = argv
	p.Terminal = e.tty
	p.ConsoleSize = nil
	p.Env = append(append([]string{}, p.Env...), e.env...)
	if e.cwd != "" {
		p.Cwd = e.cwd
	}
	if e.apparmor != "" {
		// A caller that relies on a profile hears from runc, too, that there is none.
		if on, _ := os.ReadFile("/sys/module/apparmor/parameters/enabled"); len(on) == 0 || on[0] != 'Y' {
			return nil, errors.New("--apparmor: apparmor: config provided but apparmor not supported by this host")
		}
		p.ApparmorProfile = e.apparmor
	}
	if e.setNoNewPrivs {
		p.NoNewPrivileges = e.noNewPrivs
	}
	if err := e.identity(p); err != nil {
		return nil, err
	}
	if _, err := spec.ValidateProcess(p); err != nil {
		return nil, err
	}
	return p, nil
}

// identity applies --user, --additional-gids and --cap.
func (e *execFlags) identity(p *specs.Process) error {
	if e.user != "" {
		uid, gid, hasGID, err := parseUser(e.user)
		if err != nil {
			return err
		}
		p.User.UID = uid
		if hasGID {
			p.User.GID = gid
		}
	}
	gids := append([]uint32{}, p.User.AdditionalGids...)
	for _, g := range e.gids {
		gids = append(gids, uint32(g))
	}
	p.User.AdditionalGids = gids
	if len(e.caps) > 0 {
		caps := specs.LinuxCapabilities{}
		if p.Capabilities != nil {
			caps = *p.Capabilities
		}
		for _, set := range []*[]string{&caps.Bounding, &caps.Effective, &caps.Permitted, &caps.Ambient} {
			*set = append(append([]string{}, *set...), e.caps...)
		}
		p.Capabilities = &caps
	}
	return nil
}
