package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
)

// eachOption mounts one file system for each option, at /tmp/OPTION.
func eachOption(typ string, first []string, options ...string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		for _, o := range options {
			source := "src"
			if typ == "bind" {
				source = s.Root.Path
			}
			mount("/tmp/"+o, typ, source, append(append([]string{}, first...), o)...)(s)
		}
	}
}

const showOptions = `awk '$5 ~ "^/tmp/" { print $5, $6 }' /proc/self/mountinfo`

// ociMoreCases are ociCases too: what docs/oci.md found without one.
var ociMoreCases = []ociCase{
	{name: "options of mount(8)", edit: eachOption("tmpfs", nil, "async", "atime", "dev", "diratime", "dirsync", "exec", "lazytime", "loud",
		"noatime", "nodev", "nodiratime", "noexec", "nolazytime", "norelatime", "nostrictatime", "nosuid", "relatime", "ro", "rw", "silent", "strictatime",
		"suid", "sync", "iversion", "noiversion"), script: showOptions},
	{name: "defaults", onlyOurs: "runc 1.1 passes it on", edit: eachOption("tmpfs", nil, "defaults"), script: showOptions, want: "/tmp/defaults rw,relatime\n"},
	{name: "options undo each other", edit: all(mount("/tmp/a", "tmpfs", "a", "ro", "nosuid", "nodev", "noexec", "rw", "suid", "dev", "exec"), mount("/tmp/b", "tmpfs", "b", "rw", "suid", "ro", "nosuid"),
		mount("/tmp/c", "tmpfs", "c", "noatime", "strictatime", "nodiratime", "diratime")), script: showOptions},
	{name: "nosymfollow", crun: "1.8 does not know it", edit: all(eachOption("tmpfs", nil, "nosymfollow", "symfollow")), script: "for d in nosymfollow symfollow; do cd /tmp/$d; ln -s /etc/data link; cat link 2>/dev/null; echo $?; done", want: "1\ndata\n0\n"},
	{name: "options of a bind", edit: all(writable, eachOption("bind", []string{"bind"}, "ro", "rw", "nosuid", "nodev", "noexec", "suid", "dev", "exec")),
		script: showOptions + ` | sed 's/,.*atime//'; for o in ro rw; do touch /tmp/$o/tmp/f 2>/dev/null; echo $?; done; /tmp/noexec/bin/echo no 2>/dev/null; echo $?; rm -f /tmp/rw/tmp/f`},
	{name: "recursive options", edit: all(writable, eachOption("bind", []string{"rbind"}, "rro", "rnosuid", "rnodev", "rnoexec", "rrw", "rsuid", "rdev", "rexec")),
		script: showOptions + ` | sed 's/,.*atime//'; touch /tmp/rro/tmp/f 2>/dev/null; echo $?; /tmp/rnoexec/bin/echo no 2>/dev/null; echo $?`},
	{name: "recursive times", onlyOurs: "what the host's mount has shows through runc's", edit: eachOption("bind", []string{"rbind"}, "rnoatime", "ratime", "rnodiratime", "rdiratime", "rrelatime", "rnorelatime", "rstrictatime", "rnostrictatime", "rnosymfollow", "rsymfollow"),
		script: showOptions + ` | wc -l`, want: "10\n"},
	{name: "propagation", edit: all(writable, eachOption("bind", []string{"bind"}, "private", "slave"), eachOption("bind", []string{"rbind"}, "rprivate", "rslave"), eachOption("tmpfs", nil, "unbindable", "runbindable", "shared", "rshared")),
		script: `awk '$5 ~ "^/tmp/" { print $5 }' /proc/self/mountinfo`},
	{name: "option of the file system", edit: mount("/tmp/m", "tmpfs", "m", "nr_inodes=10", "size=1m"), script: "cd /tmp/m; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do touch $i || break; done 2>/dev/null; ls | wc -l", want: "9\n"},
	{name: "remount", edit: all(mount("/tmp/m", "tmpfs", "m"), mount("/tmp/m", "tmpfs", "m", "remount", "ro")), script: "touch /tmp/m/x 2>/dev/null; echo $?; " + showOptions},
	{name: "file systems that should be there", script: `awk '$5 == "/proc" || $5 == "/sys" || $5 == "/dev/pts" || $5 == "/dev/shm" { print $5, $(NF-2) }' /proc/self/mountinfo`,
		want: "/proc proc\n/dev/pts devpts\n/dev/shm tmpfs\n/sys sysfs\n"},

	{name: "size without a terminal", edit: func(s *specs.Spec) { s.Process.ConsoleSize = &specs.Box{Width: 7, Height: 5} }, script: "stty size 2>/dev/null; echo $?", want: "1\n"},
	{name: "unknown capability", edit: func(s *specs.Spec) {
		c := *s.Process.Capabilities
		c.Bounding = append([]string{"CAP_FLORP"}, c.Bounding...)
		s.Process.Capabilities = &c
	}, script: status("CapBnd")},
	{name: "capabilities apart", edit: func(s *specs.Spec) {
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: []string{"CAP_CHOWN", "CAP_KILL", "CAP_FOWNER"}, Permitted: []string{"CAP_CHOWN", "CAP_KILL"}, Effective: []string{"CAP_KILL"}}
	}, script: status("Cap.*")},
	{name: "oom score is left", script: "cat /proc/self/oom_score_adj"},
	{name: "unknown annotation", edit: func(s *specs.Spec) { s.Annotations = map[string]string{"org.example.florp": "x", "florp": ""} }, script: "echo runs", want: "runs\n"},
	{name: "root that may be written", edit: writable, script: "touch /written && echo ok; rm /written; awk '$5 == \"/\" { print $6 }' /proc/self/mountinfo | cut -d, -f1", want: "ok\nrw\n"},
	{name: "namespaces of its own", edit: func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	}, script: "ls /proc/self/ns | tr '\\n' ' '; hostname other 2>/dev/null; echo; ls /sys/class/net; ipcs -q | grep -c 0x; cut -d: -f3 /proc/self/cgroup | sort -u",
		want: "cgroup ipc mnt net pid pid_for_children time time_for_children user uts \nlo\n0\n/\n"},
	{name: "personality", edit: func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux} }, script: "cat /proc/self/personality", want: "00000000\n"},
	{name: "masked paths of a missing file", edit: func(s *specs.Spec) {
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"/no/such"}, []string{"/nor/this"}
	}, script: "ls -d /no /nor 2>/dev/null; echo $?", want: "1\n"},
	{name: "seccomp default errno", edit: all(seccomp(specs.ActErrno, specs.LinuxSyscall{Names: []string{"florp"}, Action: specs.ActAllow}), func(s *specs.Spec) {
		s.Linux.Seccomp.DefaultAction = specs.ActAllow
		s.Linux.Seccomp.Syscalls = []specs.LinuxSyscall{{Names: []string{"mkdir", "mkdirat", "no_such_call"}, Action: specs.ActErrno, ErrnoRet: ptr(uint(11))}}
	}), script: "mkdir /tmp/d 2>&1; echo $?"},
}

