package control

import (
	"encoding/json"
	"os"
)

// Method names on the wire.
const (
	methodCreate    = "create"
	methodStart     = "start"
	methodExec      = "exec"
	methodWait      = "wait"
	methodSignal    = "signal"
	methodPause     = "pause"
	methodResume    = "resume"
	methodProcesses = "processes"
	methodStats     = "stats"
	methodState     = "state"
	methodDebug     = "debug"
	methodResize    = "resize"
	methodUpdate    = "update"
	methodAttach    = "attach"
	methodDestroy   = "destroy"
	methodShutdown  = "shutdown"
)

// CreateArgs creates a container that is ready to start; its program does not run yet.
// For the first container of a sandbox no files travel: the Sentry has them since boot.
type CreateArgs struct {
	ID string `json:"id"`

	// Spec is the container's config.json, validated by runsc. Empty: the one that the
	// sandbox was started with.
	Spec json.RawMessage `json:"spec,omitempty"`

	// Bundle is the host's path of the bundle: hooks are told.
	Bundle string `json:"bundle"`

	// Attach is opaque to this package: the sandbox package's []Attach of the Gofer.
	Attach json.RawMessage `json:"attach,omitempty"`

	// PIDsOf names the container of the sandbox whose pid namespace this one's has by a
	// path; empty: the first container's, if it has a path at all.
	PIDsOf string `json:"pidsOf,omitempty"`

	// HasGofer and NumStdio say what Files holds, in order: the Gofer's connection,
	// stdin, stdout and stderr, and then the application's fds from 3 on.
	HasGofer bool `json:"hasGofer,omitempty"`
	NumStdio int  `json:"numStdio,omitempty"` // 0 or 3
	Terminal bool `json:"terminal,omitempty"`

	// Network is opaque to this package: a netstack.Config, for the first container of a
	// sandbox. Then Files holds what hostnet.Network has.
	Network json.RawMessage `json:"network,omitempty"`

	Files []*os.File `json:"-"`
}

// AttachArgs gives the network of a sandbox's first container further interfaces. Network and
// Files are as in CreateArgs.
type AttachArgs struct {
	ID      string          `json:"id"`
	Network json.RawMessage `json:"network"`
	Files   []*os.File      `json:"-"`
}

// ExecArgs starts a further process in a running container.
type ExecArgs struct {
	ID string `json:"id"`

	// Process is an OCI process object.
	Process json.RawMessage `json:"process"`

	// NumStdio is 0 or 3; Files holds stdio and then the process's fds from 3 on.
	NumStdio int  `json:"numStdio"`
	Terminal bool `json:"terminal,omitempty"`

	// IgnorePaused lets the process be made in a paused container.
	IgnorePaused bool `json:"ignorePaused,omitempty"`

	Files []*os.File `json:"-"`
}

// WaitArgs waits for a process to end. PID is as seen in the container's own pid
// namespace; 0 means the container's init.
type WaitArgs struct {
	ID  string `json:"id"`
	PID int32  `json:"pid"`

	// KillOnHangup sends SIGKILL to the process if the waiter goes away first: for a
	// host process that stands for the one in the sandbox.
	KillOnHangup bool `json:"killOnHangup,omitempty"`
}

// SignalArgs sends a signal. PID 0 means the container's init; All means every process
// of the container.
type SignalArgs struct {
	ID     string `json:"id"`
	PID    int32  `json:"pid"`
	Signal int    `json:"signal"`
	All    bool   `json:"all,omitempty"`
}

// ResizeArgs tells a process's terminal its new size.
type ResizeArgs struct {
	ID   string `json:"id"`
	PID  int32  `json:"pid"`
	Cols uint16 `json:"cols"`
	Rows uint16 `json:"rows"`
}

// UpdateArgs tells the Sentry new limits, for what it charges and shows itself.
type UpdateArgs struct {
	ID        string          `json:"id"`
	Resources json.RawMessage `json:"resources"`
}

