package seccomp

import (
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// maxSentryCalls is the target: the incumbent's default allows 96.
const maxSentryCalls = 60

func TestSentryCallCount(t *testing.T) {
	f, ok := Lookup(SentryPtrace)
	if !ok {
		t.Fatal("no filter")
	}
	for _, arch := range Architectures {
		calls := f.Calls(arch)
		t.Logf("%s: %d calls: %s", arch, len(calls), strings.Join(calls, " "))
		if len(calls) > maxSentryCalls {
			t.Errorf("%s: %d host calls, want at most %d", arch, len(calls), maxSentryCalls)
		}
	}
}

// TestNeverAllowed names what would break the design, whatever the arguments.
func TestNeverAllowed(t *testing.T) {
	never := map[string][]string{
		SentryPtrace: {"open", "openat", "openat2", "creat", "socket", "socketpair", "connect", "bind",
			"listen", "execve", "execveat", "fork", "vfork", "clone3", "mount", "umount2", "setns", "unshare",
			"chroot", "pivot_root", "open_by_handle_at", "process_vm_readv", "process_vm_writev", "bpf",
			"perf_event_open", "userfaultfd", "io_uring_setup", "keyctl", "kill", "pidfd_open", "pidfd_getfd",
			"seccomp", "memfd_create", "arch_prctl", "modify_ldt", "personality", KillCall},
		SentryTrap: {"open", "openat", "openat2", "creat", "socket", "socketpair", "connect", "bind",
			"listen", "execve", "execveat", "fork", "vfork", "clone3", "mount", "umount2", "setns", "unshare",
			"chroot", "pivot_root", "open_by_handle_at", "process_vm_readv", "process_vm_writev", "bpf", "ptrace",
			"perf_event_open", "userfaultfd", "io_uring_setup", "keyctl", "kill", "pidfd_open", "pidfd_getfd",
			"seccomp", "memfd_create", "eventfd2", "arch_prctl", "modify_ldt", "personality", KillCall},
		GoferFiles: {"open", "openat", "socket", "connect", "bind", "execve", "execveat", "ptrace", "mount",
			"umount2", "setns", "unshare", "chroot", "pivot_root", "open_by_handle_at", "process_vm_readv", "bpf",
			"perf_event_open", "userfaultfd", "io_uring_setup", "keyctl", "kill", "mprotect", "capset", KillCall},
		SentryTrapHostNet: {"open", "openat", "openat2", "creat", "socketpair", "execve", "execveat", "fork", "vfork", "clone3", "mount",
			"setns", "unshare", "bpf", "ptrace", "recvmmsg", "sendmmsg", "sendto", "recvfrom", "io_uring_setup", "kill", "pidfd_getfd", KillCall},
		NetProxy: {"open", "openat", "openat2", "creat", "bind", "listen", "socketpair", "execve", "execveat", "fork", "vfork", "clone3", "ptrace",
			"mount", "umount2", "setns", "unshare", "chroot", "pivot_root", "open_by_handle_at", "process_vm_readv", "bpf", "ioctl",
			"sendmmsg", "recvmmsg", "perf_event_open", "userfaultfd", "io_uring_setup", "keyctl", "kill", "mprotect", "capset", KillCall},
		GoferUDS: {"open", "openat", "execve", "ptrace", "mount", "setns", "kill", "open_by_handle_at", KillCall},
	}
	for name, calls := range never {
		f, _ := Lookup(name)
		for _, arch := range Architectures {
			for _, c := range f.Calls(arch) {
				if slices.Contains(calls, c) {
					t.Errorf("%s/%s allows %s", name, arch, c)
				}
			}
		}
	}
}

func TestRules(t *testing.T) {
	for _, f := range Filters {
		for _, arch := range Architectures {
			rules := f.Rules(arch)
			for i, r := range rules {
				if len(r.Reason) < 5 {
					t.Errorf("%s/%s: rule %d (%s) has no reason", f.Name, arch, i, r.Call)
				}
				for _, c := range r.Args {
					if len(c.Values) == 0 || c.Arg > 5 {
						t.Errorf("%s/%s: rule %d (%s): condition %+v", f.Name, arch, i, r.Call, c)
					}
				}
				for _, o := range rules[i+1:] {
					if o.Call == r.Call && overlap(r.Args, o.Args) {
						t.Errorf("%s/%s: two rules for %s overlap", f.Name, arch, r.Call)
					}
				}
			}
		}
	}
}

// overlap says whether some arguments satisfy both lists. Two rules are apart if, for
// one argument, no value satisfies both conditions.
func overlap(a, b []Cond) bool {
	for _, x := range a {
		for _, y := range b {
			if x.Arg == y.Arg && apart(x, y) {
				return false
			}
		}
	}
	return true
}

// apart is decided for conditions that list values, by trying them.
func apart(x, y Cond) bool {
	for _, v := range x.Values {
		if y.holds(v) {
			return false
		}
	}
	for _, v := range y.Values {
		if x.holds(v) {
			return false
		}
	}
	return x.Op == In && y.Op == In
}

var auditArch = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

// archFilter reads the compiled filter and the call numbers of any architecture.
func archFilter(t *testing.T, name, arch string) ([]unix.SockFilter, map[string]uint32) {
	t.Helper()
	data, err := os.ReadFile(name + "_" + arch + ".bpf")
	if err != nil {
		t.Fatal(err)
	}
	var prog []unix.SockFilter
	for d := data; len(d) >= sockFilterLen; d = d[sockFilterLen:] {
		prog = append(prog, unix.SockFilter{Code: binary.LittleEndian.Uint16(d), Jt: d[2], Jf: d[3],
			K: binary.LittleEndian.Uint32(d[4:])})
	}
	text, err := os.ReadFile("names_" + arch + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]uint32{}
	for i, n := range strings.Split(string(text), "\n") {
		if n != "" {
			numbers[n] = uint32(i)
		}
	}
	return prog, numbers
}

// TestCompiledMatchesRules runs the compiled filters: what a rule allows is allowed, one
// condition off and it traps, unlisted numbers trap, other architectures kill.
func TestCompiledMatchesRules(t *testing.T) {
	for _, f := range Filters {
		for _, arch := range Architectures {
			t.Run(f.Name+"/"+arch, func(t *testing.T) { checkCompiled(t, f, arch) })
		}
	}
}

func checkCompiled(t *testing.T, f Filter, arch string) {
	prog, numbers := archFilter(t, f.Name, arch)
	rules := f.Rules(arch)
	allowed := map[uint32]bool{}
	for _, r := range rules {
		nr, ok := numbers[r.Call]
		if !ok {
			t.Errorf("%s has no number on %s", r.Call, arch)
			continue
		}
		allowed[nr] = true
		d := satisfying(r, nr, auditArch[arch])
		if got := run(t, prog, d); got != unix.SECCOMP_RET_ALLOW {
			t.Errorf("%s %#x: %#x, want allow", r.Call, d.args, got)
		}
		for _, c := range r.Args {
			bad := *d
			bad.args[c.Arg] = violating(c)
			want := uint32(unix.SECCOMP_RET_TRAP)
			if anyRule(rules, r.Call, bad.args) {
				want = unix.SECCOMP_RET_ALLOW
			}
			if got := run(t, prog, &bad); got != want {
				t.Errorf("%s %#x: %#x, want %#x", r.Call, bad.args, got, want)
			}
		}
	}
	for nr := range uint32(1024) {
		want := uint32(unix.SECCOMP_RET_TRAP)
		if nr == numbers[KillCall] {
			want = unix.SECCOMP_RET_KILL_PROCESS
		}
		if allowed[nr] {
			continue
		}
		if got := run(t, prog, &seccompData{nr: nr, arch: auditArch[arch]}); got != want {
			t.Errorf("call %d: %#x, want %#x", nr, got, want)
		}
	}
	for _, other := range []uint32{unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_ARM, 0} {
		if got := run(t, prog, &seccompData{arch: other}); got != unix.SECCOMP_RET_KILL_PROCESS {
			t.Errorf("architecture %#x: %#x, want kill", other, got)
		}
	}
}

func anyRule(rules []Rule, call string, args [6]uint64) bool {
	return slices.ContainsFunc(rules, func(r Rule) bool {
		return r.Call == call && r.Allows(args)
	})
}

func satisfying(r Rule, nr, arch uint32) *seccompData {
	d := &seccompData{nr: nr, arch: arch}
	for _, c := range r.Args {
		d.args[c.Arg] = c.Values[0]
		if c.Op == NotEq {
			d.args[c.Arg] = c.Values[0] + 1
		}
	}
	return d
}

// violating finds a value for which c does not hold.
func violating(c Cond) uint64 {
	for _, v := range []uint64{0xdeadbeef, 0xdeadbeefdeadbeef, 1 << 63, c.Values[0]} {
		if !c.holds(v) {
			return v
		}
	}
	return ^uint64(0)
}

func TestLoadRefusesUnknown(t *testing.T) {
	if _, err := load("no-such-filter"); err == nil {
		t.Error("an unknown filter was loaded")
	}
	for _, f := range Filters {
		if _, err := load(f.Name); err != nil {
			t.Error(err)
		}
	}
}
