package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// ociCase is a bundle whose application looks at itself; runc and runsc must show it the
// same.
type ociCase struct {
	name   string
	edit   func(s *specs.Spec)
	script string
	stdin  string
	code   int
	want   string // when set, both must print it

	// onlyOurs says why runc cannot be asked.
	onlyOurs string

	// crun says what crun does otherwise.
	crun string
}

func ptr[T any](v T) *T { return &v }

// keep filters a script's output in the container.
func status(fields string) string {
	return "grep -E '^(" + fields + "):' /proc/self/status"
}

func mount(dst, typ, src string, opts ...string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: dst, Type: typ, Source: src, Options: opts})
	}
}

func all(edits ...func(*specs.Spec)) func(*specs.Spec) {
	return func(s *specs.Spec) {
		for _, e := range edits {
			e(s)
		}
	}
}

func user(uid, gid uint32, more ...uint32) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Process.User = specs.User{UID: uid, GID: gid, AdditionalGids: more} }
}

func seccomp(action specs.LinuxSeccompAction, rules ...specs.LinuxSyscall) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: action, Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86}, Syscalls: rules}
	}
}

func writable(s *specs.Spec) { s.Root.Readonly = false }

func devices(d ...specs.LinuxDevice) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Linux.Devices = append(s.Linux.Devices, d...) }
}

