package cmd

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"lazaret/runsc/spec"
)

type doFlags struct {
	cwd, user, memory, network, hostname string

	env, volumes []string
	root         string
	pids         int64
	cpus         float64
	tty          string
}

func (a *app) doCommand() *cobra.Command {
	d := &doFlags{}
	cmd := &cobra.Command{
		Use: "do [command options] <command> [arguments...]", Args: minArgs(1),
		Short: "run a command over this machine's files, read-only, with changes in memory",
		Long: `Do runs a command in a sandbox whose root is this machine's own. The files can be read
as the caller may; changes are kept in memory and forgotten at the end. Nothing is
left behind.`,
		RunE: func(_ *cobra.Command, args []string) error {
			code, err := a.do(args, d)
			if err != nil {
				return fmt.Errorf("runsc do failed: %w", err)
			}
			a.exit = code
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&d.cwd, "cwd", "", "working directory (default: the current one)")
	f.StringArrayVarP(&d.env, "env", "e", nil, "set an environment variable, NAME=value, or pass on one of ours, NAME")
	f.StringArrayVarP(&d.volumes, "volume", "v", nil, "bind host:container[:ro]; writes go through to the host")
	f.StringVarP(&d.user, "user", "u", "", "run as <uid>[:<gid>] (default: the caller)")
	f.StringVarP(&d.memory, "memory", "m", "", "memory limit in bytes, as in 512m")
	f.Int64Var(&d.pids, "pids-limit", 0, "maximum number of processes and threads")
	f.Float64Var(&d.cpus, "cpus", 0, "number of processors' worth of time, as in 1.5")
	f.StringVar(&d.network, "network", "", "network of the sandbox, like the global flag")
	f.StringVar(&d.hostname, "hostname", "lazaret", "the sandbox's host name")
	f.StringVar(&d.root, "rootfs", "/", "directory that becomes the root")
	f.StringVarP(&d.tty, "tty", "t", "auto", "terminal for the command: auto (if stdin and stdout are one), yes or no")
	return cmd
}

func (a *app) do(argv []string, d *doFlags) (int, error) {
	if d.network != "" {
		a.flags.Network = d.network
		if err := checkFlags(&a.flags); err != nil {
			return 0, err
		}
	}
	s, err := d.spec(argv)
	if err != nil {
		return 0, err
	}
	warnings, err := spec.Validate(s, "/")
	if err != nil {
		return 0, err
	}
	for _, w := range warnings {
		a.log.warn(w)
	}
	// Without limits no control group is needed, and making ten directories takes time.
	r := s.Linux.Resources
	noLimits := r.Memory == nil && r.CPU == nil && r.Pids == nil
	return a.run("do-"+strings.ToLower(rand.Text()[:12]), &runFlags{bundle: "/", spec: s, noCgroup: noLimits})
}

// spec makes the configuration in memory; no bundle is written.
func (d *doFlags) spec(argv []string) (*specs.Spec, error) {
	s := spec.Example()
	root, err := filepath.Abs(d.root)
	if err != nil {
		return nil, fmt.Errorf("--rootfs: %w", err)
	}
	s.Root = &specs.Root{Path: root}
	s.Hostname = d.hostname
	p := s.Process
	p.Args = argv
	p.NoNewPrivileges = false
	p.Rlimits = nil
	p.Capabilities = doCapabilities()
	p.User = specs.User{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	if d.user != "" {
		uid, gid, _, err := parseUser(d.user)
		if err != nil {
			return nil, err
		}
		p.User = specs.User{UID: uid, GID: gid}
		if uid != 0 {
			p.Capabilities = nil
		}
	}
	if p.Terminal, err = d.wantTTY(); err != nil {
		return nil, err
	}
	p.Env = d.environment(p.Terminal)
	if p.Cwd, err = d.directory(root); err != nil {
		return nil, err
	}
	mounts, err := d.mounts()
	if err != nil {
		return nil, err
	}
	s.Mounts = append(s.Mounts, mounts...)
	s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
	return s, d.limits(s.Linux.Resources)
}

// doCapabilities are all: in a sandbox they are the Sentry's to grant and reach no host.
func doCapabilities() *specs.LinuxCapabilities {
	if os.Geteuid() != 0 {
		return nil
	}
	return &specs.LinuxCapabilities{Bounding: spec.Capabilities, Effective: spec.Capabilities, Permitted: spec.Capabilities}
}

func (d *doFlags) wantTTY() (bool, error) {
	switch d.tty {
	case "yes":
		return true, nil
	case "no":
		return false, nil
	case "auto":
		return isTTY(os.Stdin) && isTTY(os.Stdout), nil
	}
	return false, fmt.Errorf("--tty %q: want auto, yes or no", d.tty)
}

func isTTY(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// environment is a plain one: what the caller has may hold secrets.
func (d *doFlags) environment(tty bool) []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	for _, name := range []string{"HOME", "LANG", "LC_ALL", "USER", "LOGNAME"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	if v, ok := os.LookupEnv("TERM"); ok && tty {
		env = append(env, "TERM="+v)
	}
	for _, e := range d.env {
		if !strings.Contains(e, "=") {
			v, ok := os.LookupEnv(e)
			if !ok {
				continue
			}
			e += "=" + v
		}
		env = append(env, e)
	}
	return env
}

// directory is --cwd, or ours when it is part of the root.
func (d *doFlags) directory(root string) (string, error) {
	if d.cwd != "" {
		return d.cwd, nil
	}
	if root != "/" {
		return "/", nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the current directory (give one with --cwd): %w", err)
	}
	return dir, nil
}

func (d *doFlags) mounts() ([]specs.Mount, error) {
	// A fresh /tmp: the host's may be large and is nobody's business.
	list := []specs.Mount{{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "mode=1777"}}}
	if cwd, err := os.Getwd(); err == nil && d.cwd == "" && (cwd == "/tmp" || strings.HasPrefix(cwd, "/tmp/")) {
		// Unless it is where the caller works.
		list = nil
	}
	for _, v := range d.volumes {
		parts := strings.Split(v, ":")
		ro := len(parts) == 3 && parts[2] == "ro"
		if len(parts) < 2 || len(parts) > 3 || len(parts) == 3 && !ro && parts[2] != "rw" || !filepath.IsAbs(parts[1]) {
			return nil, fmt.Errorf("--volume %q: want host:/container or host:/container:ro", v)
		}
		src, err := filepath.Abs(parts[0])
		if err != nil {
			return nil, fmt.Errorf("--volume %q: %w", v, err)
		}
		m := specs.Mount{Destination: parts[1], Type: "bind", Source: src, Options: []string{"rbind", "rw"}}
		if ro {
			m.Options[1] = "ro"
		}
		list = append(list, m)
	}
	return list, nil
}

func (d *doFlags) limits(r *specs.LinuxResources) error {
	if d.memory != "" {
		n, err := parseBytes(d.memory)
		if err != nil {
			return fmt.Errorf("--memory: %w", err)
		}
		r.Memory = &specs.LinuxMemory{Limit: &n}
	}
	if d.pids != 0 {
		r.Pids = &specs.LinuxPids{Limit: &d.pids}
	}
	if d.cpus != 0 {
		period := uint64(100000)
		quota := int64(d.cpus * float64(period))
		if quota < 1000 {
			return errors.New("--cpus: want at least 0.01")
		}
		r.CPU = &specs.LinuxCPU{Period: &period, Quota: &quota}
	}
	return nil
}
