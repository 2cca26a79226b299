package main

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazaret/runsc/sandbox"
)

// sysCall is a raw call that a compromised Sentry makes.
type sysCall struct {
	nr   uintptr
	args [6]uintptr
}

// Things that attempts point to; package variables do not move.
var (
	rootPath   = []byte("/\x00")
	passwdPath = []byte("/etc/passwd\x00")
	procPath   = []byte("/proc/self/mem\x00")
	shPath     = []byte("/bin/sh\x00")
	area       [4096]byte
)

func addr(b []byte) uintptr {
	// SAFETY: only package variables are passed; they are never moved or freed.
	return uintptr(unsafe.Pointer(&b[0]))
}

// attempts are the ways out, by name. Each must end the process.
func attempts() map[string]sysCall {
	cwd := ^uintptr(99) // AT_FDCWD
	a, root, passwd := addr(area[:]), addr(rootPath), addr(passwdPath)
	call := func(nr uintptr, args ...uintptr) sysCall {
		c := sysCall{nr: nr}
		copy(c.args[:], args)
		return c
	}
	return map[string]sysCall{
		"openat":                  call(unix.SYS_OPENAT, cwd, passwd, 0),
		"openat-proc":             call(unix.SYS_OPENAT, cwd, addr(procPath), 0),
		"openat2":                 call(unix.SYS_OPENAT2, cwd, passwd, a, 24),
		"socket":                  call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0),
		"socketpair":              call(unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM, 0, a),
		"connect":                 call(unix.SYS_CONNECT, 2, a, 16),
		"bind":                    call(unix.SYS_BIND, 2, a, 16),
		"execve":                  call(unix.SYS_EXECVE, addr(shPath), 0, 0),
		"execveat":                call(unix.SYS_EXECVEAT, cwd, addr(shPath), 0, 0, 0),
		"ptrace-attach":           call(unix.SYS_PTRACE, unix.PTRACE_ATTACH, 1),
		"ptrace-peek":             call(unix.SYS_PTRACE, unix.PTRACE_PEEKDATA, 1),
		"mount":                   call(unix.SYS_MOUNT, root, root, root, 0, 0),
		"umount2":                 call(unix.SYS_UMOUNT2, root, 2),
		"open_tree":               call(unix.SYS_OPEN_TREE, cwd, root, 1),
		"fsopen":                  call(unix.SYS_FSOPEN, root, 0),
		"pivot_root":              call(unix.SYS_PIVOT_ROOT, root, root),
		"chroot":                  call(unix.SYS_CHROOT, root),
		"chdir":                   call(unix.SYS_CHDIR, root),
		"setns":                   call(unix.SYS_SETNS, 0, 0),
		"unshare":                 call(unix.SYS_UNSHARE, unix.CLONE_NEWUSER),
		"clone-newuser":           call(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD), 0),
		"clone-fork":              call(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0),
		"clone3":                  call(unix.SYS_CLONE3, a, 88),
		"open_by_handle_at":       call(unix.SYS_OPEN_BY_HANDLE_AT, cwd, a, 0),
		"name_to_handle_at":       call(unix.SYS_NAME_TO_HANDLE_AT, cwd, root, a, a, 0),
		"process_vm_readv":        call(unix.SYS_PROCESS_VM_READV, 1, a, 1, a, 1, 0),
		"process_vm_writev":       call(unix.SYS_PROCESS_VM_WRITEV, 1, a, 1, a, 1, 0),
		"process_madvise":         call(unix.SYS_PROCESS_MADVISE, 0, a, 1, 4, 0),
		"pidfd_open":              call(unix.SYS_PIDFD_OPEN, 1, 0),
		"pidfd_getfd":             call(unix.SYS_PIDFD_GETFD, 3, 0, 0),
		"kill":                    call(unix.SYS_KILL, ^uintptr(0), 0),
		"bpf":                     call(unix.SYS_BPF, 0, a, 64),
		"perf_event_open":         call(unix.SYS_PERF_EVENT_OPEN, a, 0, ^uintptr(0), ^uintptr(0), 0),
		"userfaultfd":             call(unix.SYS_USERFAULTFD, 0),
		"io_uring_setup":          call(unix.SYS_IO_URING_SETUP, 8, a),
		"keyctl":                  call(unix.SYS_KEYCTL, 0),
		"add_key":                 call(unix.SYS_ADD_KEY, a, a, a, 1, 0),
		"request_key":             call(unix.SYS_REQUEST_KEY, a, a, a, 0),
		"init_module":             call(unix.SYS_INIT_MODULE, a, 1, a),
		"finit_module":            call(unix.SYS_FINIT_MODULE, 2, a, 0),
		"kexec_load":              call(unix.SYS_KEXEC_LOAD, 0, 0, a, 0),
		"reboot":                  call(unix.SYS_REBOOT, 0, 0, 0),
		"setuid":                  call(unix.SYS_SETUID, 0),
		"capset":                  call(unix.SYS_CAPSET, a, a),
		"prctl-dumpable":          call(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1),
		"prctl-seccomp":           call(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, 2, a),
		"seccomp":                 call(unix.SYS_SECCOMP, 1, 0, a),
		"rt_sigaction-sigsys":     call(unix.SYS_RT_SIGACTION, uintptr(unix.SIGSYS), a, 0, 8),
		"ioctl-tiocsti":           call(unix.SYS_IOCTL, 2, unix.TIOCSTI, a),
		"ioctl-tiocsctty":         call(unix.SYS_IOCTL, 2, unix.TIOCSCTTY, 0),
		"ioctl-fsgetflags":        call(unix.SYS_IOCTL, 2, 0x80086601, a),
		"fcntl-setown":            call(unix.SYS_FCNTL, 2, unix.F_SETOWN, 1),
		"fcntl-notify":            call(unix.SYS_FCNTL, 2, unix.F_NOTIFY, 1),
		"mmap-growsdown":          call(unix.SYS_MMAP, 0, 4096, 3, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_GROWSDOWN, ^uintptr(0), 0),
		"memfd_create":            call(unix.SYS_MEMFD_CREATE, root, 0),
		"inotify_init1":           call(unix.SYS_INOTIFY_INIT1, 0),
		"fanotify_init":           call(unix.SYS_FANOTIFY_INIT, 0, 0),
		"shmget":                  call(unix.SYS_SHMGET, 1, 4096, 0o1000),
		"mq_open":                 call(unix.SYS_MQ_OPEN, root, 0),
		"prlimit64":               call(unix.SYS_PRLIMIT64, 0, 7, 0, 0),
		"uname":                   call(unix.SYS_UNAME, a),
		"sysinfo":                 call(unix.SYS_SYSINFO, a),
		"syslog":                  call(unix.SYS_SYSLOG, 3, a, 10),
		"fchdir":                  call(unix.SYS_FCHDIR, 2),
		"fchmod":                  call(unix.SYS_FCHMOD, 2, 0o777),
		"unknown-high":            call(9999),
		"unknown-negative":        call(^uintptr(0)),
		"statfs":                  call(unix.SYS_STATFS, root, a),
		"futex-requeue":           call(unix.SYS_FUTEX, a, 3, 1, 1, a, 0),
		"clock_settime":           call(unix.SYS_CLOCK_SETTIME, 0, a),
		"vmsplice":                call(unix.SYS_VMSPLICE, 2, a, 1, 0),
		"remap_file_pages":        call(unix.SYS_REMAP_FILE_PAGES, a, 4096, 0, 0, 0),
		"personality":             call(unix.SYS_PERSONALITY, 0x40000),
		"landlock_create_ruleset": call(444, 0, 0, 1),
		"pidfd_send_signal":       call(unix.SYS_PIDFD_SEND_SIGNAL, 3, 9, 0, 0),
		"sendmmsg":                call(unix.SYS_SENDMMSG, 3, a, 1, 0),
		"dup":                     call(unix.SYS_DUP, 2),
		"setsid":                  call(unix.SYS_SETSID),
		"sched_setscheduler":      call(unix.SYS_SCHED_SETSCHEDULER, 0, 1, a),
	}
}

// attempt makes one forbidden call. If it comes back, whatever the result, the
// confinement has failed.
func attempt(cfg *sandbox.BootConfig, name string) {
	// The test says when, on the standard input: not before it knows that the start worked.
	var b [1]byte
	_, _ = unix.Read(cfg.StdioFDs[0], b[:])

	c, ok := archAttempts()[name]
	if !ok {
		if c, ok = attempts()[name]; !ok {
			fmt.Fprintln(os.Stderr, "standin: no such attempt:", name)
			os.Exit(3)
		}
	}
	r, _, errno := unix.Syscall6(c.nr, c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5])
	fmt.Fprintf(os.Stderr, "standin: %s came back: %d %v\n", name, r, errno)
	os.Exit(4)
}