// ociCases; mountinfo lines are cut to what does not name the host.
var ociCases = []ociCase{
	{name: "exit 0", script: "exit 0"},
	{name: "exit 3", script: "echo out; echo err >&2; exit 3", code: 3, want: "out\n"},
	{name: "exit 255", script: "exit 255", code: 255},
	{name: "child killed", script: "sh -c 'kill -TERM $$'; echo $?; sh -c 'kill -SEGV $$'; echo $?", want: "143\n139\n"},
	{name: "init ignores itself", script: "kill -KILL $$; kill -TERM $$; echo alive", want: "alive\n"},
	{name: "stdin pipe", script: "cat; echo end", stdin: "one\ntwo\n", want: "one\ntwo\nend\n"},
	{name: "pid 1", script: "echo $$ $PPID", want: "1 0\n"},

	{name: "user", edit: user(1000, 1001, 10, 20), script: "id -u; id -g; id -G; " + status("Uid|Gid|Groups")},
	{name: "user without groups", edit: user(1000, 1001), script: "id -G; " + status("Groups")},
	{name: "umask", edit: func(s *specs.Spec) { s.Process.User.Umask = ptr(uint32(0o077)) }, script: "umask; touch /tmp/f; stat -c %a /tmp/f", want: "0077\n600\n"},
	{name: "default umask", script: "umask", want: "0022\n"},
	{name: "capabilities", script: status("Cap.*")},
	{name: "no capabilities", edit: func(s *specs.Spec) { s.Process.Capabilities = nil }, script: status("Cap.*")},
	{name: "capabilities of a user", edit: user(1000, 1000), script: status("Cap.*")},
	{name: "ambient", edit: all(user(1000, 1000), func(s *specs.Spec) {
		c := s.Process.Capabilities
		c.Inheritable, c.Ambient = []string{"CAP_KILL", "CAP_NET_BIND_SERVICE"}, []string{"CAP_KILL"}
	}), script: status("Cap.*")},
	{name: "capability works", edit: writable, script: "touch /tmp/f; chown 7:8 /tmp/f; stat -c %u:%g /tmp/f", want: "7:8\n"},
	{name: "capability is missing", edit: func(s *specs.Spec) { s.Process.Capabilities = &specs.LinuxCapabilities{} },
		script: "touch /tmp/f; chown 7:8 /tmp/f 2>/dev/null; echo $?; mount -t tmpfs x /mnt 2>/dev/null; echo $?"},
	{name: "noNewPrivileges", edit: func(s *specs.Spec) { s.Process.NoNewPrivileges = true }, script: status("NoNewPrivs"), want: "NoNewPrivs:\t1\n"},
	{name: "new privileges", script: status("NoNewPrivs"), want: "NoNewPrivs:\t0\n"},
	{name: "rlimits", edit: func(s *specs.Spec) {
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 100, Hard: 200}, {Type: "RLIMIT_CORE", Soft: 0, Hard: 4096},
			{Type: "RLIMIT_STACK", Soft: 1 << 22, Hard: 1 << 23}, {Type: "RLIMIT_FSIZE", Soft: 4096, Hard: 4096}}
	}, script: "ulimit -Sn; ulimit -Hn; grep -E 'open files|core|stack|file size' /proc/self/limits; trap '' XFSZ; dd if=/dev/zero of=/tmp/f bs=1k count=8 2>/dev/null; echo $?; stat -c %s /tmp/f"},
	{name: "oomScoreAdj", edit: func(s *specs.Spec) { s.Process.OOMScoreAdj = ptr(500) }, script: "cat /proc/self/oom_score_adj", want: "500\n"},
	{name: "cwd", edit: func(s *specs.Spec) { s.Process.Cwd = "/etc/dir" }, script: "pwd; cat file", want: "/etc/dir\nin\n"},
	{name: "env", edit: func(s *specs.Spec) {
		s.Process.Env = append(s.Process.Env, "A=1", "B=two words", "A=2", "EMPTY=")
		s.Process.Args = []string{"env"}
	}},
	{name: "home of root", edit: func(s *specs.Spec) { s.Process.Args = []string{"sh", "-c", "echo $HOME"} }, want: "/root\n"},
	{name: "home of a user", edit: all(user(1000, 1000), func(s *specs.Spec) { s.Process.Args = []string{"sh", "-c", "echo $HOME"} }), want: "/home/user\n"},
	{name: "home of nobody known", crun: "leaves HOME empty", edit: all(user(4242, 4242), func(s *specs.Spec) { s.Process.Args = []string{"sh", "-c", "echo $HOME"} }), want: "/\n"},
	{name: "hostname", script: "hostname; cat /proc/sys/kernel/hostname", want: "box\nbox\n"},
	{name: "path search", edit: func(s *specs.Spec) { s.Process.Args = []string{"echo", "found"} }, want: "found\n"},
	{name: "relative program", edit: func(s *specs.Spec) { s.Process.Cwd = "/bin"; s.Process.Args = []string{"./echo", "found"} }, want: "found\n"},
	{name: "absolute program", edit: func(s *specs.Spec) { s.Process.Args = []string{"/bin/echo", "found"} }, want: "found\n"},
	{name: "argv0", edit: func(s *specs.Spec) { s.Process.Args = []string{"/bin/busybox", "printf", "%s|", "a b", "", "c"} }, want: "a b||c|"},
	{name: "not a tty", script: "tty; test -t 0; echo $?", want: "not a tty\n1\n"},
	{name: "open files", script: "ls /proc/self/fd"},
	{name: "argument list", edit: func(s *specs.Spec) {
		s.Process.Args = []string{"sh", "-c", "tr '\\0' '\\n' < /proc/1/cmdline | tail -2", "zero", "one"}
	}, want: "zero\none\n"},

	{name: "sysctl", edit: func(s *specs.Spec) {
		s.Linux.Sysctl = map[string]string{"kernel.msgmax": "4321", "kernel.shm_rmid_forced": "1", "net.ipv4.ip_forward": "1"}
	}, script: "cat /proc/sys/kernel/msgmax /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_forward", want: "4321\n1\n1\n"},
	{name: "forwarding needs a capability", script: "cd /proc/sys/net/ipv4; for f in ip_forward conf/all/forwarding ip_default_ttl; do cat $f >/tmp/v; cat /tmp/v >$f; echo $?; done 2>/dev/null", want: "1\n1\n0\n"},
	{name: "mode of the root", script: "stat -c '%a %u:%g' /"},
	{name: "read-only root", script: "touch /x 2>&1; echo $?; mkdir /d 2>&1; rm /etc/data 2>&1; touch /tmp/ok && echo ok"},
	{name: "masked paths", edit: func(s *specs.Spec) {
		s.Linux.MaskedPaths = []string{"/etc/data", "/etc/dir", "/proc/timer_list", "/nowhere"}
	},
		script: "cat /etc/data; ls -A /etc/dir; cat /proc/timer_list; touch /etc/dir/x 2>&1; stat -c %F /etc/data"},
	{name: "read-only paths", edit: all(writable, mount("/ro", "tmpfs", "tmpfs"), func(s *specs.Spec) { s.Linux.ReadonlyPaths = []string{"/ro", "/proc/sys", "/nowhere"} }),
		script: "touch /ro/x 2>&1; echo 1 > /proc/sys/kernel/msgmax; echo $?; cat /ro/x 2>/dev/null; echo $?"},
	{name: "mount options", edit: all(writable, mount("/m", "tmpfs", "src", "nosuid", "nodev", "noexec", "ro", "size=1m", "mode=700")),
		script: "awk '$5 == \"/m\" { print $6, $(NF-2), $(NF-1) }' /proc/self/mountinfo; stat -c %a /m; touch /m/x 2>&1; exit 0"},
	{name: "mount flags", edit: all(writable, mount("/m1", "tmpfs", "a", "noatime"), mount("/m2", "tmpfs", "b", "strictatime"), mount("/m3", "tmpfs", "c", "nodiratime"), mount("/m4", "tmpfs", "d", "sync")),
		script: "awk '$5 ~ \"^/m[1-4]\" { print $5, $6 }' /proc/self/mountinfo"},
	{name: "noexec", edit: all(writable, mount("/m", "tmpfs", "m", "noexec")), script: "cp /bin/busybox /m/echo; /m/echo hi 2>/dev/null; echo $?", want: "126\n"},
	{name: "full tmpfs", edit: all(writable, mount("/m", "tmpfs", "m", "size=64k")), script: "dd if=/dev/zero of=/m/f bs=1k count=100 2>/dev/null; echo $?; stat -c %s /m/f; rm /m/f; dd if=/dev/zero of=/m/f bs=1k count=32 2>/dev/null; echo $?"},
	{name: "order of mounts", edit: all(writable, mount("/m", "tmpfs", "one"), mount("/m/sub", "tmpfs", "two"), mount("/m", "tmpfs", "three")),
		script: "ls -A /m; awk '$5 ~ \"^/m\" { print $5, $(NF-1) }' /proc/self/mountinfo"},
	{name: "mounts", script: "awk '{ print $5, $6, $(NF-2), $(NF-1) }' /proc/self/mountinfo | grep -v '^/ '"},
	{name: "root mount", script: "awk '$5 == \"/\" { print $6 }' /proc/self/mountinfo | cut -d, -f1", want: "ro\n"},

	{name: "bind of a file", edit: all(writable, mount("/etc/new", "bind", "/etc/hostname", "bind", "ro")), script: "stat -c %F /etc/new; echo x 2>/dev/null >/etc/new || echo read-only", want: "regular file\nread-only\n"},
	{name: "relative destination", edit: all(writable, mount("m", "tmpfs", "src")), script: "awk '$5 == \"/m\" { print $(NF-1) }' /proc/self/mountinfo", want: "src\n"},
	{name: "mqueue", edit: mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"), script: "awk '$5 == \"/dev/mqueue\" { print $6, $(NF-2), $(NF-1) }' /proc/self/mountinfo; stat -c %a /dev/mqueue"},
	{name: "private root", edit: func(s *specs.Spec) { s.Linux.RootfsPropagation = "private" }, script: "awk '$5 == \"/\" { print NF }' /proc/self/mountinfo", want: "10\n"},
	{name: "working directory is made", edit: func(s *specs.Spec) { s.Process.Cwd = "/tmp/new/deep" }, script: "pwd; stat -c %a .", want: "/tmp/new/deep\n755\n"},
	{name: "domain name", edit: func(s *specs.Spec) { s.Domainname = "example.org" }, onlyOurs: "runc 1.1 does not know it", script: "cat /proc/sys/kernel/domainname", want: "example.org\n"},

	{name: "devices", script: "for d in null zero full random urandom tty; do stat -c '%n %F %t:%T %a' /dev/$d; done; for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done"},
	{name: "devices work", script: "echo x > /dev/null; head -c 4 /dev/zero | od -An -tx1; echo x > /dev/full; echo $?; head -c 8 /dev/urandom | wc -c"},
	{name: "device of the spec", edit: devices(specs.LinuxDevice{Path: "/dev/mine", Type: "c", Major: 1, Minor: 5, FileMode: ptr(os.FileMode(0o640)), UID: ptr(uint32(3)), GID: ptr(uint32(4))},
		specs.LinuxDevice{Path: "/dev/pipe", Type: "p", FileMode: ptr(os.FileMode(0o600))}),
		script: "stat -c '%F %t:%T %a %u:%g' /dev/mine; head -c 2 /dev/mine | od -An -tx1; stat -c '%F %a' /dev/pipe"},

	{name: "seccomp errno", edit: seccomp(specs.ActAllow, specs.LinuxSyscall{Names: []string{"mkdir", "mkdirat"}, Action: specs.ActErrno}),
		script: "mkdir /tmp/d 2>&1; echo $?; touch /tmp/f; echo $?"},
	{name: "seccomp errno number", edit: seccomp(specs.ActAllow, specs.LinuxSyscall{Names: []string{"mkdir", "mkdirat"}, Action: specs.ActErrno, ErrnoRet: ptr(uint(28))}),
		script: "mkdir /tmp/d 2>&1; echo $?"},
	{name: "seccomp kill", edit: seccomp(specs.ActAllow, specs.LinuxSyscall{Names: []string{"mkdir", "mkdirat"}, Action: specs.ActKillProcess}),
		script: "sh -c 'mkdir /tmp/d' ; echo $?; " + status("Seccomp"), want: "159\nSeccomp:\t2\n"},
	{name: "seccomp kills init", edit: seccomp(specs.ActAllow, specs.LinuxSyscall{Names: []string{"chdir"}, Action: specs.ActKillProcess, Args: []specs.LinuxSeccompArg{}}),
		script: "cd /tmp; echo no", onlyOurs: "runc's own init calls chdir under the filter", code: 159},
	{name: "seccomp argument", edit: seccomp(specs.ActAllow, specs.LinuxSyscall{Names: []string{"kill"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Index: 1, Value: 10, Op: specs.OpEqualTo}}}),
		script: "trap 'echo 12' USR2; trap 'echo 10' USR1; kill -USR2 $$; kill -USR1 $$; echo $?"},
	{name: "seccomp masked argument", edit: seccomp(specs.ActAllow, specs.LinuxSyscall{Names: []string{"fchmodat", "chmod"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Index: 1, Value: 0o4000, ValueTwo: 0o4000, Op: specs.OpMaskedEqual}}}),
		script: "touch /tmp/f; chmod 755 /tmp/f; echo $?; chmod 4755 /tmp/f 2>/dev/null; echo $?"},
	{name: "seccomp below", edit: seccomp(specs.ActAllow, specs.LinuxSyscall{Names: []string{"kill"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Index: 1, Value: 11, Op: specs.OpLessThan}, {Index: 1, Value: 14, Op: specs.OpGreaterThan}}}),
		script: "trap '' USR1 USR2 TERM; kill -USR1 $$ 2>/dev/null; echo $?; kill -USR2 $$; echo $?; kill -TERM $$ 2>/dev/null; echo $?"},
	{name: "seccomp allow list", edit: seccomp(specs.ActErrno, specs.LinuxSyscall{Names: []string{"no_such_call"}, Action: specs.ActAllow}), onlyOurs: "runc's own init needs calls", code: 139, script: "true"},

	{name: "shared pid namespace is not the host's", script: "ps -o comm > /tmp/list; cat /tmp/list"},
	{name: "process list", script: "sleep 100 & sleep 0.5; ps -o comm; kill %1"},
	{name: "pids limit", edit: func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(10))}}
	},
		onlyOurs: "runc's own threads count", script: "for i in 1 2 3 4 5; do sleep 9 & done; echo five; (for i in 1 2 3 4 5 6 7 8 9; do sleep 9 & done) 2>&1 | grep -c fork; exit 0", want: "five\n1\n"},
	{name: "memory limit", edit: func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(64 << 20)), Swap: ptr(int64(64 << 20))}}
	}, script: "sh -c 'exec dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null'; echo $?; dd if=/dev/zero of=/dev/null bs=20M count=1 2>/dev/null; echo $?", want: "137\n0\n"},
	{name: "no /dev mount", edit: func(s *specs.Spec) { s.Mounts = s.Mounts[:1] }, script: "ls /dev | sort", onlyOurs: "runc makes the nodes in the root itself"},
	{name: "large environment", edit: func(s *specs.Spec) { s.Process.Env = append(s.Process.Env, "BIG="+strings.Repeat("x", 100_000)) }, script: "echo ${#BIG}", want: "100000\n"},
	{name: "many arguments", edit: func(s *specs.Spec) {
		s.Process.Args = append([]string{"sh", "-c", "echo $#"}, strings.Split(strings.Repeat("a ", 5000), " ")...)
	}, want: "5000\n"},
	{name: "zombie of init's", script: "(sleep 0.1 &) ; sleep 0.3; ps -o pid,stat,comm | grep -c Z; exit 0"},
	{name: "background ends with init", script: "sleep 1000 & echo started", want: "started\n"},
}

