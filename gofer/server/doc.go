// Package server is the file server process, the only one of a container that can open
// files. Serve answers one Sentry over a socket (protocol: package proto) from attach
// points that were opened before the process was confined. The client is hostile: it
// may be a Sentry that an application took over.
//
// # Names
//
// No path is ever resolved. A request gives a fid and single names; each name is looked
// up in its directory's descriptor by a call that follows no link (openat2 with
// RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS and O_NOFOLLOW, or statx,
// readlinkat, unlinkat... of one name). Names with '/', "..", "." and such are refused, so
// nothing leads above a root, whatever is renamed meanwhile. Txlist alone has several names
// looked up at once, by one openat2 with the same flags.
//
// A known file is a node: its parent, name and identity (device, inode, type). It has a
// descriptor only when one is needed (directories that are walked through, files whose
// attributes change), at most Config.MaxFDs of them; the coldest are closed and opened
// again from their parents. After opening by name the identity is compared: ESTALE if the
// name now belongs to another file (or, on overlay file systems of several devices, if a
// first write copied it up): the client walks again. A file whose name is removed through
// us while the client holds it keeps a descriptor open for reading; fds that the client
// already got go on working anyway. /proc is not needed: a /proc descriptor would let a
// taken-over gofer reach other processes' roots.
//
// # Process
//
// Serve owns the process's umask (0) and working directory (extended attributes, inotify
// and Unix sockets take only paths: we move to the parent and use the bare name). Files
// are created with the owner that the client names; the host's permission checks are
// those of the gofer's own credentials, so the Sentry checks permissions itself. It needs
// CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, for devices CAP_MKNOD and for
// security.capability CAP_SETFCAP; linking an O_TMPFILE file needs CAP_DAC_READ_SEARCH
// before Linux 6.10. Linux 5.8 or later.
//
// # Host calls
//
// After Serve starts, this package makes these calls; the seccomp filter needs them and
// what the Go runtime needs (futex, mmap, munmap, madvise, mprotect, rt_sig*, sigaltstack, clone/clone3 with
// CLONE_THREAD, set_robust_list, rseq, sched_yield, sched_getaffinity, nanosleep, getpid,
// gettid, tgkill, epoll_*, eventfd2, clock_gettime, exit, exit_group, restart_syscall).
//
//	recvmsg, sendmsg     requests and replies (flags MSG_DONTWAIT, MSG_CMSG_CLOEXEC, MSG_NOSIGNAL)
//	ppoll                wait for host changes, mounts, or the event channel's end
//	shutdown             wake our own threads when the client is gone
//	getsockopt           SO_TYPE of a connection, at its start
//	socketpair           AF_UNIX SOCK_SEQPACKET: more channels for the client
//	close                descriptors
//	fcntl                F_DUPFD_CLOEXEC, F_GETFL: roots, removed files
//	umask                0, once
//	openat2              every open; resolve is never 0
//	statx                attributes and identity
//	getdents64, lseek    list directories
//	readlinkat           symbolic links
//	mkdirat, mknodat, symlinkat, linkat, unlinkat, renameat2   names
//	fchownat, utimensat, ftruncate, fallocate                  attributes and size
//	fchmodat2, fchmod    permissions (fchmod where the kernel lacks fchmodat2)
//	fstatfs              statfs
//	fsync                fsync
//	pread64, pwrite64    standard clients without donated descriptors
//	fchdir               the working directory for the calls below
//	lgetxattr, lsetxattr, llistxattr, lremovexattr             of a bare name
//	fgetxattr, fsetxattr, flistxattr, fremovexattr             of a removed file
//	inotify_init1, inotify_add_watch, inotify_rm_watch, read   shared roots only
//	socket, connect, bind, listen, accept4   AF_UNIX; only if a root has AllowUnix
//
// # Locks
//
// session.tree, then fid.mu, then cwd, then session.mu, then watcher.mu. No host call
// that may wait is made under the last two (inotify_add_watch is, of what was just looked at).
package server
