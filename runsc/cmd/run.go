package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"lazaret/runsc/container"
	"lazaret/runsc/control"
	"lazaret/runsc/sandbox"
	"lazaret/runsc/spec"
	"lazaret/runsc/timeline"
)

// runFlags are what create and run share.
type runFlags struct {
	bundle        string
	consoleSocket string
	pidFile       string
	preserveFDs   int
	detach        bool
	keep          bool

	spec     *specs.Spec // nil: the bundle's
	noCgroup bool

	// writes go through to the host unless --overlay says otherwise: engines call create,
	// and look for what was written in the root that they gave.
	writesThrough bool
}

func (r *runFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&r.bundle, "bundle", "b", "", "path to the root of the bundle directory, defaults to the current directory")
	f.StringVar(&r.consoleSocket, "console-socket", "", "path to an AF_UNIX socket which will receive a file descriptor referencing the master end of the console's pseudoterminal")
	f.StringVar(&r.pidFile, "pid-file", "", "specify the file to write the process id to")
	f.IntVar(&r.preserveFDs, "preserve-fds", 0, "Pass N additional file descriptors to the container (stdio + $LISTEN_FDS + N in total)")
	f.Bool("no-pivot", false, "accepted for compatibility: a sandbox does not pivot into the container's root")
	f.Bool("no-new-keyring", false, "accepted for compatibility: a sandbox has no host keyring")
}

func (a *app) createCommand() *cobra.Command {
	r := &runFlags{detach: true, writesThrough: true}
	cmd := &cobra.Command{
		Use: "create [command options] <container-id>", Short: "create a container", Args: exactArgs(1),
		Long: `The create command creates an instance of a container for a bundle: a directory with
a specification file named "config.json" and a root filesystem. The program does not
run until start is called.`,
		RunE: func(_ *cobra.Command, args []string) error {
			cr, _, err := a.create(args[0], r)
			if err == nil {
				err = cr.Release()
			}
			if err != nil {
				return fmt.Errorf("runsc create failed: %w", err)
			}
			return nil
		},
	}
	r.register(cmd)
	return cmd
}

func (a *app) runCommand() *cobra.Command {
	r := &runFlags{}
	cmd := &cobra.Command{
		Use: "run [command options] <container-id>", Short: "create and run a container", Args: exactArgs(1),
		Long: `The run command creates an instance of a container for a bundle, starts it and, unless
it detaches, waits for its end, removes it, and exits as it did.`,
		RunE: func(_ *cobra.Command, args []string) error {
			code, err := a.run(args[0], r)
			if err != nil {
				return fmt.Errorf("runsc run failed: %w", err)
			}
			a.exit = code
			return nil
		},
	}
	r.register(cmd)
	f := cmd.Flags()
	f.BoolVarP(&r.detach, "detach", "d", false, "detach from the container's process")
	f.BoolVar(&r.keep, "keep", false, "do not delete the container after it exits")
	f.Bool("no-subreaper", false, "accepted for compatibility: runsc is no subreaper")
	return cmd
}

// create makes a container. The console is the caller's to close; it is nil without a
// terminal, or when the engine has got it.
func (a *app) create(id string, r *runFlags) (*container.Creation, *container.Console, error) {
	// First, before anything of ours can take such a number.
	extra, env, err := inheritedFDs(r.preserveFDs)
	if err != nil {
		return nil, nil, err
	}
	opts, err := a.createOptions(id, r)
	if err != nil {
		return nil, nil, err
	}
	opts.ExtraFDs = extra
	opts.Spec.Process.Env = append(opts.Spec.Process.Env, env...)
	if r.spec == nil { // do is told whether to make one
		if err := callerTerminal(opts.Spec.Process, r.consoleSocket, r.detach); err != nil {
			return nil, nil, err
		}
	}
	console, err := openConsole(opts.Spec.Process, r.consoleSocket, r.detach, &opts.Stdio)
	if err != nil {
		return nil, nil, err
	}
	store, err := a.store()
	if err != nil {
		return nil, nil, err
	}
	cr, err := store.Create(opts)
	if console != nil {
		console.CloseSlave()
		if err == nil && r.consoleSocket != "" {
			console.Close()
			console = nil
		}
	}
	if err != nil && console != nil {
		console.Close()
	}
	return cr, console, err
}