// TestOCI compares.
func TestOCI(t *testing.T) {
	runc := peerRunc(t)
	cases := slices.Concat(ociCases, ociMoreCases)
	for i := range cases {
		c := &cases[i]
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			if c.script != "" {
				script1(c.script)(b.spec)
			}
			if c.edit != nil {
				c.edit(b.spec)
			}
			b.write()
			got := b.run(ours(t), c.stdin)
			if got.code != c.code || c.want != "" && got.out != c.want {
				t.Errorf("runsc: exit code %d, want %d; output\n%s%swant\n%s", got.code, c.code, got.out, got.err, c.want)
			}
			if c.onlyOurs != "" {
				return
			}
			b.privateRoot()
			want := b.run(runc, c.stdin)
			if want.code != c.code || c.want != "" && want.out != c.want {
				t.Fatalf("fails with runc, a bug of the case: exit code %d, want %d; output\n%s%swant\n%s", want.code, c.code, want.out, want.err, c.want)
			}
			if got.out != want.out {
				t.Errorf("output of runsc\n%s%soutput of runc\n%s%s", got.out, got.err, want.out, want.err)
			}
			if os.Getenv("OCI_CRUN") == "" {
				return
			}
			if crun := b.run(peerCrun(t), c.stdin); (crun.out != want.out || crun.code != want.code) != (c.crun != "") {
				t.Errorf("crun: exit code %d, listed as different: %q; output\n%s%soutput of runc\n%s", crun.code, c.crun, crun.out, crun.err, want.out)
			}
		})
	}
}

// privateRoot gives the bundle a root that may be changed: runc makes mount points in it.
func (b *bundle) privateRoot() {
	b.t.Helper()
	dst := filepath.Join(b.dir, "rootfs")
	if err := copyRoot(b.spec.Root.Path, dst); err != nil {
		b.t.Fatal(err)
	}
	b.spec.Root.Path = dst
	b.write()
}
