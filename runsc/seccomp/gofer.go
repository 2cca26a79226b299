package seccomp

import "golang.org/x/sys/unix"

// Why runs do not show rules of the Gofer.
const (
	otherClients = "the Sentry has descriptors for this; the protocol's own way is other clients'"
)

// goferBase is what the Gofer needs to serve files. It can open files, but only beneath
// the trees that it was pivoted into.
var goferBase = Policy{Name: "gofer", Rules: []Rule{
	// The Go runtime.
	{Call: "futex", Args: []Cond{eq(1, futexWaitPrivate, futexWakePrivate)}, Reason: "Go runtime: locks and sleeping threads"},
	{Call: "nanosleep", Reason: "Go runtime: sysmon"},
	{Call: "sched_yield", Reason: "Go runtime: spinning locks", Unseen: timing},
	{Call: "clone", Args: []Cond{eq64(0, goThread|unix.CLONE_SETTLS)}, Reason: "Go runtime: a new thread", Arch: "amd64"},
	{Call: "clone", Args: []Cond{eq64(0, goThread)}, Reason: "Go runtime: a new thread", Arch: "arm64"},
	{Call: "exit", Reason: "Go runtime: a thread that was locked ends",
		Unseen: "ends with the process, but for goroutines that die locked"},
	{Call: "exit_group", Reason: "the Gofer ends"},
	{Call: "getpid", Reason: "Go runtime: before tgkill", Unseen: timing},
	{Call: "gettid", Reason: "Go runtime: new threads"},
	{Call: "tgkill", Args: []Cond{eq(0, 1)}, Reason: "Go runtime: preemption (the Gofer is process 1 of its namespace)",
		Unseen: timing},
	{Call: "rt_sigaction", Args: []Cond{ne(0, sig(unix.SIGSYS))}, Reason: "Go runtime: crash paths; SIGSYS stays as it is",
		Unseen: "only when it dies by a signal"},
	{Call: "rt_sigprocmask", Reason: "Go runtime: thread start"},
	{Call: "rt_sigreturn", Reason: "return from a signal handler", Unseen: timing},
	{Call: "sigaltstack", Reason: "Go runtime: a signal stack for each thread"},
	{Call: "restart_syscall", Reason: "the kernel restarts an interrupted sleep",
		Unseen: "only when a sleeping thread is stopped and continued from outside"},
	{Call: "getrandom", Reason: "Go: map seeds", Unseen: "the vDSO answers since Linux 6.11"},
	{Call: "clock_gettime", Reason: "clocks that the vDSO does not answer",
		Unseen: "all, where the host's clock cannot be read by programs"},
	{Call: "epoll_pwait", Reason: "Go netpoll"},
	{Call: "mmap", Args: []Cond{only(2, unix.PROT_READ|unix.PROT_WRITE), only(3, mapFlags)}, Reason: "Go heap",
		Unseen: "it grows only with many thousands of files in use"},
	{Call: "munmap", Reason: "Go heap", Unseen: "only when the addresses that it wanted for its heap are taken"},
	{Call: "madvise", Args: []Cond{eq(2, unix.MADV_DONTNEED, unix.MADV_FREE, unix.MADV_HUGEPAGE,
		unix.MADV_NOHUGEPAGE, unix.MADV_COLLAPSE)}, Reason: "Go heap",
		Unseen: "the Go runtime gives memory back after minutes without need of it"},
	{Call: "prctl", Args: []Cond{eq64(0, unix.PR_SET_PDEATHSIG)}, Reason: "runsc lets go of the sandbox"},
	{Call: "ppoll", Reason: "wait for the Sentry's end, requests, host changes"},

	// The connection.
	{Call: "read", Reason: "log, inotify, files"},
	{Call: "write", Reason: "log, replies, files"},
	{Call: "sendmsg", Reason: "replies, with donated files"},
	{Call: "recvmsg", Reason: "requests"},
	{Call: "socketpair", Args: []Cond{eq(0, unix.AF_UNIX), eq(1, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC)}, Reason: "a further channel for the Sentry"},
	{Call: "shutdown", Reason: "end a channel"},
	{Call: "close", Reason: "files and channels"},
	{Call: "getsockopt", Args: []Cond{eq(1, unix.SOL_SOCKET), eq(2, unix.SO_TYPE)}, Reason: "kind of the connection"},

	// Files: names are looked up one by one, beneath directories that are held.
	{Call: "openat2", Reason: "every open; RESOLVE_BENEATH"},
	{Call: "statx", Reason: "attributes and identity"},
	{Call: "fstatfs", Reason: "statfs"},
	{Call: "getdents64", Reason: "list a directory"},
	{Call: "lseek", Reason: "position in a directory"},
	{Call: "pread64", Reason: "standard clients without donated files", Unseen: otherClients},
	{Call: "pwrite64", Reason: "standard clients without donated files", Unseen: otherClients},
	{Call: "readlinkat", Reason: "symbolic links"},
	{Call: "mkdirat", Reason: "mkdir"},
	{Call: "mknodat", Reason: "FIFOs, sockets, device nodes"},
	{Call: "symlinkat", Reason: "symlink"},
	{Call: "linkat", Reason: "hard links"},
	{Call: "unlinkat", Reason: "unlink, rmdir"},
	{Call: "renameat2", Reason: "rename"},
	{Call: "fchmodat2", Reason: "chmod"},
	{Call: "fchmod", Reason: "chmod where the host lacks fchmodat2", Unseen: "Linux has fchmodat2 since 6.6"},
	{Call: "fchownat", Reason: "chown"},
	{Call: "utimensat", Reason: "times"},
	{Call: "ftruncate", Reason: "truncate", Unseen: otherClients},
	{Call: "fallocate", Reason: "fallocate", Unseen: otherClients},
	{Call: "fsync", Reason: "fsync"},
	{Call: "fchdir", Reason: "extended attributes and inotify take only paths: bare names in a held directory"},
	{Call: "lgetxattr", Reason: "xattrs of a bare name"},
	{Call: "lsetxattr", Reason: "xattrs of a bare name"},
	{Call: "llistxattr", Reason: "xattrs of a bare name"},
	{Call: "lremovexattr", Reason: "xattrs of a bare name"},
	{Call: "fgetxattr", Reason: "xattrs of a removed file"},
	{Call: "fsetxattr", Reason: "xattrs of a removed file"},
	{Call: "flistxattr", Reason: "xattrs of a removed file"},
	{Call: "fremovexattr", Reason: "xattrs of a removed file"},
	{Call: "fcntl", Args: []Cond{eq(1, unix.F_GETFL, unix.F_DUPFD_CLOEXEC)}, Reason: "roots, removed files"},
	{Call: "umask", Reason: "modes are the Sentry's"},
	{Call: "inotify_init1", Reason: "changes of a shared tree by the host"},
	{Call: "inotify_add_watch", Reason: "changes of a shared tree by the host"},
	{Call: "inotify_rm_watch", Reason: "changes of a shared tree by the host",
		Unseen: "directories are let go when the Sentry knows too many"},
}}

// goferSockets is added when sockets of the host may be used (--host-uds).
var goferSockets = Policy{Name: "gofer-sockets", Rules: []Rule{
	{Call: "socket", Args: []Cond{eq(0, unix.AF_UNIX)}, Reason: "a unix socket of the host"},
	{Call: "connect", Reason: "connect to a socket in a tree"},
	{Call: "bind", Reason: "make a socket in a tree"},
	{Call: "listen", Reason: "let the host connect to a socket that was made in a tree"},
	{Call: "accept4", Args: []Cond{eq(3, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)}, Reason: "take a connection to such a socket"},
}}
