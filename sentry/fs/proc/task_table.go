package proc

import (
	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Where an entry of taskTable is.
const (
	inProcess = 1 << iota // /proc/PID
	inThread              // /proc/PID/task/TID
	inBoth    = inProcess | inThread
)

// access is what a reader must be allowed to (ptrace(2), PTRACE_MODE_READ_FSCREDS).
type access uint8

const (
	anyone    access = iota
	atOpen           // checked once, at open, EACCES; the address space of then is shown
	atRead           // checked at each read, EACCES
	traceRead        // checked at each read, EPERM
)

// taskEntry is one file of a process.
type taskEntry struct {
	name   string
	mode   uint32 // with type
	in     uint8
	access access
	show   func(c *call, b *pseudo.Buf) error
	store  func(c *call, data []byte) error
	link   func(c *call) (name string, p vfs.Path, err error) // magic links
	kind   inodeKind
	arg    string
}

// inodeKind tells which inode type an entry has.
type inodeKind uint8

const (
	kindFile inodeKind = iota
	kindMem
	kindMounts
	kindLink
	kindNS
	kindThreads
	kindFD
	kindFDInfo
	kindSub // a directory of entries whose names begin with arg
	kindNet
)

const (
	reg = abi.S_IFREG
	dir = abi.S_IFDIR
	lnk = abi.S_IFLNK | 0o777
)

// taskTable is what processes and threads have. The order is that of readdir; names with
// a slash are in the directory of that name.
var taskTable = []taskEntry{
	{name: "task", mode: dir | 0o555, in: inProcess, kind: kindThreads},
	{name: "fd", mode: dir | 0o500, in: inBoth, kind: kindFD},
	{name: "fdinfo", mode: dir | 0o555, in: inBoth, kind: kindFDInfo},
	{name: "ns", mode: dir | 0o511, in: inBoth, kind: kindSub, arg: "ns/"},
	{name: "net", mode: dir | 0o555, in: inBoth, kind: kindNet},
	{name: "environ", mode: reg | 0o400, in: inBoth, access: atOpen, show: showEnviron},
	{name: "auxv", mode: reg | 0o400, in: inBoth, access: atOpen, show: showAuxv},
	{name: "status", mode: reg | 0o444, in: inBoth, show: showStatus},
	{name: "personality", mode: reg | 0o400, in: inBoth, access: traceRead, show: showPersonality},
	{name: "limits", mode: reg | 0o444, in: inBoth, show: showLimits},
	{name: "sched", mode: reg | 0o644, in: inBoth, show: showSched, store: ignoreStore},
	{name: "autogroup", mode: reg | 0o644, in: inProcess, show: showAutogroup, store: ignoreStore},
	{name: "timens_offsets", mode: reg | 0o644, in: inProcess, show: showTimeOffsets, store: storeTimeOffsets},
	{name: "comm", mode: reg | 0o644, in: inBoth, show: showComm, store: storeComm},
	{name: "syscall", mode: reg | 0o400, in: inBoth, access: traceRead, show: showSyscall},
	{name: "cmdline", mode: reg | 0o444, in: inBoth, show: showCmdline},
	{name: "stat", mode: reg | 0o444, in: inBoth, show: showStat},
	{name: "statm", mode: reg | 0o444, in: inBoth, show: showStatm},
	{name: "maps", mode: reg | 0o444, in: inBoth, access: atOpen, show: showMaps},
	{name: "children", mode: reg | 0o444, in: inThread, show: showChildren},
	{name: "mem", mode: reg | 0o600, in: inBoth, access: atOpen, kind: kindMem},
	{name: "cwd", mode: lnk, in: inBoth, kind: kindLink, link: linkCwd},
	{name: "root", mode: lnk, in: inBoth, kind: kindLink, link: linkRoot},
	{name: "exe", mode: lnk, in: inBoth, kind: kindLink, link: linkExe},
	{name: "mounts", mode: reg | 0o444, in: inBoth, kind: kindMounts, show: showMounts},
	{name: "mountinfo", mode: reg | 0o444, in: inBoth, kind: kindMounts, show: showMountInfo},
	{name: "mountstats", mode: reg | 0o400, in: inProcess, kind: kindMounts, show: showMountStats},
	{name: "clear_refs", mode: reg | 0o200, in: inBoth, store: ignoreStore},
	{name: "smaps", mode: reg | 0o444, in: inBoth, access: atOpen, show: showSmaps},
	{name: "smaps_rollup", mode: reg | 0o444, in: inBoth, access: atOpen, show: showSmapsRollup},
	{name: "attr", mode: dir | 0o555, in: inBoth, kind: kindSub, arg: "attr/"},
	{name: "wchan", mode: reg | 0o444, in: inBoth, show: showWchan},
	{name: "stack", mode: reg | 0o400, in: inBoth, access: traceRead, show: showStack},
	{name: "schedstat", mode: reg | 0o444, in: inBoth, show: showSchedstat},
	{name: "cpuset", mode: reg | 0o444, in: inBoth, show: showCpuset},
	{name: "cgroup", mode: reg | 0o444, in: inBoth, show: showCgroup},
	{name: "oom_score", mode: reg | 0o444, in: inBoth, show: showOOMScore},
	{name: "oom_adj", mode: reg | 0o644, in: inBoth, show: showOOMAdj, store: storeOOMAdj},
	{name: "oom_score_adj", mode: reg | 0o644, in: inBoth, show: showOOMScoreAdj, store: storeOOMScoreAdj},
	{name: "loginuid", mode: reg | 0o644, in: inBoth, show: showNoID, store: ignoreStore},
	{name: "sessionid", mode: reg | 0o444, in: inBoth, show: showNoID},
	{name: "coredump_filter", mode: reg | 0o644, in: inProcess, show: showCoreFilter, store: ignoreStore},
	{name: "io", mode: reg | 0o400, in: inBoth, access: atRead, show: showIO},
	{name: "uid_map", mode: reg | 0o644, in: inBoth, show: showUIDMap, store: storeUIDMap},
	{name: "gid_map", mode: reg | 0o644, in: inBoth, show: showGIDMap, store: storeGIDMap},
	{name: "projid_map", mode: reg | 0o644, in: inBoth, show: showProjidMap},
	{name: "setgroups", mode: reg | 0o644, in: inBoth, show: showSetgroups, store: storeSetgroups},
	{name: "timers", mode: reg | 0o444, in: inProcess, show: showTimers},
	{name: "timerslack_ns", mode: reg | 0o666, in: inProcess, show: showTimerSlack, store: storeTimerSlack},
}

// subTable is the entries of the directories of kindSub. They are in both kinds of
// directory; their index goes on after taskTable's.
var subTable = []taskEntry{
	{name: "ns/cgroup", mode: lnk, kind: kindNS, arg: "cgroup"},
	{name: "ns/ipc", mode: lnk, kind: kindNS, arg: "ipc"},
	{name: "ns/mnt", mode: lnk, kind: kindNS, arg: "mnt"},
	{name: "ns/net", mode: lnk, kind: kindNS, arg: "net"},
	{name: "ns/pid", mode: lnk, kind: kindNS, arg: "pid"},
	{name: "ns/pid_for_children", mode: lnk, kind: kindNS, arg: "pid_for_children"},
	{name: "ns/time", mode: lnk, kind: kindNS, arg: "time"},
	{name: "ns/time_for_children", mode: lnk, kind: kindNS, arg: "time_for_children"},
	{name: "ns/user", mode: lnk, kind: kindNS, arg: "user"},
	{name: "ns/uts", mode: lnk, kind: kindNS, arg: "uts"},
	{name: "attr/current", mode: reg | 0o666, show: showNoAttr, store: storeNoAttr},
	{name: "attr/exec", mode: reg | 0o666, show: showNoAttr, store: storeNoAttr},
	{name: "attr/fscreate", mode: reg | 0o666, show: showNoAttr, store: storeNoAttr},
	{name: "attr/keycreate", mode: reg | 0o666, show: showNoAttr, store: storeNoAttr},
	{name: "attr/prev", mode: reg | 0o444, show: showNoAttr},
	{name: "attr/sockcreate", mode: reg | 0o666, show: showNoAttr, store: storeNoAttr},
}

func taskIndex(name string) int {
	for i := range taskTable {
		if taskTable[i].name == name {
			return i
		}
	}
	return -1
}

// entryAt returns the entry with an index as inodes hold it.
func entryAt(i int) *taskEntry {
	if i < len(taskTable) {
		return &taskTable[i]
	}
	return &subTable[i-len(taskTable)]
}
