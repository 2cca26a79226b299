package cmd

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"lazaret/runsc/cgroup"
)

// finding is a line of doctor.
type finding struct {
	what string
	ok   bool
	must bool // without it nothing runs
	text string
	do   string // when not ok
}

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "what this host supports, and what to do where it does not", Args: exactArgs(0),
		RunE: func(*cobra.Command, []string) error {
			w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
			bad := false
			for _, f := range a.examine() {
				mark := "ok"
				if !f.ok {
					mark = "missing"
					if f.must {
						mark, bad = "FAIL", true
					}
				}
				fmt.Fprintf(w, "%s\t%s\t%s\n", mark, f.what, f.text)
				if !f.ok && f.do != "" {
					fmt.Fprintf(w, "\t\t-> %s\n", f.do)
				}
			}
			if err := w.Flush(); err != nil {
				return err
			}
			if bad {
				return &exitError{code: 1}
			}
			return nil
		},
	}
}

func (a *app) examine() []finding {
	var uts unix.Utsname
	_ = unix.Uname(&uts)
	list := []finding{
		{"kernel", true, true, unix.ByteSliceToString(uts.Release[:]) + " " + runtime.GOARCH, ""},
		{"caller", true, false, fmt.Sprintf("uid %d%s", os.Geteuid(), map[bool]string{true: ", rootless"}[a.isRootless()]), ""},
	}
	list = append(list, namespaces()...)
	list = append(list, userNamespace(), ptracePlatform(), trapPlatform(), seccompMode(), kvmDevice())
	list = append(list, cgroups(), openat2(), pidfd(), devPtmx(), a.stateDir())
	return list
}

func namespaces() []finding {
	var list []finding
	for _, ns := range []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"} {
		_, err := os.Stat("/proc/self/ns/" + ns)
		list = append(list, finding{"namespace " + ns, err == nil, true, "",
			"the kernel needs CONFIG_NAMESPACES and its parts; use a distribution kernel"})
	}
	return list
}

// userNamespace looks at the switches, which say why a clone would fail.
func userNamespace() finding {
	f := finding{what: "user namespaces may be made", ok: true, must: true}
	if readTrim("/proc/sys/user/max_user_namespaces") == "0" {
		f.ok, f.text, f.do = false, "user.max_user_namespaces is 0", "sysctl -w user.max_user_namespaces=10000"
		return f
	}
	if os.Geteuid() == 0 {
		return f
	}
	if readTrim("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
		f.ok, f.text, f.do = false, "kernel.unprivileged_userns_clone is 0", "sysctl -w kernel.unprivileged_userns_clone=1, or run as root"
	}
	if readTrim("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
		f.ok, f.text = false, "AppArmor restricts them"
		f.do = "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or run as root"
	}
	return f
}

// ptracePlatform looks at the platform that must work where trap does not. There is no
// process 0: where ptrace is permitted that is the answer.
func ptracePlatform() finding {
	return ptraceFinding(readTrim("/proc/sys/kernel/yama/ptrace_scope"), unix.PtraceCont(0, 0), !trapPlatform().ok)
}

func ptraceFinding(scope string, probe error, must bool) finding {
	f := finding{what: "platform ptrace", ok: true, must: must, text: "usable"}
	switch {
	case scope == "3":
		f.ok, f.text, f.do = false, "kernel.yama.ptrace_scope is 3", "set it to 0, 1 or 2 at boot; 3 cannot be undone before a restart"
	case probe != nil && probe != unix.ESRCH:
		f.ok, f.text, f.do = false, probe.Error(), "allow ptrace in the seccomp filter or security module that runsc runs under"
	}
	return f
}

// trapPlatform looks at what the trap platform needs; without it ptrace is used.
func trapPlatform() finding {
	f := finding{what: "platform trap", ok: true, text: "usable"}
	if runtime.GOARCH != "amd64" {
		f.ok, f.text, f.do = false, "not built for "+runtime.GOARCH, "nothing: the ptrace platform is used instead"
	} else if !slices.Contains(strings.Fields(readTrim("/proc/sys/kernel/seccomp/actions_avail")), "trap") {
		f.ok, f.text, f.do = false, "seccomp has no action \"trap\"", "nothing: the ptrace platform is used instead"
	}
	return f
}

func seccompMode() finding {
	f := finding{what: "seccomp filters", ok: true, must: true, do: "the kernel needs CONFIG_SECCOMP_FILTER; use a distribution kernel"}
	actions := readTrim("/proc/sys/kernel/seccomp/actions_avail")
	f.text = actions
	if !strings.Contains(actions, "kill_process") {
		f.ok = false
	}
	return f
}

func kvmDevice() finding {
	f := finding{what: "/dev/kvm", text: "present (no platform uses it yet)"}
	fd, err := unix.Open("/dev/kvm", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		f.text, f.do = err.Error(), "nothing: the ptrace platform does not need it"
		return f
	}
	unix.Close(fd)
	f.ok = true
	return f
}

func cgroups() finding {
	f := finding{what: "control groups", ok: true}
	h, err := cgroup.Detect()
	if err != nil || h.Mode == cgroup.None {
		f.ok, f.text, f.do = false, "no hierarchy is mounted", "mount -t cgroup2 none /sys/fs/cgroup; without it limits are refused"
		return f
	}
	var names []string
	for name := range h.Mounts {
		if name != cgroup.Unified {
			names = append(names, name)
		}
	}
	if h.Mode == cgroup.V2 {
		names = strings.Fields(readTrim(h.Mounts[cgroup.Unified] + "/cgroup.controllers"))
	}
	f.text = fmt.Sprintf("%s (%s)", h.Mode, strings.Join(sortedNames(names), " "))
	for _, need := range []string{"memory", "cpu", "pids"} {
		if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+need+" ") {
			f.ok = false
			f.do = "enable the " + need + " controller; until then limits of it are refused"
		}
	}
	return f
}

func openat2() finding {
	f := finding{what: "openat2", must: true, do: "Linux 5.6 or newer is needed"}
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH})
	// Beneath the current directory "/" is out of bounds: EXDEV shows that it works.
	if err == nil {
		unix.Close(fd)
	}
	f.ok = err == nil || err == unix.EXDEV
	return f
}

func pidfd() finding {
	f := finding{what: "pidfd", must: true, do: "Linux 5.3 or newer is needed"}
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err == nil {
		unix.Close(fd)
		f.ok = true
	}
	return f
}

func devPtmx() finding {
	f := finding{what: "/dev/ptmx", do: "mount devpts; without it process.terminal fails"}
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		f.text = err.Error()
		return f
	}
	unix.Close(fd)
	f.ok = true
	return f
}

// stateDir looks without making it.
func (a *app) stateDir() finding {
	f := finding{what: "state directory " + a.root, ok: true, do: "choose another with --root"}
	dir := a.root
	for {
		err := unix.Access(dir, unix.W_OK)
		if err == unix.ENOENT && len(dir) > 1 {
			dir = dir[:max(strings.LastIndexByte(dir, '/'), 1)]
			continue
		}
		if err != nil {
			f.ok, f.text, f.must = false, dir+": "+err.Error(), true
		}
		return f
	}
}

func readTrim(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

func sortedNames(names []string) []string {
	slices.Sort(names)
	return names
}
