package seccomp

import "golang.org/x/sys/unix"

// Bits that the Sentry may pass.
const (
	protRWX  = unix.PROT_READ | unix.PROT_WRITE | unix.PROT_EXEC
	mapFlags = unix.MAP_SHARED | unix.MAP_PRIVATE | unix.MAP_FIXED | unix.MAP_ANONYMOUS |
		unix.MAP_NORESERVE | unix.MAP_POPULATE | unix.MAP_FIXED_NOREPLACE | mapDroppable
	mapDroppable = 0x08 // Go runtime: the vDSO's getrandom asks for it
	goThread     = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND |
		unix.CLONE_SYSVSEM | unix.CLONE_THREAD
	futexWaitPrivate = 128
	futexWakePrivate = 129
)

// timing is why a run may do without what it needs on another day.
const timing = "how busy the machine is decides whether a run has it"

func sig(s unix.Signal) uint64 { return uint64(s) }

// sentryBase is what the Sentry needs on any platform. It has no call that makes a file,
// socket or process out of a name.
var sentryBase = Policy{Name: "sentry", Rules: []Rule{
	// The Go runtime.
	{Call: "futex", Args: []Cond{eq(1, futexWaitPrivate, futexWakePrivate)}, Reason: "Go runtime: locks and sleeping threads"},
	{Call: "nanosleep", Reason: "Go runtime: sysmon"},
	{Call: "sched_yield", Reason: "Go runtime: spinning locks", Unseen: timing},
	{Call: "clone", Args: []Cond{eq64(0, goThread|unix.CLONE_SETTLS)}, Reason: "Go runtime: a new thread", Arch: "amd64"},
	{Call: "clone", Args: []Cond{eq64(0, goThread)}, Reason: "Go runtime: a new thread", Arch: "arm64"},
	{Call: "exit", Reason: "Go runtime: a thread that was locked ends",
		Unseen: "ends with the process, but for goroutines that die locked"},
	{Call: "exit_group", Reason: "the sandbox ends"},
	{Call: "getpid", Reason: "Go runtime: before tgkill"},
	{Call: "gettid", Reason: "Go runtime: new threads; platforms: the thread that drives a stub"},
	{Call: "tgkill", Args: []Cond{eq(2, sig(unix.SIGURG), sig(unix.SIGKILL), sig(unix.SIGSTKFLT), sig(unix.SIGABRT),
		sig(unix.SIGTERM), sig(unix.SIGHUP), sig(unix.SIGINT), sig(unix.SIGQUIT))},
		Reason: "Go runtime: preemption, death by signal; platforms: interrupt, reset and end a stub"},
	{Call: "rt_sigaction", Args: []Cond{ne(0, sig(unix.SIGSYS))}, Reason: "Go runtime: crash paths; SIGSYS stays as it is",
		Unseen: "only when it dies by a signal"},
	{Call: "rt_sigprocmask", Reason: "Go runtime: thread start"},
	{Call: "rt_sigreturn", Reason: "return from a signal handler"},
	{Call: "sigaltstack", Reason: "Go runtime: a signal stack for each thread"},
	{Call: "restart_syscall", Reason: "the kernel restarts an interrupted sleep",
		Unseen: "only when a sleeping thread is stopped and continued from outside"},
	{Call: "getrandom", Reason: "Go: map seeds and crypto/rand"},
	{Call: "clock_gettime", Reason: "clocks that the vDSO does not answer",
		Unseen: "all, where the host's clock cannot be read by programs"},
	{Call: "epoll_ctl", Reason: "Go netpoll: register a donated file"},
	{Call: "epoll_pwait", Reason: "Go netpoll"},

	// Memory.
	{Call: "mmap", Args: []Cond{only(2, protRWX), only(3, mapFlags)}, Reason: "Go heap; application memory"},
	{Call: "munmap", Reason: "the same"},
	{Call: "madvise", Args: []Cond{eq(2, unix.MADV_DONTNEED, unix.MADV_FREE, unix.MADV_REMOVE,
		unix.MADV_HUGEPAGE, unix.MADV_NOHUGEPAGE, unix.MADV_COLLAPSE, unix.MADV_DONTFORK,
		unix.MADV_DONTDUMP, unix.MADV_POPULATE_READ, unix.MADV_POPULATE_WRITE)},
		Reason: "Go heap; give application pages back", Unseen: "the Go runtime gives memory back after minutes without need of it"},
	{Call: "fallocate", Reason: "punch holes in the memory file; fallocate of donated files"},
	{Call: "ftruncate", Reason: "grow the memory file; truncate donated files"},

	// Donated files: stdio, files from the Gofer, the memory file.
	{Call: "read", Reason: "stdio, control socket, donated files"},
	{Call: "write", Reason: "stdio, log, donated files"},
	{Call: "readv", Reason: "donated files into scattered application pages"},
	{Call: "writev", Reason: "donated files from scattered application pages"},
	{Call: "pread64", Reason: "donated files"},
	{Call: "pwrite64", Reason: "donated files"},
	{Call: "preadv", Reason: "donated files into scattered application pages"},
	{Call: "pwritev", Reason: "donated files from scattered application pages"},
	{Call: "preadv2", Reason: "shared descriptions: do not wait (RWF_NOWAIT)"},
	{Call: "pwritev2", Reason: "the same; append to donated files (RWF_APPEND)"},
	{Call: "lseek", Reason: "donated files: SEEK_DATA, SEEK_HOLE, offsets shared with the host"},
	{Call: "fstat", Reason: "what a donated file is, and its size now"},
	{Call: "fsync", Reason: "fsync of donated files"},
	{Call: "fdatasync", Reason: "fdatasync of donated files"},
	{Call: "close", Reason: "donated files that are no longer used"},
	{Call: "fcntl", Args: []Cond{eq(1, unix.F_GETFL, unix.F_SETFL, unix.F_GETFD, unix.F_SETFD, unix.F_DUPFD_CLOEXEC)},
		Reason: "mode of a donated file, non-blocking stdio, copies of descriptors"},
	{Call: "ioctl", Args: []Cond{eq(1, unix.TCGETS, unix.TCSETS, unix.TCSETSW, unix.TCSETSF,
		unix.TIOCGWINSZ, unix.TIOCSWINSZ, unix.TIOCINQ, unix.TIOCOUTQ)},
		Reason: "a donated terminal: modes, size, bytes waiting; no TIOCSTI, no TIOCSCTTY"},
	{Call: "ppoll", Reason: "look whether stdio is ready without waiting; wait for the Gofer; runsc's end"},

	// Donated sockets: the Gofer and runsc.
	{Call: "sendmsg", Reason: "requests to the Gofer, answers to runsc"},
	{Call: "recvmsg", Reason: "answers of the Gofer and requests of runsc, with donated files"},
	{Call: "accept4", Args: []Cond{only(3, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)}, Reason: "runsc connects to the control socket"},
	{Call: "shutdown", Reason: "end of a donated stream socket (stdio, control)"},
	{Call: "getsockname", Reason: "which port inside a connection from the host's side of the loopback was made to",
		Unseen: "only when an engine forwards a port into a network namespace of its own"},
	{Call: "prctl", Args: []Cond{eq64(0, unix.PR_SET_PDEATHSIG)}, Reason: "runsc lets go of the sandbox"},
}}
