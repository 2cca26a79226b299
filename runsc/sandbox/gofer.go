package sandbox

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"lazaret/runsc/seccomp"
	"lazaret/runsc/timeline"
)

// GoferTreeDir is where the trees are in a Gofer's root, by the name of their Attach.
// There is nothing else in it.
const GoferTreeDir = "/trees"

// Service is what a Gofer does once it is confined.
type Service interface {
	// Open opens what the service needs before the seccomp filter is there.
	Open(cfg *GoferConfig) error

	// Serve answers requests on cfg.ConnFD until it is closed.
	Serve(cfg *GoferConfig) error
}

// treeFile is the name of a file that is bound alone.
const treeFile = "file"

// TreePath is where a Gofer finds a tree: a directory, or a file in one of its own.
func (a *Attach) TreePath() string {
	if a.IsDir {
		return a.treeDir()
	}
	return a.treeDir() + "/" + treeFile
}

func (a *Attach) treeDir() string { return GoferTreeDir + "/" + a.Name }

// GoferMain is the whole life of a re-executed Gofer. It does not return.
func GoferMain() { RunGofer(&fileService{}) }

// RunGofer is GoferMain with another service; for tests.
func RunGofer(service Service) {
	cfg := &GoferConfig{}
	f, err := readConfig(cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gofer:", err)
		os.Exit(1)
	}
	closeOnExec(f)
	nameProcess("lazaret-gofer")
	traceStart("gofer", cfg.TraceFD)
	t := newTether(f)
	unix.CloseOnExec(cfg.ConnFD)
	unix.CloseOnExec(cfg.SentryFD)
	watchSentry(cfg.SentryFD)
	if err := confineGofer(cfg, t, service); err != nil {
		t.fail(err)
	}
	timeline.Mark("ready")
	if err := t.ready(); err != nil {
		t.fail(err)
	}
	Settle()
	if err := service.Serve(cfg); err != nil {
		fmt.Fprintln(os.Stderr, "gofer:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// watchSentry ends this process with the Sentry, even when it is busy with a request.
func watchSentry(pidFD int) {
	go func() {
		fds := []unix.PollFd{{Fd: int32(pidFD), Events: unix.POLLIN}}
		for {
			if n, err := unix.Poll(fds, -1); err == unix.EINTR || (err == nil && n == 0) {
				continue
			}
			os.Exit(0)
		}
	}()
}

// openMounts opens the list of this process's mounts if the host's can spread into a tree.
func (cfg *GoferConfig) openMounts() error {
	if !slices.ContainsFunc(cfg.Trees, func(t Tree) bool { return t.Slave }) {
		return nil
	}
	fd, err := unix.Open("/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	cfg.mounts = fd
	return nil
}

// confineGofer leaves this process the trees, the connection and what file ownership
// needs.
func confineGofer(cfg *GoferConfig, t *tether, service Service) error {
	last := lastCap()
	all, err := openThreads()
	if err != nil {
		return err
	}
	defer all.close()
	if err := startNetpoll(); err != nil {
		return err
	}
	if cfg.InUserNS || cfg.SetGroups {
		if err := setIDs(all, cfg.SetGroups); err != nil {
			return err
		}
	}
	if err := hideHostname(); err != nil {
		return err
	}
	if err := cfg.openMounts(); err != nil {
		return err
	}
	trees := newTreeSet(cfg.Trees)
	timeline.Mark("ids set")
	if err := enterEmptyRoot(trees); err != nil {
		return err
	}
	timeline.Mark("trees mounted")
	// The modes of new files are the Sentry's to choose.
	unix.Umask(0)
	if err := limitResources(); err != nil {
		return err
	}
	if err := limitCaps(all, goferCapList, last, earlySlackNS); err != nil {
		return err
	}
	if err := lockProcess(); err != nil {
		return err
	}
	timeline.Mark("capabilities dropped")
	if err := service.Open(cfg); err != nil {
		return err
	}
	t.holdOn()
	filter := seccomp.GoferFiles
	if cfg.HostUDS {
		filter = seccomp.GoferUDS
	}
	return installFilter(filter)
}
