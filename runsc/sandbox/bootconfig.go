package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// NoFD marks a donated file that is not there.
const NoFD = -1

// syncFD is where both children find their sync socket.
const syncFD = 3

// BootConfig is what the Sentry gets to know. Everything that it would read from the
// host later (it cannot open files any more) is here.
type BootConfig struct {
	RawSpec json.RawMessage
	Flags   Flags

	ControlFD int       // listening unix socket
	Gofer     GoferConn // of the first container
	StdioFDs  [3]int    // NoFD: /dev/null
	ExtraFDs  []int     // application's 3, 4, ...; NoFD: hole
	StraceFD  int       // NoFD: strace lines go to the log
	PcapFD    int       // --pcap; NoFD: none
	TraceFD   int       // --trace-startup; NoFD: none
	WitnessFD int       // of a Witness; NoFD: none

	Host HostInfo

	// SetGroups is false when setgroups is refused (rootless, a single mapping).
	SetGroups bool

	tether *tether
	spec   func() (*specs.Spec, error)
}

// Spec is the container's configuration. It is decoded while the process confines itself:
// in a new process that takes milliseconds.
func (cfg *BootConfig) Spec() (*specs.Spec, error) { return cfg.spec() }

func (cfg *BootConfig) decodeSpec() {
	cfg.spec = sync.OnceValues(func() (*specs.Spec, error) { return DecodeSpec(cfg.RawSpec) })
	go func() { _, _ = cfg.spec() }()
}

// DecodeSpec decodes a configuration that runsc has checked.
func DecodeSpec(raw json.RawMessage) (*specs.Spec, error) {
	spec := &specs.Spec{}
	if err := json.Unmarshal(raw, spec); err != nil {
		return nil, fmt.Errorf("read the container's configuration: %w", err)
	}
	return spec, nil
}

// GoferConn is the connection to the Gofer of one container.
type GoferConn struct {
	FD     int
	Attach []Attach
}

// Attach is one tree that a Gofer serves: the root of the container or the source of a
// bind mount.
type Attach struct {
	Name     string // name to attach to in 9P: "root", "m0", "m1" ...
	Mount    int    // index in Spec.Mounts; -1 for the root
	ReadOnly bool   // the Gofer's own mount is read-only
	IsDir    bool
}

// Shared says that others on the host change the tree too: bind mounts, and a root without
// an overlay, into which engines copy while the container runs.
func (a *Attach) Shared() bool { return a.Mount >= 0 || !a.ReadOnly }

// HostInfo are facts about the host that the kernel in user space shows or uses.
type HostInfo struct {
	CPUs     []int  // processors that the sandbox may run on
	CPUInfo  string // text of /proc/cpuinfo
	MemTotal uint64 // bytes
	Hostname string
	Release  string   // uname -r
	MaxTasks int      // processes and threads of all containers, 0 if not known
	Seed     [64]byte // for the kernel's random numbers
}

// GoferConfig is what a Gofer gets to know.
type GoferConfig struct {
	ConnFD    int
	SentryFD  int // pidfd: the Gofer ends with the Sentry
	TraceFD   int
	HostUDS   bool
	Debug     bool
	Trees     []Tree
	SetGroups bool
	InUserNS  bool

	mounts int // this process's mountinfo, if mounts can come later; 0: none
}

// Tree says where an attached tree comes from.
type Tree struct {
	Attach
	Source    string // absolute host path
	What      string // how errors name it
	Recursive bool
	// ReadOnlyAll makes the mounts beneath read-only too.
	ReadOnlyAll bool
	Slave       bool // host mounts that appear beneath the source show up here
}

var errParentGone = errors.New("runsc ended before the start was complete")
