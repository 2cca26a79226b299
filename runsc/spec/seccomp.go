package spec

import (
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// What the Sentry's own seccomp understands.
var (
	SeccompActions = []string{"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
		"SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"}
	SeccompOperators = []string{"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
		"SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"}
	SeccompFlags = []string{"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"}
)

// SeccompArchs are the architectures that a profile may name; those that a sandbox cannot
// run have no effect.
var SeccompArchs = []string{"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"}

func checkSeccomp(c *checker) *FieldError {
	s := c.spec.Linux.Seccomp
	if s == nil {
		return nil
	}
	if ferr := checkAction("linux.seccomp.defaultAction", s.DefaultAction); ferr != nil {
		return ferr
	}
	if ferr := checkErrno("linux.seccomp.defaultErrnoRet", s.DefaultAction, s.DefaultErrnoRet); ferr != nil {
		return ferr
	}
	if s.ListenerPath != "" {
		return &FieldError{Field: "linux.seccomp.listenerPath", Why: "user notification is not supported", Do: "remove it"}
	}
	for i, f := range s.Flags {
		if !slices.Contains(SeccompFlags, string(f)) {
			return &FieldError{Field: fmt.Sprintf("linux.seccomp.flags[%d]", i), Why: fmt.Sprintf("%q is not supported", clip(string(f)))}
		}
	}
	for i := range s.Syscalls {
		call := &s.Syscalls[i]
		field := fmt.Sprintf("linux.seccomp.syscalls[%d]", i)
		if ferr := checkAction(field+".action", call.Action); ferr != nil {
			return ferr
		}
		if ferr := checkErrno(field+".errnoRet", call.Action, call.ErrnoRet); ferr != nil {
			return ferr
		}
		if len(call.Names) == 0 {
			return &FieldError{Field: field + ".names", Why: "must not be empty"}
		}
		for j, a := range call.Args {
			name := fmt.Sprintf("%s.args[%d]", field, j)
			if a.Index > 5 {
				return &FieldError{Field: name + ".index", Why: fmt.Sprintf("%d: a system call has arguments 0 to 5", a.Index)}
			}
			if !slices.Contains(SeccompOperators, string(a.Op)) {
				return &FieldError{Field: name + ".op", Why: fmt.Sprintf("unknown operator %q", clip(string(a.Op)))}
			}
		}
	}
	return nil
}

func checkAction(field string, a specs.LinuxSeccompAction) *FieldError {
	if slices.Contains(SeccompActions, string(a)) {
		return nil
	}
	if a == specs.ActNotify {
		return &FieldError{Field: field, Why: "SCMP_ACT_NOTIFY is not supported", Do: "use SCMP_ACT_ERRNO"}
	}
	return &FieldError{Field: field, Why: fmt.Sprintf("unknown action %q", clip(string(a)))}
}

// checkErrno refuses a number for an action that returns none.
func checkErrno(field string, a specs.LinuxSeccompAction, errno *uint) *FieldError {
	if errno == nil || a == specs.ActErrno || a == specs.ActTrace {
		return nil
	}
	return &FieldError{Field: field, Why: fmt.Sprintf("%s returns no errno", clip(string(a))), Do: "remove it"}
}
