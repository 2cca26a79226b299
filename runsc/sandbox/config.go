package sandbox

import (
	"io"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// The hidden commands that runsc re-executes itself as. The names are the first argument.
const (
	BootCommand  = "boot"
	GoferCommand = "gofer"
)

// HostNetwork is the mode of the network in which sockets are the host's.
const HostNetwork = "host"

// Flags are runsc's own global flags as they concern a sandbox.
type Flags struct {
	Platform  string // "trap" or "ptrace"
	Overlay   string // "root", "all" or "none"
	Network   string // "sandbox", "none", "user" or HostNetwork
	Strace    bool
	StraceLog string // file for the strace lines, opened by runsc
	Pcap      string // file for the packets of the network, opened by runsc
	DebugLog  string // file for the Sentry's and Gofer's log, opened by runsc
	LogFormat string // "text" or "json"
	Debug     bool
	Publish   []string // --publish, for "user"
	Loopback  bool     // --network-host-loopback, for "user"
	HostUDS   bool     // unix sockets and FIFOs of the host may be used through bind mounts
}

// Config says what to start. A started sandbox ends with the starting process until
// Sandbox.Detach is called, so that a runsc killed half way leaves nothing. Files stay owned by the caller, who may close them when
// Start has returned.
type Config struct {
	ID       string
	StateDir string // this container's own state directory; exists. sentry.log and gofer.log land here
	Bundle   string // absolute
	Spec     *specs.Spec
	Flags    Flags

	// ControlListener is a listening unix socket on which the Sentry takes requests.
	ControlListener *os.File

	// Stdio are the application's stdin, stdout and stderr; nil ones are /dev/null.
	Stdio [3]*os.File

	// ExtraFDs become the application's fds 3, 4, ... (--preserve-fds); nil ones are holes.
	ExtraFDs []*os.File

	// Log gets warnings of the start itself (one line each); may be nil.
	Log io.Writer

	// JoinCgroup is called with the pid of each new process before it reads its
	// configuration; may be nil.
	JoinCgroup func(pid int) error

	// Spawned is called with the pids of Sentry and Gofer while they come up; may be nil.
	Spawned func(sentry, gofer int) error

	// Witness is the Sentry's end of its witness of OOM kills; may be nil.
	Witness *os.File

	// SentryPID is for StartGofer only: the sandbox that the new Gofer serves and with
	// which it ends.
	SentryPID int

	// NetNS is the network namespace of the Sentry's sockets with HostNetwork; nil: this
	// process's own.
	NetNS *os.File

	// Exe is the binary to re-execute; empty means /proc/self/exe. For tests.
	Exe string
}

// Sandbox is a started sandbox.
type Sandbox struct {
	SentryPID int
	GoferPID  int
	Process   *Process // the Sentry, a child of this process

	tethers []*os.File
	gofer   *Process
	nursery *nursery
}
