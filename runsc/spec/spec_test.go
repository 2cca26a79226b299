package spec

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// bundle writes a config.json beside an empty root filesystem.
func bundle(t *testing.T, config []byte) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	if config != nil {
		if err := os.WriteFile(filepath.Join(dir, ConfigName), config, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestExampleLoads(t *testing.T) {
	data, err := json.Marshal(Example())
	if err != nil {
		t.Fatal(err)
	}
	s, warnings, err := Load(bundle(t, data))
	if err != nil || len(warnings) != 0 {
		t.Fatalf("Load = %v, warnings %q", err, warnings)
	}
	if !reflect.DeepEqual(s, Example()) {
		t.Error("the example changed on its way")
	}
	rootless := Example()
	ToRootless(rootless, 1000, 1000)
	if _, err := Validate(rootless, bundle(t, nil)); err != nil {
		t.Error("rootless:", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	good, _ := json.Marshal(Example())
	for name, tc := range map[string]struct{ text, want string }{
		"empty":      {"", "file is empty"},
		"cut":        {string(good[:len(good)/2]), "ends in the middle"},
		"trailing":   {string(good) + "{}", "something follows"},
		"not JSON":   {"hello\nworld", "line 1, column 1"},
		"array":      {"[]", "(top level)"},
		"wrong type": {`{"ociVersion":"1.0.0","root":{"path":7}}`, "root.path: is a JSON number"},
		"overflow":   {`{"ociVersion":"1.0.0","process":{"user":{"uid":-1}}}`, "process.user.uid"},
		"deep":       {strings.Repeat(`{"annotations":`, 20000), "JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Load(bundle(t, []byte(tc.text)))
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error = %v, want one line with %q", err, tc.want)
			}
		})
	}
	dir := bundle(t, nil)
	if _, _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("no config.json: %v", err)
	}
	f, err := os.Create(filepath.Join(dir, ConfigName))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(MaxConfigSize + 1); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "larger than 16 MiB") {
		t.Errorf("huge config.json: %v", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(f.Name(), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("directory: %v", err)
	}
}

func ptr[T any](v T) *T { return &v }

// refusals: each change of the example, and the field that the error names.
var refusals = []struct {
	field  string
	change func(s *specs.Spec)
}{
	{"ociVersion", func(s *specs.Spec) { s.Version = "" }},
	{"ociVersion", func(s *specs.Spec) { s.Version = "2.0.0" }},
	{"ociVersion", func(s *specs.Spec) { s.Version = "0.9.0" }},
	{"ociVersion", func(s *specs.Spec) { s.Version = "1.0" }},
	{"ociVersion", func(s *specs.Spec) { s.Version = "one.two.three" }},
	{"root.path", func(s *specs.Spec) { s.Root = nil }},
	{"root.path", func(s *specs.Spec) { s.Root.Path = "missing" }},
	{"root.path", func(s *specs.Spec) { s.Root.Path = "/dev/null" }},
	{"process", func(s *specs.Spec) { s.Process = nil }},
	{"process.args", func(s *specs.Spec) { s.Process.Args = nil }},
	{"process.args[1]", func(s *specs.Spec) { s.Process.Args = []string{"a", "b\x00"} }},
	{"process.cwd", func(s *specs.Spec) { s.Process.Cwd = "" }},
	{"process.cwd", func(s *specs.Spec) { s.Process.Cwd = "rel" }},
	{"process.env[0]", func(s *specs.Spec) { s.Process.Env = []string{"NOEQUALS"} }},
	{"process.rlimits[0].type", func(s *specs.Spec) { s.Process.Rlimits[0].Type = "RLIMIT_FUN" }},
	{"process.rlimits[0]", func(s *specs.Spec) { s.Process.Rlimits[0].Soft = 9999 }},
	{"process.rlimits[1].type", func(s *specs.Spec) { s.Process.Rlimits = append(s.Process.Rlimits, s.Process.Rlimits[0]) }},
	{"process.selinuxLabel", func(s *specs.Spec) { s.Process.SelinuxLabel = "x" }},
	{"process.oomScoreAdj", func(s *specs.Spec) { s.Process.OOMScoreAdj = ptr(2000) }},
	{"process.user.umask", func(s *specs.Spec) { s.Process.User.Umask = ptr(uint32(0o7777)) }},
	{"process.scheduler.policy", func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedFIFO} }},
	{"process.consoleSize", func(s *specs.Spec) { s.Process.ConsoleSize = &specs.Box{Height: 1 << 20} }},
	{"hostname", func(s *specs.Spec) { s.Hostname = strings.Repeat("h", 65) }},
	{"mounts[0].destination", func(s *specs.Spec) { s.Mounts[0].Destination = "" }},
	{"mounts[0].type", func(s *specs.Spec) { s.Mounts[0].Type = "ext4" }},
	{"mounts[0].source", func(s *specs.Spec) { s.Mounts[0] = specs.Mount{Destination: "/x", Type: "bind", Source: "/nope"} }},
	{"mounts[0].options", func(s *specs.Spec) { s.Mounts[0].Options = []string{"idmap"} }},
	{"mounts[0].options", func(s *specs.Spec) {
		s.Mounts[0] = specs.Mount{Destination: "/x", Type: "bind", Source: "/", Options: []string{"rbind", "rshared"}}
	}},
	{"mounts[0].uidMappings", func(s *specs.Spec) { s.Mounts[0].UIDMappings = []specs.LinuxIDMapping{{Size: 1}} }},
	{"hooks.poststop[0].path", func(s *specs.Spec) { s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "rel"}}} }},
	{"hooks.poststart[0].timeout", func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{Poststart: []specs.Hook{{Path: "/x", Timeout: ptr(0)}}}
	}},
	{"vm", func(s *specs.Spec) { s.VM = &specs.VM{} }},
	{"linux.namespaces[5].type", func(s *specs.Spec) { addNS(s, "time", "") }},
	{"linux.namespaces[5].type", func(s *specs.Spec) { addNS(s, "pid", "") }},
	{"linux.namespaces[0].path", func(s *specs.Spec) { s.Linux.Namespaces[0].Path = "/run/ns/pid" }},
	{"linux.namespaces[1].path", func(s *specs.Spec) { s.Linux.Namespaces[1].Path = "rel" }},
	{"linux.uidMappings[0]", func(s *specs.Spec) { s.Linux.UIDMappings = []specs.LinuxIDMapping{{Size: 0}} }},
	{"linux.gidMappings", func(s *specs.Spec) { s.Linux.UIDMappings = []specs.LinuxIDMapping{{Size: 1}} }},
	{"linux.devices[0]", func(s *specs.Spec) {
		s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/sda", Type: "b", Major: 8}}
	}},
	{"linux.devices[0].type", func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/x", Type: "q"}} }},
	{"linux.netDevices", func(s *specs.Spec) { s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth0": {}} }},
	{"linux.cgroupsPath", func(s *specs.Spec) { s.Linux.CgroupsPath = "/a/../../b" }},
	{"linux.resources.rdma", func(s *specs.Spec) { s.Linux.Resources.Rdma = map[string]specs.LinuxRdma{"x": {}} }},
	{"linux.resources.network", func(s *specs.Spec) { s.Linux.Resources.Network = &specs.LinuxNetwork{ClassID: ptr(uint32(1))} }},
	{"linux.resources.cpu.realtimeRuntime", func(s *specs.Spec) { s.Linux.Resources.CPU = &specs.LinuxCPU{RealtimeRuntime: ptr(int64(1))} }},
	{"linux.resources.memory.limit", func(s *specs.Spec) { s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: ptr(int64(-2))} }},
	{"linux.resources.memory.swap", func(s *specs.Spec) {
		s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: ptr(int64(200)), Swap: ptr(int64(100))}
	}},
	{"linux.resources.blockIO.weight", func(s *specs.Spec) { s.Linux.Resources.BlockIO = &specs.LinuxBlockIO{Weight: ptr(uint16(5))} }},
	{"linux.resources.unified", func(s *specs.Spec) { s.Linux.Resources.Unified = map[string]string{"../x": "1"} }},
	{"linux.resources.devices[0].access", func(s *specs.Spec) { s.Linux.Resources.Devices[0].Access = "rwx" }},
	{`linux.sysctl["vm.swappiness"]`, func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"vm.swappiness": "1"} }},
	{`linux.sysctl["kernel.hostname"]`, func(s *specs.Spec) { s.Hostname = "a"; s.Linux.Sysctl = map[string]string{"kernel.hostname": "b"} }},
	{"linux.seccomp.defaultAction", func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{} }},
	{"linux.seccomp.defaultAction", func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActNotify} }},
	{"linux.seccomp.flags[0]", func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Flags: []specs.LinuxSeccompFlag{"X"}}
	}},
	{"linux.seccomp.syscalls[0].args[0].index", func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
			{Names: []string{"read"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Index: 6, Op: specs.OpEqualTo}}}}}
	}},
	{"linux.rootfsPropagation", func(s *specs.Spec) { s.Linux.RootfsPropagation = "sideways" }},
	{"linux.maskedPaths[0]", func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"rel"} }},
	{"linux.mountLabel", func(s *specs.Spec) { s.Linux.MountLabel = "x" }},
	{"linux.intelRdt", func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{} }},
	{"linux.memoryPolicy", func(s *specs.Spec) { s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{} }},
	{"linux.personality", func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32} }},
	{"linux.timeOffsets", func(s *specs.Spec) { s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {}} }},
}