// createOptions loads the bundle.
func (a *app) createOptions(id string, r *runFlags) (*container.CreateOptions, error) {
	if err := container.CheckID(id); err != nil {
		return nil, err
	}
	if a.systemd && a.isRootless() {
		return nil, errors.New("--systemd-cgroup needs root; set the engine's cgroup driver to cgroupfs")
	}
	bundle, err := filepath.Abs(r.bundle)
	if err != nil {
		return nil, fmt.Errorf("--bundle %q: %w", r.bundle, err)
	}
	s := r.spec
	if s == nil {
		st, err := os.Stat(bundle)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("bundle: %w; run as a user who may read it", err)
		}
		if err != nil || !st.IsDir() {
			return nil, fmt.Errorf("bundle %s: not a directory; give one with --bundle", bundle)
		}
		var warnings []string
		if s, warnings, err = spec.Load(bundle); err != nil {
			return nil, err
		}
		for _, w := range warnings {
			a.log.warn(w)
		}
	}
	flags := a.flags
	if err := applyAnnotations(&flags, s.Annotations, a.set); err != nil {
		return nil, err
	}
	if _, annotated := s.Annotations[annotationPrefix+"network"]; !annotated && !a.set("network") && r.spec == nil && spec.InheritsNetwork(s) {
		flags.Network = sandbox.HostNetwork
	}
	if flags.Overlay == "auto" {
		flags.Overlay = "root"
		if r.writesThrough {
			flags.Overlay = "none"
		}
	}
	return &container.CreateOptions{
		ID: id, Bundle: bundle, Spec: s, Flags: flags, PidFile: r.pidFile,
		Stdio:    [3]*os.File{os.Stdin, os.Stdout, os.Stderr},
		Rootless: a.isRootless(), SystemdCgroup: a.systemd, NoCgroup: r.noCgroup, ResolvConf: r.spec != nil, Starter: a.starter, Warn: a.log.warn,
	}, nil
}

// openConsole makes the terminal that a process wants. The messages are runc's.
func openConsole(p *specs.Process, socket string, detach bool, stdio *[3]*os.File) (*container.Console, error) {
	switch {
	case !p.Terminal && socket != "", p.Terminal && !detach && socket != "":
		return nil, errors.New("cannot use console socket if runsc will not detach or allocate tty")
	case p.Terminal && detach && socket == "":
		return nil, errors.New("cannot allocate tty if runsc will detach without setting console socket")
	case !p.Terminal:
		return nil, nil
	}
	size := p.ConsoleSize
	if size == nil && !detach {
		size = container.TerminalSize(os.Stdin) // the first thing that is shown may depend on it
	}
	console, err := container.NewConsole(size)
	if err != nil {
		return nil, err
	}
	if socket != "" {
		if err := console.SendMaster(socket); err != nil {
			console.Close()
			return nil, err
		}
	}
	*stdio = console.Stdio()
	return console, nil
}

// callerTerminal checks, as runc does, that there is somebody to talk to a terminal that no
// engine takes: one of the standard files, or the controlling terminal behind them.
func callerTerminal(p *specs.Process, socket string, detach bool) error {
	if !p.Terminal || socket != "" || detach || isTTY(os.Stdin) || isTTY(os.Stdout) || isTTY(os.Stderr) {
		return nil
	}
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return fmt.Errorf("a terminal is wanted and there is none: %w", err)
	}
	return tty.Close()
}

