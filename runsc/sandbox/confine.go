package sandbox

import (
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"lazaret/runsc/seccomp"
	"lazaret/runsc/timeline"
)

// ReadBootConfig is the first thing that the Sentry does: it waits until it is in its
// cgroup and gets its configuration. On an error the process can only end.
func ReadBootConfig() (*BootConfig, error) {
	cfg := &BootConfig{}
	f, err := readConfig(cfg)
	if err != nil {
		return nil, err
	}
	closeOnExec(f)
	cfg.decodeSpec()
	nameProcess("lazaret-sentry")
	traceStart("sentry", cfg.TraceFD)
	cfg.tether = newTether(f)
	return cfg, nil
}

// traceStart begins to record this process for --trace-startup.
func traceStart(name string, fd int) {
	if fd == NoFD {
		timeline.Open(name, nil)
		return
	}
	unix.CloseOnExec(fd)
	timeline.Open(name, os.NewFile(uintptr(fd), "trace"))
	timeline.Mark("configuration read")
}

// Fail reports err to runsc as its one line and ends the process.
func (cfg *BootConfig) Fail(err error) { cfg.tether.fail(err) }

// Ready tells runsc that the sandbox is up.
func (cfg *BootConfig) Ready() error { return cfg.tether.ready() }

// ConfineSentry takes everything from this process that the Sentry does not need, but
// for system calls. The namespaces, the user mapping, the session and the donated files
// came with the clone; the rest is done here. Whatever the platform opens from files must
// be open already; stubs are started after it (they inherit its credentials) and before
// SealSentry. On an error the caller must end the process (BootConfig.Fail).
func ConfineSentry(cfg *BootConfig) error {
	last := lastCap()
	t, err := openThreads()
	if err != nil {
		return err
	}
	defer t.close()
	if err := startNetpoll(); err != nil {
		return err
	}
	if err := setIDs(t, cfg.SetGroups); err != nil {
		return err
	}
	if err := hideHostname(); err != nil {
		return err
	}
	if err := enterEmptyRoot(nil); err != nil {
		return err
	}
	if err := limitResources(); err != nil {
		return err
	}
	if err := limitCaps(t, nil, last, usualSlackNS); err != nil {
		return err
	}
	if err := lockProcess(); err != nil {
		return err
	}
	cfg.tether.holdOn()
	return nil
}

// SealSentry is the last step: the seccomp filter of the platform, on every thread.
func SealSentry(cfg *BootConfig) error {
	filter, err := FilterFor(&cfg.Flags)
	if err != nil {
		return err
	}
	return installFilter(filter)
}

// FilterFor names the seccomp filter of the Sentry: its platform decides, and whether sockets
// are the host's.
func FilterFor(f *Flags) (string, error) {
	host := f.Network == HostNetwork
	switch strings.ToLower(f.Platform) {
	case "", "ptrace":
		if host {
			return seccomp.SentryPtraceHostNet, nil
		}
		return seccomp.SentryPtrace, nil
	case "trap":
		if host {
			return seccomp.SentryTrapHostNet, nil
		}
		return seccomp.SentryTrap, nil
	}
	return "", fmt.Errorf("platform %q: not known (trap and ptrace are)", f.Platform)
}

func installFilter(name string) error {
	if err := seccomp.Install(name); err != nil {
		return fmt.Errorf("install the seccomp filter %q: %w", name, err)
	}
	return nil
}

// startNetpoll makes the Go runtime open its epoll descriptor, which it could not later.
func startNetpoll() error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start the poller: %w", err)
	}
	_ = r.Close()
	return w.Close()
}

// setIDs makes this process user and group 0 of its user namespace, in every thread.
func setIDs(t *threads, setGroups bool) error {
	calls := []threadCall{{nr: unix.SYS_SETRESGID}, {nr: unix.SYS_SETRESUID}}
	want := []string{"Uid:\t0\t0\t0\t0", "Gid:\t0\t0\t0\t0"}
	if setGroups {
		calls = append([]threadCall{{nr: unix.SYS_SETGROUPS}}, calls...)
		want = append(want, "Groups:\t ")
	}
	if err := t.do(calls, want...); err != nil {
		return fmt.Errorf("change the user: %w", err)
	}
	return nil
}

// hideHostname replaces the host's names in the new uts namespace: uname is allowed.
func hideHostname() error {
	if err := unix.Sethostname([]byte("sandbox")); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	if err := unix.Setdomainname(nil); err != nil {
		return fmt.Errorf("set domain name: %w", err)
	}
	return nil
}

// limitResources forbids core files, which would hold the memory of applications, and
// locked memory.
func limitResources() error {
	for _, l := range []struct {
		what string
		res  int
	}{{"core", unix.RLIMIT_CORE}, {"memlock", unix.RLIMIT_MEMLOCK}, {"msgqueue", unix.RLIMIT_MSGQUEUE}} {
		if err := syscall.Setrlimit(l.res, &syscall.Rlimit{}); err != nil {
			return fmt.Errorf("set limit %s: %w", l.what, err)
		}
	}
	return nil
}

// lockProcess forbids looks into this process from others of its user.
func lockProcess() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("set dumpable off: %w", err)
	}
	return verifyConfined()
}

// closeOnExec marks a donated file; nothing is executed later, but a mistake must not leak.
func closeOnExec(f *os.File) { unix.CloseOnExec(int(f.Fd())) }
