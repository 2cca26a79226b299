package seccomp

import "golang.org/x/sys/unix"

// hostSocketFlags come with the type of each socket that the network proxy makes.
const hostSocketFlags = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC

// netProxy is what the network proxy needs (--network user). It can connect to the network
// that it is in, and neither bind nor listen: the sockets of published ports were opened by
// runsc. It has no file to open.
var netProxy = Policy{Name: "netproxy", Rules: []Rule{
	// The Go runtime.
	{Call: "futex", Args: []Cond{eq(1, futexWaitPrivate, futexWakePrivate)}, Reason: "Go runtime: locks and sleeping threads"},
	{Call: "nanosleep", Reason: "Go runtime: sysmon"},
	{Call: "sched_yield", Reason: "Go runtime: spinning locks", Unseen: timing},
	{Call: "clone", Args: []Cond{eq64(0, goThread|unix.CLONE_SETTLS)}, Reason: "Go runtime: a new thread", Arch: "amd64", Unseen: timing},
	{Call: "clone", Args: []Cond{eq64(0, goThread)}, Reason: "Go runtime: a new thread", Arch: "arm64", Unseen: timing},
	{Call: "exit", Reason: "Go runtime: a thread that was locked ends",
		Unseen: "ends with the process, but for goroutines that die locked"},
	{Call: "exit_group", Reason: "the proxy ends"},
	{Call: "getpid", Reason: "Go runtime: before tgkill", Unseen: timing},
	{Call: "gettid", Reason: "Go runtime: new threads", Unseen: timing},
	{Call: "tgkill", Args: []Cond{eq(0, 1)}, Reason: "Go runtime: preemption (the proxy is process 1 of its namespace)",
		Unseen: timing},
	{Call: "rt_sigaction", Args: []Cond{ne(0, sig(unix.SIGSYS))}, Reason: "Go runtime: crash paths; SIGSYS stays as it is",
		Unseen: "only when it dies by a signal"},
	{Call: "rt_sigprocmask", Reason: "Go runtime: thread start", Unseen: timing},
	{Call: "rt_sigreturn", Reason: "return from a signal handler", Unseen: timing},
	{Call: "sigaltstack", Reason: "Go runtime: a signal stack for each thread", Unseen: timing},
	{Call: "restart_syscall", Reason: "the kernel restarts an interrupted sleep",
		Unseen: "only when a sleeping thread is stopped and continued from outside"},
	{Call: "getrandom", Reason: "Go: map seeds; ports and sequence numbers", Unseen: "the vDSO answers since Linux 6.11"},
	{Call: "clock_gettime", Reason: "clocks that the vDSO does not answer",
		Unseen: "all, where the host's clock cannot be read by programs"},
	{Call: "mmap", Args: []Cond{only(2, unix.PROT_READ|unix.PROT_WRITE), only(3, mapFlags)}, Reason: "Go heap",
		Unseen: "it grows only with many connections"},
	{Call: "munmap", Reason: "Go heap", Unseen: "only when the addresses that it wanted for its heap are taken"},
	{Call: "madvise", Args: []Cond{eq(2, unix.MADV_DONTNEED, unix.MADV_FREE, unix.MADV_HUGEPAGE,
		unix.MADV_NOHUGEPAGE, unix.MADV_COLLAPSE)}, Reason: "Go heap",
		Unseen: "the Go runtime gives memory back after minutes without need of it"},
	{Call: "prctl", Args: []Cond{eq64(0, unix.PR_SET_PDEATHSIG)}, Reason: "runsc lets go of the sandbox"},
	{Call: "ppoll", Reason: "wait for the Sentry's end, and runsc's",
		Unseen: "the wait began before the filter was there; a signal makes it begin anew"},
	{Call: "epoll_pwait", Reason: "Go netpoll: sockets"},
	{Call: "epoll_ctl", Reason: "Go netpoll: a new socket, or one that goes"},

	// The wire to the Sentry, and sockets.
	{Call: "read", Reason: "frames, connections"},
	{Call: "write", Reason: "connections and datagrams; the log"},
	{Call: "sendmsg", Args: []Cond{eq(2, unix.MSG_NOSIGNAL)}, Reason: "frames to the Sentry, gathered from their parts"},
	{Call: "socket", Args: []Cond{eq(0, unix.AF_INET, unix.AF_INET6), eq(1, unix.SOCK_STREAM|hostSocketFlags), eq(2, 0)},
		Reason: "a TCP connection of the sandbox"},
	{Call: "socket", Args: []Cond{eq(0, unix.AF_INET, unix.AF_INET6), eq(1, unix.SOCK_DGRAM|hostSocketFlags),
		eq(2, 0, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6)}, Reason: "a UDP flow or a ping of the sandbox"},
	{Call: "connect", Reason: "to where the sandbox wants"},
	{Call: "accept4", Args: []Cond{eq(3, hostSocketFlags)}, Reason: "a connection to a published port"},
	{Call: "recvfrom", Reason: "datagrams, with who sent them"},
	{Call: "sendto", Args: []Cond{eq(3, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)}, Reason: "answers of a published UDP port"},
	{Call: "shutdown", Reason: "the sandbox has ended a direction of a connection"},
	{Call: "setsockopt", Args: []Cond{eq(1, unix.SOL_SOCKET), eq(2, unix.SO_LINGER)}, Reason: "pass a reset on"},
	{Call: "setsockopt", Args: []Cond{eq(1, unix.IPPROTO_TCP), eq(2, unix.TCP_NODELAY)}, Reason: "what the sandbox sent was delayed there"},
	{Call: "fcntl", Args: []Cond{eq(1, unix.F_GETFL)}, Reason: "Go: os.NewFile looks whether a socket blocks"},
	{Call: "close", Reason: "flows that have ended"},
}}
