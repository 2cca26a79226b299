package seccomp

import "golang.org/x/sys/unix"

// Requests of ptrace(2) that x/sys does not name on every architecture.
const (
	ptraceCont       = 7
	ptraceGetRegs    = 12
	ptraceSetRegs    = 13
	ptraceDetach     = 17
	ptraceSysemu     = 31
	ptraceSysemuStep = 32
	ptraceGetSigInfo = 0x4202
	ptraceGetRegSet  = 0x4204
	ptraceSetRegSet  = 0x4205
	ptraceSeize      = 0x4206
	ptraceInterrupt  = 0x4207
)

// What a clone may ask for in the stubs: a thread that is traced from its birth, and a
// copy of the stub that is a child of the Sentry. No namespaces, no signal on its death.
const (
	stubThread = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND |
		unix.CLONE_THREAD | unix.CLONE_SYSVSEM | unix.CLONE_PTRACE
	stubFork = unix.CLONE_PARENT | unix.CLONE_FS | unix.CLONE_FILES
)

// platformPtrace is what the ptrace platform adds. The filter is inherited by the stubs,
// where the platform makes the same calls by hand; calls of applications never reach it
// (PTRACE_SYSEMU), and the stubs have a shorter filter of their own on top.
var platformPtrace = Policy{Name: "ptrace", Rules: []Rule{
	{Call: "ptrace", Args: []Cond{eq64(0, ptraceGetRegs, ptraceSetRegs, ptraceCont, ptraceSysemu,
		ptraceSysemuStep, ptraceGetSigInfo, ptraceGetRegSet, ptraceSetRegSet, ptraceDetach,
		ptraceSeize, ptraceInterrupt)},
		Reason: "drive stubs; the pid namespace holds nothing else to attach to"},
	{Call: "clone", Args: []Cond{eq64(0, stubThread, stubFork)}, Reason: "a new thread in a stub, a copy of a stub"},
	{Call: "wait4", Reason: "stops and deaths of stubs"},
	{Call: "sched_setaffinity", Reason: "a stub runs on the processor of its driver"},
	{Call: "getcpu", Reason: "which processor the driver is on"},
	{Call: "getppid", Reason: "a new stub checks that the Sentry still lives"},
	{Call: "pause", Reason: "a stub without work", Arch: "amd64"},
}}