func addNS(s *specs.Spec, typ, path string) {
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.LinuxNamespaceType(typ), Path: path})
}

func TestRefusals(t *testing.T) {
	dir := bundle(t, nil)
	for _, tc := range refusals {
		s := Example()
		tc.change(s)
		_, err := Validate(s, dir)
		if err == nil {
			t.Errorf("%s: accepted", tc.field)
			continue
		}
		if !strings.HasPrefix(err.Error(), tc.field+":") || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %q, want one line that begins with %s", err, tc.field)
		}
	}
}

// What engines write must pass.
func TestAccepted(t *testing.T) {
	dir := bundle(t, nil)
	for name, tc := range map[string]struct {
		change   func(s *specs.Spec)
		warnings int
	}{
		"no linux section":   {func(s *specs.Spec) { s.Linux = nil }, 0},
		"other systems":      {func(s *specs.Spec) { s.Windows, s.Solaris, s.ZOS = &specs.Windows{}, &specs.Solaris{}, &specs.ZOS{} }, 0},
		"newer minor":        {func(s *specs.Spec) { s.Version = "1.9.0" }, 1},
		"pre-release":        {func(s *specs.Spec) { s.Version = "1.0.2-dev+build" }, 0},
		"network path":       {func(s *specs.Spec) { s.Linux.Namespaces[1].Path = "/run/netns/x" }, 0},
		"AppArmor":           {func(s *specs.Spec) { s.Process.ApparmorProfile = "docker-default" }, 1},
		"unknown capability": {func(s *specs.Spec) { s.Process.Capabilities.Bounding = []string{"CAP_NEW"} }, 1},
		"shared tmpfs": {func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"shared"}})
		}, 0},
		"shared root": {func(s *specs.Spec) { s.Linux.RootfsPropagation = "rshared" }, 1},
		"zero weight": {func(s *specs.Spec) { s.Linux.Resources.BlockIO = &specs.LinuxBlockIO{Weight: ptr(uint16(0))} }, 0},
		"net sysctl":  {func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net/ipv4/ip_forward": "1"} }, 0},
		"pod's namespaces": {func(s *specs.Spec) {
			s.Annotations = map[string]string{"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "p"}
			s.Linux.Namespaces[2].Path = "/proc/7/ns/ipc"
		}, 0},
		"device null": {func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/null", Type: "c", Major: 1, Minor: 3}}
		}, 0},
	} {
		s := Example()
		tc.change(s)
		warnings, err := Validate(s, dir)
		if err != nil || len(warnings) != tc.warnings {
			t.Errorf("%s: %v, warnings %q, want %d", name, err, warnings, tc.warnings)
		}
	}
}

