package main

// family is one generated file: the headers it reads and the macro names it keeps.
type family struct {
	file     string   // base name of the Go file
	about    string   // what the file's comment says it holds
	headers  []string // included in this order
	patterns []string // anchored regular expressions over macro names
	exclude  []string // anchored regular expressions over macro names
}

var families = []family{
	{"zfile.go", "files: open, stat, fcntl, access, directory entries, statx, mounts, extended attributes", []string{
		"linux/fcntl.h", "sys/stat.h", "linux/stat.h", "linux/fs.h", "linux/mount.h", "linux/xattr.h", "linux/falloc.h", "linux/openat2.h", "linux/magic.h", "linux/limits.h", "linux/uio.h",
	}, []string{
		"O_[A-Z]+", "AT_[A-Z_]+", "F_[A-Z0-9_]+", "FD_CLOEXEC", "S_I[A-Z0-9]+", "STATX_[A-Z_]+", "MS_[A-Z_]+", "MOUNT_ATTR_[A-Z_]+", "MOVE_MOUNT_[A-Z_]+", "OPEN_TREE_[A-Z]+", "FSOPEN_[A-Z_]+", "FSMOUNT_[A-Z_]+", "FSPICK_[A-Z_]+",
		"XATTR_[A-Z_]+", "FALLOC_FL_[A-Z_]+", "RESOLVE_[A-Z_]+", "SEEK_[A-Z]+", "RENAME_[A-Z_]+", "LOCK_[A-Z]+", "[A-Z0-9]+_SUPER_MAGIC", "[A-Z0-9_]+_MAGIC", "PATH_MAX", "NAME_MAX", "UIO_MAXIOV", "DN_[A-Z]+", "FICLONE", "FS_IOC_[A-Z0-9_]+", "FIONBIO", "RWF_[A-Z]+", "F_SEAL_[A-Z_]+", "FS_[A-Z]+_FL",
	}, []string{"AT_SYSINFO.*", "O_(DIRECTORY|DIRECT|NOFOLLOW|LARGEFILE|TMPFILE)"}},
	{"zmm.go", "memory: mmap, mremap, madvise, msync, mlock, memfd, membarrier, NUMA policies", []string{
		"linux/mman.h", "linux/memfd.h", "linux/membarrier.h", "linux/mempolicy.h",
	}, []string{
		"PROT_[A-Z]+", "MAP_[A-Z0-9_]+", "MREMAP_[A-Z]+", "MADV_[A-Z_]+", "MS_(SYNC|ASYNC|INVALIDATE)", "MCL_[A-Z]+", "MLOCK_[A-Z]+", "MFD_[A-Z_]+", "MPOL_[A-Z_0-9]+", "PKEY_[A-Z_]+", "MEMBARRIER_[A-Z_]+",
	}, []string{"MAP_HUGE_.*", "MAP_UNINITIALIZED"}},
	{"zsignal.go", "signals: numbers, action flags, siginfo codes, sigaltstack", []string{
		"signal.h",
	}, []string{"SIG[A-Z0-9]+", "SA_[A-Z]+", "SI_[A-Z]+", "ILL_[A-Z]+", "FPE_[A-Z]+", "SEGV_[A-Z]+", "BUS_[A-Z]+", "TRAP_[A-Z]+", "CLD_[A-Z]+", "POLL_[A-Z]+", "SS_[A-Z]+", "SIG_(BLOCK|UNBLOCK|SETMASK)", "MINSIGSTKSZ"}, []string{"SIGRTMIN", "SIGRTMAX", "SIGSTKSZ", "MINSIGSTKSZ", "SIG_.*ERR", "SIGCLD", "SIGPOLL"}},
	{"zsched.go", "processes: clone, wait, scheduling, prctl, capabilities, resource limits, futex, rseq, ptrace, seccomp, personality, namespaces", []string{
		"linux/sched.h", "linux/wait.h", "linux/prctl.h", "linux/capability.h", "linux/resource.h", "linux/futex.h", "linux/ptrace.h", "asm/ptrace-abi.h", "linux/seccomp.h", "linux/audit.h", "linux/personality.h", "linux/sched/types.h", "linux/kcmp.h", "linux/pidfd.h", "linux/reboot.h", "linux/nsfs.h", "asm/prctl.h", "linux/filter.h",
	}, []string{"CLONE_[A-Z_0-9]+", "CSIGNAL", "SCHED_[A-Z_]+", "W(NOHANG|UNTRACED|STOPPED|EXITED|CONTINUED|NOWAIT)", "__WNOTHREAD", "__WALL", "__WCLONE", "P_(ALL|PID|PGID|PIDFD)", "PR_[A-Z_0-9]+", "CAP_[A-Z_]+", "_LINUX_CAPABILITY_[A-Z0-9_]+", "RLIMIT_[A-Z]+", "RLIM_[A-Z]+", "RUSAGE_[A-Z]+", "PRIO_[A-Z]+", "FUTEX_[A-Z_0-9]+", "PTRACE_[A-Z_0-9]+", "SECCOMP_[A-Z_0-9]+", "AUDIT_ARCH_(X86_64|AARCH64|I386)", "PIDFD_[A-Z_]+", "LINUX_REBOOT_[A-Z_0-9]+", "ARCH_[A-Z_]+", "KCMP_[A-Z_]+", "NS_GET_[A-Z]+", "BPF_[A-Z0-9]+", "SKF_[A-Z_]+"}, []string{"PR_.*_IOC.*", "SECCOMP_IOCTL.*", "RUSAGE_BOTH", "FUTEX_BITSET_MATCH_ANY_.*", "CLONE_ARGS_.*", "CAP_TO_.*", "FUTEX_OP", "CAP_VALID", "BPF_[A-Z]+_?CLASS"}},
	{"zpoll.go", "waiting: epoll, poll, eventfd, signalfd, timerfd, inotify, fanotify, clocks, timers", []string{
		"linux/eventpoll.h", "asm/poll.h", "sys/eventfd.h", "linux/signalfd.h", "linux/timerfd.h", "linux/inotify.h", "linux/time.h", "linux/timex.h",
	}, []string{"EPOLL[A-Z_]+", "EPOLL_CTL_[A-Z]+", "POLL[A-Z]+", "EFD_[A-Z]+", "SFD_[A-Z]+", "TFD_[A-Z_]+", "IN_[A-Z_]+", "CLOCK_[A-Z_]+", "ITIMER_[A-Z]+", "TIMER_[A-Z]+", "ADJ_[A-Z_]+", "STA_[A-Z]+", "TIME_[A-Z]+"}, []string{"EFD_SHARED_FCNTL_FLAGS", "TFD_SHARED.*", "CLOCKS_MASK", "CLOCKS_MONO"}},
	{"zsocket.go", "sockets: families, types, options, message flags, unix, interfaces", []string{
		"sys/socket.h", "netinet/in.h", "netinet/tcp.h", "netinet/udp.h", "linux/sockios.h", "linux/if_arp.h", "linux/netlink.h", "linux/errqueue.h", "linux/if_packet.h", "linux/if_ether.h",
	}, []string{"PACKET_[A-Z_0-9]+", "TP_STATUS_[A-Z_]+", "ETH_P_(ALL|IP|IPV6|ARP|8021Q)", "AF_[A-Z0-9]+", "SOCK_[A-Z]+", "SOL_[A-Z0-9_]+", "SO_[A-Z0-9_]+", "MSG_[A-Z_]+", "SCM_[A-Z0-9_]+", "SHUT_[A-Z]+", "SOMAXCONN", "IPPROTO_[A-Z0-9]+", "IP_[A-Z_0-9]+", "IPV6_[A-Z_0-9]+", "TCP_[A-Z_0-9]+", "UDP_[A-Z_0-9]+", "SIOC[A-Z0-9]+", "SIOCGSTAMP(NS)?_OLD", "ARPHRD_[A-Z0-9]+", "IFF_[A-Z_]+"}, []string{"SO_.*_LO(W|CK)AT_OLD", "IPV6_ADDR.*"}},
	{"znetlink.go", "netlink: messages, routes, neighbours, rules, socket diagnosis", []string{
		"sys/socket.h", "linux/netlink.h", "linux/rtnetlink.h", "linux/neighbour.h", "linux/fib_rules.h", "linux/sock_diag.h", "linux/inet_diag.h", "linux/unix_diag.h",
	}, []string{"(RTA|RTAX|RTN|RTPROT|RT_SCOPE|RT_TABLE|RTNLGRP|RTEXT_FILTER|NDA|NUD|NTF|FRA|FR_ACT|INET_DIAG|UNIX_DIAG|SOCK_DIAG|UDIAG)_[A-Z0-9_]+", "NETLINK_[A-Z_0-9]+", "NLM_F_[A-Z]+", "NLMSG_[A-Z]+", "RTM_[A-Z]+"}, []string{"NLMSG_(ALIGN|LENGTH|SPACE|DATA|NEXT|OK|PAYLOAD|HDRLEN)"}},
	{"zlink.go", "netlink: attributes of links and addresses", []string{
		"sys/socket.h", "linux/if_link.h", "linux/if_addr.h", "linux/veth.h", "linux/net_namespace.h",
	}, []string{"IFLA_[A-Z_0-9]+", "IFA_[A-Z_0-9]+", "VETH_INFO_[A-Z]+", "NETNSA_[A-Z_]+"}, nil},
	{"znetfilter.go", "netfilter: hooks, verdicts, the socket options of iptables, and its matches", []string{
		"sys/socket.h", "linux/netfilter.h", "linux/netfilter_ipv4/ip_tables.h", "linux/netfilter_ipv6/ip6_tables.h", "linux/netfilter/nf_nat.h", "linux/netfilter/xt_tcpudp.h", "linux/netfilter/xt_conntrack.h", "linux/netfilter/xt_multiport.h", "linux/netfilter/xt_addrtype.h", "linux/netfilter/xt_owner.h", "linux/netfilter_ipv4/ipt_REJECT.h",
	}, []string{"NF_(DROP|ACCEPT|REPEAT|STOP|QUEUE|INET_[A-Z_]+|NAT_[A-Z_]+)", "NFPROTO_[A-Z0-9]+", "IPT_SO_[A-Z_]+", "IP6T_SO_[A-Z_]+", "IPT_F_[A-Z]+", "IP6T_F_[A-Z]+", "XT_[A-Z_0-9]+", "IPT_[A-Z_0-9]+"}, []string{"IPT_ENTRY_[A-Z]+", "XT_(ALIGN|MATCH_.*|TARGET_.*|ENTRY_.*|SET_.*)"}},
	{"ztty.go", "terminals: ioctls, termios flags and control characters", []string{
		"asm/termbits.h", "asm/ioctls.h", "asm/termios.h", "linux/tty.h",
	}, []string{"T(C|IOC)[A-Z0-9]+", "FIO[A-Z]+", "N_TTY", "I(GNBRK|GNPAR|GNCR|NPCK|STRIP|NLCR|CRNL|UCLC|XON|XANY|XOFF|MAXBEL|UTF8|EXTEN|SIG|CANON)", "IX(ON|ANY|OFF)", "BRKINT", "PARMRK", "O(POST|LCUC|NLCR|CRNL|NOCR|NLRET|FILL|FDEL)", "[NTCBVF][RLABSTF]+DLY", "TAB[0-3]", "XTABS", "CBAUD[A-Z]*", "B[0-9]+", "CSIZE", "CS[5-8]", "CSTOPB", "CREAD", "PARENB", "PARODD", "HUPCL", "CLOCAL", "ECHO[A-Z]*", "XCASE", "NOFLSH", "TOSTOP", "FLUSHO", "PENDIN", "EXTPROC", "V[A-Z0-9]+", "NCCS"}, []string{"TCSET.*_OLD", "VLNEXT_.*", "TIOCSER_TEMT_.*"}},
	{"zauxv.go", "ELF and the auxiliary vector", []string{
		"elf.h",
	}, []string{"AT_[A-Z0-9_]+", "ET_[A-Z]+", "EM_(X86_64|AARCH64|386)", "PT_[A-Z_]+", "PF_[RWX]", "NT_[A-Z0-9_]+"}, []string{"AT_L[123].*", "PT_.*(PARISC|HP_|MIPS|ARM|LOOS|HIOS|LOPROC|HIPROC|SUN).*", "NT_.*FREEBSD.*", "AT_(EUID|EGID|FCACHE|DCACHE|ICACHE|UCACHE).*BSIZE"}},
	{"zerrno.go", "error numbers", []string{"asm/errno.h"}, nil, nil},
	{"zsysv.go", "System V IPC and POSIX message queues", []string{"linux/ipc.h", "linux/sem.h", "linux/shm.h", "linux/msg.h", "linux/mqueue.h"}, []string{"IPC_[A-Z0-9]+", "(SEM|SHM|MSG)_[A-Z]+", "GET(PID|VAL|ALL|NCNT|ZCNT)", "SET(VAL|ALL)", "SEM_UNDO", "(SEM|SHM|MSG)(MN[IS]|M[SA][LXB]|MSL|OPM|VMX|ALL|MIN|MAX|MNB)", "MQ_[A-Z_]+"}, nil},
}
