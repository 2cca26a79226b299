package trap

import (
	"golang.org/x/sys/unix"

	"lazaret/platform/internal/bpf"
)

// Flags of the clone calls that the mapper makes; stub_amd64.s has them too.
const (
	threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND |
		unix.CLONE_THREAD | unix.CLONE_SYSVSEM
	// A copy of the address space, a child of the Sentry, without an exit signal.
	forkFlags = unix.CLONE_PARENT | unix.CLONE_FS | unix.CLONE_FILES
)

const (
	archSetGS = 0x1001
	archSetFS = 0x1002

	setModeFilter = 1
	specAllow     = 4
)

// startFilter begins a filter: whatever is not a system call of the code page traps. So
// does what a filter refuses at its end: an application that jumps into the code page
// with numbers of its choice has made a system call.
func startFilter() bpf.Filter {
	var f bpf.Filter
	f.Load(bpf.DataIP)
	f.Add(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, 0, 0, 0xfffff000)
	f.Add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 1, 0, codeBase&0xffffffff)
	f.Ret(unix.SECCOMP_RET_TRAP)
	f.Load(bpf.DataIP + 4)
	f.Add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 1, 0, codeBase>>32)
	f.Ret(unix.SECCOMP_RET_TRAP)
	f.Load(bpf.DataArch)
	f.Add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 1, 0, unix.AUDIT_ARCH_X86_64)
	f.Ret(unix.SECCOMP_RET_TRAP)
	return f
}

// threadRules are the calls that application code can make, by jumping to them with any
// registers. None of them reaches beyond its own process.
func threadRules(f *bpf.Filter, fsgs bool) {
	f.Rule(unix.SYS_FUTEX, bpf.ArgIs(1, futexOpWait))
	f.Rule(unix.SYS_FUTEX, bpf.ArgIs(1, futexOpWake))
	f.Rule(unix.SYS_RT_SIGPROCMASK, bpf.ArgIs(0, unix.SIG_SETMASK),
		bpf.ArgMasked(1, ^uint64(0), dataBase+dataMask), bpf.ArgIs(2, 0))
	if !fsgs {
		f.Rule(unix.SYS_ARCH_PRCTL, bpf.ArgIs(0, archSetFS))
		f.Rule(unix.SYS_ARCH_PRCTL, bpf.ArgIs(0, archSetGS))
	}
	f.Rule(unix.SYS_EXIT)
}

// threadFilter is what application code runs under, on top of the mapper's.
func threadFilter(fsgs bool) []unix.SockFilter {
	f := startFilter()
	threadRules(&f, fsgs)
	f.Ret(unix.SECCOMP_RET_TRAP)
	return f
}

// mapperFilter is what the mapper runs under.
func mapperFilter(fsgs bool) []unix.SockFilter {
	f := startFilter()
	threadRules(&f, fsgs)
	f.Rule(unix.SYS_MMAP, bpf.ArgMasked(3, ^uint64(unix.MAP_POPULATE), unix.MAP_SHARED|unix.MAP_FIXED))
	f.Rule(unix.SYS_MUNMAP)
	f.Rule(unix.SYS_MPROTECT)
	// Answers: constants of the data page.
	f.Rule(unix.SYS_WRITE, bpf.ArgMasked(1, ^uint64(0x1ff), dataBase+dataPowers), bpf.ArgIs(2, 8))
	f.Rule(unix.SYS_CLONE, bpf.ArgIs(0, threadFlags))
	f.Rule(unix.SYS_CLONE, bpf.ArgIs(0, forkFlags))
	f.Rule(unix.SYS_SIGALTSTACK)
	f.Rule(unix.SYS_SECCOMP, bpf.ArgIs(0, setModeFilter), bpf.ArgIs(1, specAllow), bpf.ArgMasked(2, ^uint64(0), dataBase+dataProg))
	f.Rule(unix.SYS_PRCTL, bpf.ArgIs(0, unix.PR_SET_PDEATHSIG), bpf.ArgIs(1, uint32(unix.SIGKILL)))
	f.Rule(unix.SYS_GETPPID)
	f.Rule(unix.SYS_EXIT_GROUP)
	f.Ret(unix.SECCOMP_RET_TRAP)
	return f
}
