package seccomp

import "golang.org/x/sys/unix"

// Requests of ptrace(2) that x/sys does not name on every architecture.
const (
	ptraceCont           = 7
	ptraceGetRegs        = 12
	ptraceSetRegs        = 13
	ptraceDetach         = 17
	ptraceSysemu         = 31
	ptraceGetSigInfo     = 0x4202
	ptraceGetRegSet      = 0x4204
	ptraceSetRegSet      = 0x4205
	ptraceSeize          = 0x4206
	ptraceGetSyscallInfo = 0x420e
	ptraceInterrupt      = 0x4207
)

// Register sets, and what PTRACE_SEIZE asks for: EXITKILL, TRACESYSGOOD, TRACESECCOMP.
const (
	ntPrstatus      = 1
	ntPrfpreg       = 2
	ntX86Xstate     = 0x202
	ntArmTLS        = 0x401
	ntArmSystemCall = 0x404
	seizeOptions    = unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACESECCOMP
)

// platformPtrace is what the ptrace platform adds. Stubs do not inherit the filter: they
// are copies of one that was made before, and have a filter of their own.
var platformPtrace = Policy{Name: "ptrace", Rules: []Rule{
	{Call: "ptrace", Args: []Cond{eq64(0, ptraceGetRegs, ptraceSetRegs, ptraceCont, ptraceSysemu,
		ptraceGetSigInfo, ptraceDetach, ptraceInterrupt, ptraceGetSyscallInfo)},
		Reason: "drive stubs; the pid namespace holds nothing else to trace"},
	{Call: "ptrace", Args: []Cond{eq64(0, ptraceGetRegSet, ptraceSetRegSet), eq64(2, ntX86Xstate)},
		Reason: "vector state of a stub", Arch: "amd64"},
	{Call: "ptrace", Args: []Cond{eq64(0, ptraceGetRegSet, ptraceSetRegSet), eq64(2, ntPrstatus, ntPrfpreg, ntArmTLS, ntArmSystemCall)},
		Reason: "registers and vector state of a stub", Arch: "arm64"},
	{Call: "ptrace", Args: []Cond{eq64(0, ptraceSeize), eq64(3, seizeOptions)},
		Reason: "attach to a stub at rest; it must die with the Sentry"},
	{Call: "wait4", Args: []Cond{eq(2, unix.WALL)}, Reason: "stops and deaths of stubs"},
	{Call: "sched_setaffinity", Reason: "a stub runs on the processor of its driver"},
	{Call: "getcpu", Reason: "which processor the driver is on"},
}}
