package spec

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Capabilities are Linux's, in the order of their numbers.
var Capabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
	"CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
	"CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
	"CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
}

// rlimits are the resources of getrlimit(2).
var rlimits = []string{
	"RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_LOCKS", "RLIMIT_MEMLOCK",
	"RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_RSS", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
	"RLIMIT_SIGPENDING", "RLIMIT_STACK",
}

// checkProcess checks a process object; nil is refused because every command of ours
// goes on to start it.
func checkProcess(c *checker, field string, p *specs.Process) *FieldError {
	if p == nil {
		return &FieldError{Field: field, Why: "is missing", Do: "say what to run"}
	}
	bad := func(name, why, do string) *FieldError {
		return &FieldError{Field: field + "." + name, Why: why, Do: do}
	}
	switch {
	case len(p.Args) == 0 || p.Args[0] == "":
		return bad("args", "must not be empty", "give the program and its arguments")
	case p.Cwd == "":
		return bad("cwd", "must not be empty", "give an absolute path such as /")
	case !filepath.IsAbs(p.Cwd):
		return bad("cwd", fmt.Sprintf("%q is not an absolute path", clip(p.Cwd)), "")
	case p.SelinuxLabel != "":
		return bad("selinuxLabel", "SELinux labels are not supported in a sandbox", "remove it or turn SELinux off in the engine")
	case p.OOMScoreAdj != nil && (*p.OOMScoreAdj < -1000 || *p.OOMScoreAdj > 1000):
		return bad("oomScoreAdj", fmt.Sprintf("%d is not between -1000 and 1000", *p.OOMScoreAdj), "")
	case p.User.Umask != nil && *p.User.Umask > 0o777:
		return bad("user.umask", fmt.Sprintf("%#o is more than 0777", *p.User.Umask), "")
	case p.Scheduler != nil && p.Scheduler.Policy != "" && p.Scheduler.Policy != specs.SchedOther:
		return bad("scheduler.policy", fmt.Sprintf("%q is not supported, applications run as SCHED_OTHER", clip(string(p.Scheduler.Policy))), "remove it")
	case p.ConsoleSize != nil && (p.ConsoleSize.Height > 65535 || p.ConsoleSize.Width > 65535):
		return bad("consoleSize", "is more than 65535 rows or columns", "")
	}
	if p.ApparmorProfile != "" && p.ApparmorProfile != "unconfined" {
		c.warn(field+".apparmorProfile", "AppArmor does not reach into a sandbox; the profile has no effect")
	}
	if p.IOPriority != nil {
		c.warn(field+".ioPriority", "has no effect in a sandbox")
	}
	if p.ExecCPUAffinity != nil {
		c.warn(field+".execCPUAffinity", "has no effect in a sandbox")
	}
	if ferr := checkStrings(field, p); ferr != nil {
		return ferr
	}
	if ferr := checkRlimits(field, p.Rlimits); ferr != nil {
		return ferr
	}
	return checkCapabilities(c, field, p.Capabilities)
}

func checkStrings(field string, p *specs.Process) *FieldError {
	for i, a := range p.Args {
		if strings.ContainsRune(a, 0) {
			return &FieldError{Field: fmt.Sprintf("%s.args[%d]", field, i), Why: "contains a NUL byte"}
		}
	}
	for i, e := range p.Env {
		name := fmt.Sprintf("%s.env[%d]", field, i)
		if strings.ContainsRune(e, 0) {
			return &FieldError{Field: name, Why: "contains a NUL byte"}
		}
		if k, _, ok := strings.Cut(e, "="); !ok || k == "" {
			return &FieldError{Field: name, Why: fmt.Sprintf("%q is not NAME=value", clip(e))}
		}
	}
	if strings.ContainsRune(p.Cwd, 0) {
		return &FieldError{Field: field + ".cwd", Why: "contains a NUL byte"}
	}
	return nil
}

func checkRlimits(field string, limits []specs.POSIXRlimit) *FieldError {
	var seen []string
	for i, l := range limits {
		name := fmt.Sprintf("%s.rlimits[%d]", field, i)
		switch {
		case !slices.Contains(rlimits, l.Type):
			return &FieldError{Field: name + ".type", Why: fmt.Sprintf("unknown resource %q", clip(l.Type))}
		case slices.Contains(seen, l.Type):
			return &FieldError{Field: name + ".type", Why: l.Type + " is given twice"}
		case l.Soft > l.Hard:
			return &FieldError{Field: name, Why: fmt.Sprintf("%s: soft limit %d is above the hard limit %d", l.Type, l.Soft, l.Hard)}
		}
		seen = append(seen, l.Type)
	}
	return nil
}

// checkCapabilities warns of unknown names, as runc does: engines newer than we are name
// capabilities that we do not know, and not to have them is safe.
func checkCapabilities(c *checker, field string, caps *specs.LinuxCapabilities) *FieldError {
	if caps == nil {
		return nil
	}
	for _, set := range []struct {
		name string
		caps []string
	}{
		{"bounding", caps.Bounding}, {"effective", caps.Effective}, {"inheritable", caps.Inheritable},
		{"permitted", caps.Permitted}, {"ambient", caps.Ambient},
	} {
		for _, name := range set.caps {
			if !slices.Contains(Capabilities, name) {
				c.warn(field+".capabilities."+set.name, fmt.Sprintf("unknown capability %q is ignored", clip(name)))
			}
		}
	}
	return nil
}
