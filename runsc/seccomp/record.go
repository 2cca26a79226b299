//go:build seccomprecord

package seccomp

import "golang.org/x/sys/unix"

// With the build tag seccomprecord, which only a test sets, the filters ask a supervisor
// (SECCOMP_RET_USER_NOTIF) about every call that they would allow, so that it can tell
// which rules are needed. The process keeps the listener open; the supervisor fetches it
// (pidfd_getfd(2)).
const installFlags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH | unix.SECCOMP_FILTER_FLAG_NEW_LISTENER

// unasked are calls that nothing runs without and that are made all the time; to ask about
// each would take minutes.
var unasked = []uint32{unix.SYS_FUTEX, unix.SYS_WAIT4}

// unaskedPtrace are such requests of ptrace.
var unaskedPtrace = []uint32{ptraceGetRegs, ptraceSetRegs, ptraceCont, ptraceSysemu}

// installable is the program as it is put in force.
func installable(prog []unix.SockFilter) []unix.SockFilter {
	load := func(off uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: off}
	}
	equal := func(k uint32, jt, jf uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: jt, Jf: jf}
	}
	allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
	head := []unix.SockFilter{load(0)} // seccomp_data.nr
	for _, nr := range unasked {
		head = append(head, equal(nr, 0, 1), allow)
	}
	head = append(head, equal(unix.SYS_PTRACE, 0, uint8(1+2*len(unaskedPtrace))), load(16)) // args[0]
	for _, request := range unaskedPtrace {
		head = append(head, equal(request, 0, 1), allow)
	}
	for i := range prog {
		if prog[i].Code == unix.BPF_RET|unix.BPF_K && prog[i].K == unix.SECCOMP_RET_ALLOW {
			prog[i].K = unix.SECCOMP_RET_USER_NOTIF
		}
	}
	return append(head, prog...)
}

// installed judges the result of seccomp(2): the listener's descriptor.
func installed(uintptr) error { return nil }