// badMoreCases are badCases too.
var badMoreCases = []badCase{
	{name: "idmap option", edit: mount("/tmp/m", "bind", "/etc", "bind", "idmap"), says: []string{"mounts[6].options", "idmap"}, noRunc: "1.1 takes it for the file system's"},
	{name: "mappings of a mount", edit: func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/tmp/m", Type: "bind", Source: "/etc", Options: []string{"bind"}, UIDMappings: []specs.LinuxIDMapping{{Size: 1}}})
	}, says: []string{"mounts[6].uidMappings"}, noRunc: "1.1 does not know them"},
	{name: "unknown mount option", edit: mount("/tmp/m", "tmpfs", "m", "florp=1"), says: []string{"mounts[6]", "/tmp/m"}},
	{name: "rlimit twice", edit: func(s *specs.Spec) {
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE"}, {Type: "RLIMIT_CORE"}}
	}, says: []string{"process.rlimits[1].type", "twice"}, noRunc: "1.1 takes it"},
	{name: "scheduler", edit: func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedFIFO} }, says: []string{"process.scheduler.policy", "SCHED_FIFO"}, noRunc: "1.1 does not know it"},
	{name: "hook timeout of zero", edit: func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/true", Timeout: ptr(0)}}}
	}, says: []string{"hooks.createRuntime[0].timeout", "greater than zero"}, noRunc: "1.1 lets it time out"},
	{name: "namespace twice", edit: func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UTSNamespace})
	}, says: []string{"linux.namespaces[5].type", "twice"}},
	{name: "relative namespace path", edit: func(s *specs.Spec) { s.Linux.Namespaces[2].Path = "proc/1/ns/uts" }, says: []string{"linux.namespaces[2].path", "absolute"}},
	{name: "namespace of another type", edit: func(s *specs.Spec) { s.Linux.Namespaces[4].Path = "/proc/1/ns/uts" }, says: []string{"/proc/1/ns/uts"}},
	{name: "namespace of the host", edit: func(s *specs.Spec) { s.Linux.Namespaces[1].Path = "/proc/1/ns/ipc" }, says: []string{"linux.namespaces[1].path", "cannot be joined"}, noRunc: "joins it"},
	{name: "device over a file", edit: devices(specs.LinuxDevice{Path: "/etc/data", Type: "c", Major: 1, Minor: 3}), says: []string{"linux.devices[0]", "/etc/data", "file exists"}, noRunc: "1.1 leaves the file"},
	{name: "network device", edit: func(s *specs.Spec) { s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth0": {}} }, says: []string{"linux.netDevices"}, noRunc: "1.1 does not know it"},
	{name: "time offsets", edit: func(s *specs.Spec) { s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 1}} }, says: []string{"linux.timeOffsets"}, noRunc: "1.1 does not know it"},
	{name: "memory policy", edit: func(s *specs.Spec) { s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: "MPOL_BIND"} }, says: []string{"linux.memoryPolicy"}, noRunc: "1.1 does not know it"},
	{name: "class of packets", edit: func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Network: &specs.LinuxNetwork{ClassID: ptr(uint32(5))}}
	}, says: []string{"linux.resources.network"}, noRunc: "this host may have the controller"},
	{name: "RDMA", edit: func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Rdma: map[string]specs.LinuxRdma{"x": {HcaHandles: ptr(uint32(1))}}}
	}, says: []string{"linux.resources.rdma"}, noRunc: "this host may have the controller"},
	{name: "errno of an action without one", edit: seccomp(specs.ActAllow, specs.LinuxSyscall{Names: []string{"mkdir"}, Action: specs.ActKillProcess, ErrnoRet: ptr(uint(1))}),
		says: []string{"linux.seccomp.syscalls[0].errnoRet", "SCMP_ACT_KILL_PROCESS"}, noRunc: "1.1 passes over it"},
	{name: "seccomp rule without names", edit: seccomp(specs.ActAllow, specs.LinuxSyscall{Action: specs.ActErrno}), says: []string{"linux.seccomp.syscalls[0].names", "empty"}, noRunc: "1.1 passes over it"},
	{name: "seccomp listener", edit: all(seccomp(specs.ActAllow), func(s *specs.Spec) { s.Linux.Seccomp.ListenerPath = "/no/such" }), says: []string{"linux.seccomp.listenerPath"}, noRunc: "has nothing to listen for"},
	{name: "relative masked path", edit: func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"etc"} }, says: []string{"linux.maskedPaths[0]", "absolute"}, noRunc: "1.1 takes it from the root"},
	{name: "relative read-only path", edit: func(s *specs.Spec) { s.Linux.ReadonlyPaths = []string{"etc"} }, says: []string{"linux.readonlyPaths[0]", "absolute"}, noRunc: "1.1 takes it from the root"},
	{name: "other personality", edit: func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32} }, says: []string{"linux.personality"}, noRunc: "has it"},
	{name: "start without id", args: []string{"start"}, says: []string{"requires exactly 1 argument"}, usage: true},
	{name: "kill without id", args: []string{"kill"}, says: []string{"argument"}, usage: true},
	{name: "delete without id", args: []string{"delete"}, says: []string{"argument"}, usage: true},
	{name: "create without bundle", args: []string{"create", "--bundle", "/no/such", "ID"}, says: []string{"/no/such"}},
}

