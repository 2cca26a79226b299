package main

// room is a folder and the folders of this project that its packages may import, besides
// themselves.
type room struct {
	prefix string
	allow  []string
}

// rooms is searched from the top; the first prefix that matches a package holds.
var rooms = []room{
	{"syscalls/abi", nil},
	{"platform", []string{"syscalls/abi", "platform"}},
	{"netstack", []string{"syscalls/abi", "netstack"}},
	{"netproxy", []string{"syscalls/abi", "netstack", "netproxy"}},
	{"gofer/proto", []string{"syscalls/abi"}},
	{"gofer", []string{"syscalls/abi", "gofer"}},
	{"sentry", []string{"syscalls/abi", "platform", "netstack", "gofer/proto", "sentry"}},
	{"syscalls", []string{"syscalls", "sentry", "platform"}},
	{"runsc", []string{""}},
	{"test", []string{""}},
	{"tools", []string{""}},
}

// external says which modules the rooms may import besides the standard library and
// golang.org/x/sys. A path that no rule names may not be imported at all.
var external = []struct {
	path  string   // import path prefix
	rooms []string // folders that may import it
}{
	{"golang.org/x/sys", []string{""}},
	{"github.com/hugelgupf/p9", []string{"gofer"}},
	{"github.com/opencontainers/runtime-spec", []string{"runsc", "test", "tools"}},
	{"github.com/spf13/cobra", []string{"runsc"}},
	{"github.com/spf13/pflag", []string{"runsc"}},
	{"github.com/containerd", []string{"runsc/shim", "test/engines"}},
	{"github.com/godbus/dbus", []string{"runsc/cgroup"}}, // systemd, for --systemd-cgroup
	{"github.com/pelletier/go-toml", []string{"runsc/shim"}},
	{"k8s.io/api", []string{"test/engines"}}, // the examples of docs/engines.md
	{"k8s.io/cri-api", []string{"test/engines"}},
	{"sigs.k8s.io/yaml", []string{"test/engines"}},
	{"golang.org/x/net/websocket", []string{"test/engines"}}, // kubectl's streams
	{"google.golang.org/grpc", []string{"runsc/shim", "test/engines"}},
	{"google.golang.org/protobuf", []string{"runsc/shim", "test/engines"}},
	{"github.com/seccomp/libseccomp-golang", []string{"tools"}},
	{"gvisor.dev/gvisor/pkg/tcpip", []string{"netstack", "netproxy"}},
	{"gvisor.dev/gvisor/pkg/waiter", []string{"netstack", "netproxy", "sentry"}},
	{"gvisor.dev/gvisor/pkg/buffer", []string{"netstack", "netproxy"}},
}

// unsafeOK names folders whose files may import unsafe under any name: generators and
// tests that read C structures.
var unsafeOK = []string{"tools/", "test/"}

// maxLines is the size above which a file must be split; generated files are exempt.
const maxLines = 1000