// DebugKind is what Debug shows or switches.
type DebugKind string

// Kinds of debug request.
const (
	DebugStacks        DebugKind = "stacks"
	DebugMounts        DebugKind = "mounts"
	DebugMaps          DebugKind = "maps"
	DebugStraceOn      DebugKind = "strace-on"
	DebugStraceOff     DebugKind = "strace-off"
	DebugHostSyscalls  DebugKind = "host-syscalls"
	DebugPlatformStats DebugKind = "platform-stats"
	DebugNet           DebugKind = "net"
)

// DebugArgs asks for text about a live sandbox. PID 0 means every task.
type DebugArgs struct {
	ID   string    `json:"id"`
	Kind DebugKind `json:"kind"`
	PID  int32     `json:"pid,omitempty"`
}

// idArgs are the arguments of the methods that need a container id only.
type idArgs struct {
	ID string `json:"id"`
}

// Process is a line of ps.
type Process struct {
	PID       int32  `json:"pid"`
	PPID      int32  `json:"ppid"`
	PGID      int32  `json:"pgid"`
	SID       int32  `json:"sid"`
	UID       uint32 `json:"uid"`
	GID       uint32 `json:"gid"`
	Threads   int    `json:"threads"`
	TTY       string `json:"tty"`
	State     string `json:"state"`
	StartUnix int64  `json:"startUnix"` // seconds
	CPUTimeMS uint64 `json:"cpuTimeMS"`
	VSZ       uint64 `json:"vsz"` // bytes
	RSS       uint64 `json:"rss"` // bytes
	Comm      string `json:"comm"`
	Cmd       string `json:"cmd"`
}

// Stats is what the Sentry accounts to a container.
type Stats struct {
	MemoryUsage uint64 `json:"memoryUsage"` // bytes
	MemoryMax   uint64 `json:"memoryMax"`   // bytes
	MemoryLimit uint64 `json:"memoryLimit"` // bytes, 0: none
	MemoryFails uint64 `json:"memoryFails"` // charges that the limit refused
	FileCache   uint64 `json:"fileCache"`   // bytes
	CPUUserNS   uint64 `json:"cpuUserNS"`
	CPUSystemNS uint64 `json:"cpuSystemNS"`
	Pids        uint64 `json:"pids"`
	PidsLimit   uint64 `json:"pidsLimit"` // 0: none

	// Of the processor quota, where the Sentry keeps it and not the host.
	Periods          uint64 `json:"periods"`
	ThrottledPeriods uint64 `json:"throttledPeriods"`
	ThrottledNS      uint64 `json:"throttledNS"`

	OOMKills uint64 `json:"oomKills"`

	Interfaces []InterfaceStats `json:"interfaces,omitempty"`
}

// InterfaceStats are the counters of a network interface.
type InterfaceStats struct {
	Name      string `json:"name"`
	RxBytes   uint64 `json:"rxBytes"`
	RxPackets uint64 `json:"rxPackets"`
	RxErrors  uint64 `json:"rxErrors"`
	RxDropped uint64 `json:"rxDropped"`
	TxBytes   uint64 `json:"txBytes"`
	TxPackets uint64 `json:"txPackets"`
	TxErrors  uint64 `json:"txErrors"`
	TxDropped uint64 `json:"txDropped"`
}

// ContainerStatus is a container's state as the Sentry sees it.
type ContainerStatus string

// States of a container.
const (
	StatusCreated ContainerStatus = "created"
	StatusRunning ContainerStatus = "running"
	StatusPaused  ContainerStatus = "paused"
	StatusStopped ContainerStatus = "stopped"
)

// ExitStatus is a wait status as wait4(2) gives it.
type ExitStatus uint32

// Code returns what a shell would show: the exit code, or 128 and the signal.
func (s ExitStatus) Code() int {
	if sig := int(s & 0x7f); sig != 0 {
		return 128 + sig
	}
	return int(s>>8) & 0xff
}