// TestOCICreateIsFinal: create applies the configuration and runs nothing; what is written into
// config.json afterwards changes nothing; unknown properties are passed over.
func TestOCICreateIsFinal(t *testing.T) {
	for _, r := range []*runtimeUnderTest{peerRunc(t), ours(t)} {
		dir, id := t.TempDir(), newID()
		b := newBundle(t, writable, mount("/out", "bind", dir, "bind"), script1("hostname > /out/ran; echo $0 >> /out/ran"))
		b.privateRoot()
		var config map[string]any
		if err := json.Unmarshal([]byte(readAll(t, filepath.Join(b.dir, "config.json"))), &config); err != nil {
			t.Fatal(err)
		}
		config["florp"] = map[string]any{"unknown": []int{1}}
		config["process"].(map[string]any)["florp"] = true
		text, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(b.dir, "config.json"), text, 0o644); err != nil {
			t.Fatal(err)
		}
		r.detached(t, "create", "--bundle", b.dir, id).must(t, "create")
		if got := r.do(t, "", "exec", id, "hostname"); got.out != "box\n" {
			t.Errorf("%s: the created container says %q %s", r.name, got.out, got.err)
		}
		if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
			t.Errorf("%s: create runs the program", r.name)
		}
		b.spec.Hostname, b.spec.Process.Args = "changed", []string{"false"}
		b.write()
		r.do(t, "", "start", id).must(t, "start")
		r.awaitStatus(t, id, "stopped")
		if got := readAll(t, filepath.Join(dir, "ran")); got != "box\nsh\n" {
			t.Errorf("%s: the program said %q", r.name, got)
		}
		r.do(t, "", "delete", id).must(t, "delete")
		nothingLeft(t, r, id)
	}
}