// inheritedFDs collects the files of --preserve-fds and of socket activation
// (sd_listen_fds(3)), with the variables that describe the latter.
func inheritedFDs(preserve int) (files []*os.File, env []string, err error) {
	listen := 0
	if v := os.Getenv("LISTEN_FDS"); v != "" && os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) {
		if listen, err = strconv.Atoi(v); err != nil || listen < 0 {
			return nil, nil, fmt.Errorf("environment variable LISTEN_FDS=%q is not a number", v)
		}
		env = append(env, "LISTEN_FDS="+v, "LISTEN_PID=1")
	}
	if preserve < 0 || preserve+listen > control.MaxFiles-8 {
		return nil, nil, fmt.Errorf("--preserve-fds %d: want 0 to %d", preserve, control.MaxFiles-8)
	}
	for i := range preserve + listen {
		fd := 3 + i
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		// One that closes on exec is the Go runtime's, not the caller's.
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			return nil, nil, fmt.Errorf("please check that preserved-fd %d (of %d) is present", i, preserve+listen)
		}
		files = append(files, os.NewFile(uintptr(fd), "preserved-fd "+strconv.Itoa(i)))
	}
	return files, env, nil
}

// run is create and start, and unless detached, wait and delete.
func (a *app) run(id string, r *runFlags) (code int, err error) {
	cr, console, err := a.create(id, r)
	if err != nil {
		return 0, err
	}
	var att *container.Attachment
	if console != nil {
		defer console.Close()
		if att, err = console.Attach(os.Stdin, os.Stdout); err != nil {
			return 0, errors.Join(err, cr.Destroy(a.log.warn))
		}
		defer att.Detach()
	}
	var sigs *container.CaughtSignals
	if !r.detach {
		sigs = container.CatchSignals()
	}
	timeline.Mark("created")
	if err := cr.Start(a.log.warn); err != nil {
		if cr.Sandbox != nil {
			cr.Sandbox.Kill()
		}
		cr.Unlock()
		return 0, err
	}
	if r.detach {
		return 0, cr.Release()
	}
	cr.Unlock()
	timeline.Mark("started")
	code, err = a.waitForeground(cr, att, sigs)
	timeline.Mark("sandbox has ended")
	if r.keep {
		if cr.Sandbox != nil {
			_ = cr.Sandbox.Detach()
		}
		return code, err
	}
	return code, errors.Join(err, a.deleteAfterRun(id))
}

// waitForeground waits for the container's init and passes signals on.
func (a *app) waitForeground(cr *container.Creation, att *container.Attachment, sigs *container.CaughtSignals) (int, error) {
	client := cr.Client()
	stop := sigs.Forward(client, cr.ID, 0)
	defer stop()
	defer watchSize(att, func() {})()
	if cr.Sandbox == nil {
		status, err := client.Wait(backgroundUntil(cr.Container), &control.WaitArgs{ID: cr.ID, KillOnHangup: true})
		if err != nil {
			return 0, fmt.Errorf("wait for container %s: %w", cr.ID, err)
		}
		return status.Code(), nil
	}
	ws, err := cr.Sandbox.Wait()
	if err != nil {
		return 0, fmt.Errorf("wait for the sandbox: %w", err)
	}
	return exitCode(ws), nil
}

// exitCode is what a shell would show.
func exitCode(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// watchSize keeps the console's size that of the caller's terminal. The Sentry sees a
// change by itself only where the console is its own terminal, which is init's; for others
// tell says it.
func watchSize(att *container.Attachment, tell func()) (stop func()) {
	if att == nil {
		return func() {}
	}
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, unix.SIGWINCH)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range ch {
			att.Resize()
			tell()
		}
	}()
	return func() { signal.Stop(ch); close(ch); <-done }
}

// deleteAfterRun removes what run made, unless somebody did already.
func (a *app) deleteAfterRun(id string) error {
	c, err := a.loadLocked(id)
	if errors.Is(err, container.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer c.Unlock()
	return c.Delete(true, a.log.warn)
}

// parseUser reads UID[:GID].
func parseUser(s string) (uid, gid uint32, hasGID bool, err error) {
	u, g, hasGID := strings.Cut(s, ":")
	n, err := strconv.ParseUint(u, 10, 32)
	if err != nil {
		return 0, 0, false, fmt.Errorf("--user %q: parsing %q: want <uid>[:<gid>] as numbers", s, u)
	}
	if hasGID {
		m, err := strconv.ParseUint(g, 10, 32)
		if err != nil {
			return 0, 0, false, fmt.Errorf("--user %q: parsing %q: want <uid>[:<gid>] as numbers", s, g)
		}
		gid = uint32(m)
	}
	return uint32(n), gid, hasGID, nil
}