func TestSandboxID(t *testing.T) {
	for _, tc := range []struct {
		a    map[string]string
		want string
		pod  bool
	}{
		{nil, "", false},
		{map[string]string{"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "p"}, "", true},
		{map[string]string{"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "p"}, "p", false},
		{map[string]string{"io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.cri-o.SandboxID": "q"}, "q", false},
	} {
		s := &specs.Spec{Annotations: tc.a}
		if got := SandboxID(s); got != tc.want || IsPod(s) != tc.pod {
			t.Errorf("%v: sandbox %q, pod %v", tc.a, got, IsPod(s))
		}
	}
}

func FuzzDecode(f *testing.F) {
	data, _ := json.Marshal(Example())
	f.Add(data)
	f.Add([]byte(`{"ociVersion":"1.0.0"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(data)
		if err != nil {
			return
		}
		if _, err := Validate(s, t.TempDir()); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("error of more than one line: %q", err)
		}
	})
}

// TestLoadProcessNotThere: the message is about the process, not about a bundle.
func TestLoadProcessNotThere(t *testing.T) {
	_, err := LoadProcess("/no/such/process.json")
	if err == nil || !strings.Contains(err.Error(), "/no/such/process.json") || strings.Contains(err.Error(), "bundle") {
		t.Errorf("%v", err)
	}
}