// TestOCICgroupsPath: the same path is the same place, made by whoever comes first; a group that
// was there already stays.
func TestOCICgroupsPath(t *testing.T) {
	for _, r := range []*runtimeUnderTest{peerRunc(t), ours(t)} {
		id := newID()
		parent := "/" + id + "-parent"
		var places [2]string
		for i := range places {
			b := newBundle(t, forever, func(s *specs.Spec) { s.Linux.CgroupsPath = parent + "/" + id })
			r.detached(t, "create", "--bundle", b.dir, id).must(t, "create")
			for line := range strings.Lines(readAll(t, fmt.Sprintf("/proc/%d/cgroup", r.stateOf(t, id).PID))) {
				if _, controllers, ok := strings.Cut(line, ":"); ok && (strings.HasPrefix(controllers, "memory:") || strings.HasPrefix(controllers, ":/l")) {
					places[i] = strings.TrimSpace(controllers)
				}
			}
			r.do(t, "", "delete", "--force", id).must(t, "delete")
			nothingLeft(t, r, id)
		}
		if places[0] != places[1] || !strings.HasSuffix(places[0], parent+"/"+id) {
			t.Errorf("%s: %q", r.name, places)
		}
		for _, dir := range cgroupsOf(parent[1:]) {
			for range 50 {
				if os.Remove(dir) == nil {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
		}
	}
}

// TestOCIFeatures: what features lists is accepted.
func TestOCIFeatures(t *testing.T) {
	var f features.Features
	r := ours(t)
	if err := json.Unmarshal([]byte(r.do(t, "", "features").must(t, "features").out), &f); err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{f.OCIVersionMin, f.OCIVersionMax} {
		b := newBundle(t, func(s *specs.Spec) {
			s.Version = version
			caps := f.Linux.Capabilities
			s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: caps, Permitted: caps, Effective: caps, Inheritable: caps, Ambient: caps}
			for i, o := range f.MountOptions {
				if m := fmt.Sprintf("/tmp/%d", i); o != "remount" {
					s.Mounts = append(s.Mounts, specs.Mount{Destination: m, Type: "tmpfs", Source: "/tmp", Options: []string{o}})
				}
				switch o {
				case "bind", "rbind", "remount", "shared", "rshared", "tmpcopyup":
					s.Mounts = s.Mounts[:len(s.Mounts)-map[bool]int{true: 0, false: 1}[o == "remount"]]
				}
			}
			s.Linux.Namespaces = nil
			for _, n := range f.Linux.Namespaces {
				s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.LinuxNamespaceType(n)})
			}
			s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 0, Size: 65536}}
			s.Linux.GIDMappings = s.Linux.UIDMappings
			seccomp(specs.ActAllow)(s)
			p := s.Linux.Seccomp
			for _, a := range f.Linux.Seccomp.Actions {
				p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{Names: []string{"nfsservctl"}, Action: specs.LinuxSeccompAction(a)})
			}
			for _, o := range f.Linux.Seccomp.Operators {
				p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{Names: []string{"nfsservctl"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Op: specs.LinuxSeccompOperator(o)}}})
			}
			for _, a := range f.Linux.Seccomp.Archs {
				p.Architectures = append(p.Architectures, specs.Arch(a))
			}
			for _, x := range f.Linux.Seccomp.SupportedFlags {
				p.Flags = append(p.Flags, specs.LinuxSeccompFlag(x))
			}
		}, script1("echo accepted"))
		if a := b.run(r, ""); a.out != "accepted\n" || a.code != 0 || strings.Contains(a.err, "unknown") {
			t.Errorf("%s: exit %d %q %s", version, a.code, a.out, a.err)
		}
	}
}
