package trap

import (
	"golang.org/x/sys/unix"

	"lazaret/syscalls/abi"
)

// Addresses in a stub. Above the application's range are the slots of its threads, the
// two pages of code and data (private, never writable again), and the request page of its
// mapper, which only the Sentry can write.
const (
	userStart = 0x10000
	userEnd   = areaBase - 0x10000
	areaBase  = 0x7ffe00000000
	codeBase  = 0x7fffffff0000
	dataBase  = codeBase + abi.PageSize
	reqBase   = 0x7fffffff8000
)

var userRange = abi.AddrRange{Start: userStart, End: userEnd}

// A slot is what the Sentry shares with one thread, or with one mapper. Slot i is at
// i*slotLen in the memory file and, in the stub that has the thread, in its area.
const (
	slotLen  = 32 << 10
	maxSlots = 1 << 16
)

// Offsets in the code page; stub_amd64.s puts the code there.
const (
	codeInit    = 0x000
	codeMapper  = 0x080
	codeThread  = 0x400
	codeHandler = 0x500
	codeWait    = 0x600
	codeAgain   = 0x800
	codeResume  = 0x880
	codeNested  = 0x980
	codeGate    = 0xa80
	codeLocal   = 0xb80
	codeReset   = 0xc80
	codeEnd     = 0xd80
	codeLen     = codeEnd + markLen
)

// Offsets in the data page, all of it constant.
const (
	dataPowers = 0x000 // 1<<i for i in 0..63: what the mapper writes to an eventfd
	dataMask   = 0x200 // signal mask of threads
	dataProg   = 0x210 // struct sock_fprog: the filter of threads
	dataFSGS   = 0x220 // user code may read and write the segment bases
	dataFilter = 0x240 // its instructions
)

// Offsets in the request page.
const (
	reqSeq    = 0  // futex: the number of the request
	reqKind   = 4  // reqCalls ...
	reqCount  = 8  // number of calls
	reqEvent  = 16 // the eventfd that ends the request
	reqFile   = 24 // reqFork: the slots' file, the child's slot in it, and
	reqChild  = 32
	reqParent = 40  // the Sentry's process id
	reqStack  = 48  // reqThread: the new thread's stack pointer
	reqResult = 56  // the eventfd that the result goes to
	reqHold   = 64  // futex: 1: threads that get resetSignal forget all and wait
	reqOps    = 128 // calls: number and six arguments each, 64 bytes apart
	opLen     = 64
	maxOps    = (abi.PageSize - reqOps) / opLen
)

// Kinds of request: what is done after the calls.
const (
	reqCalls = iota
	reqThread
	reqFork
)

// Bits that a request's eventfds get. The result, or error number, is below them.
const (
	ansError  = 1 << 39 // result: it is an error number
	ansDone   = 1 << 40 // result: it is whole; end: there is no result
	ansResult = 1 << 41 // end: there is a result. A fork's child writes it
	ansDead   = 1 << 42 // end: from the Sentry itself, a stub has died
)

// Offsets in a thread's slot. The application can write all of it.
const (
	slotPost       = 0x00 // futex: 1: the thread has stopped; 2: it is dead
	slotKind       = 0x04 // a signal number, or kindNotRun
	slotFrame      = 0x08 // stub address of the signal frame
	slotFP         = 0x10 // stub address of the XSAVE image to load
	slotFS         = 0x18 // segment bases where user code can change them
	slotGS         = 0x20
	slotHostSleeps = 0x28 // the Sentry waits for slotPost in the kernel
	slotGo         = 0x40 // futex: goRun, goSave
	slotStubSleeps = 0x44 // the thread waits for slotGo in the kernel
	slotPending    = 0x48 // an interrupt has come while the thread waited
	slotFlags      = 0x4c // flagBases, flagExit
	slotNewFS      = 0x50
	slotNewGS      = 0x58
	slotSpin       = 0x60 // how often to look at slotGo before sleeping
	slotMasked     = 0x64 // interrupts are blocked
	slotXMask      = 0x68 // state components to load
	slotAnswered   = 0x70 // calls that the gate has answered
	slotRegs       = 0x80 // in the order of platform.Regs, R15 to RDI
	slotIret       = 0x100
	slotAltstack   = 0x130 // stack_t
	slotSelf       = 0x148 // the slot's own address, for the gate
	slotMagic      = 0x150 // gateMagic: that GS is the slot
	slotEnd        = 0x158 // used by the gate
	slotBack       = 0x160
	slotFPArea     = 0x180
	slotLocal      = 0xd00  // by system call number: a 32-bit answer plus one, 0 for none
	slotStack      = 0x1000 // the signal stack, to the slot's end: room for eight frames
)

const (
	kindNotRun = 0x100
	kindCall   = 0x200 // a system call through the gate: registers in slotRegs and slotIret

	goRun  = 1 // slotGo
	goSave = 2 // not yet: store the vectors and say where (slotFP)

	flagBases = 3
	flagExit  = 4
)

const (
	// gateEntry and gatePost are the first and the last instruction of a call's way
	// through the gate, localEntry the first of an answer.
	gateEntry  = codeBase + codeGate + markLen
	gatePost   = codeBase + codeWait + markLen
	localEntry = codeBase + codeLocal + markLen
	markLen    = 6

	// handlerPost and againPost tell the Sentry of a signal, and that the thread has not run.
	handlerPost = codeWait + 0x20
	againPost   = codeWait + 0x30

	// Tags of the return address that a trampoline gives to the gate: the jump covers a
	// comparison with -4095 behind the call, or with -4096.
	gateOver  = 1 << 63
	gateOther = 1 << 62
	gateTags  = gateOver | gateOther

	gateMagic = 0x6c7a7274
	numLocal  = 192
)

// Offsets in struct rt_sigframe.
const (
	frameRegs    = 48 // r8-r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags
	frameErr     = frameRegs + 152
	frameTrapNo  = frameRegs + 160
	frameCR2     = frameRegs + 176
	frameInfo    = 312
	frameLen     = frameInfo + 128
	frameFPState = frameRegs + 184
)

const (
	// interruptSignal makes a running thread stop.
	interruptSignal = unix.SIGURG

	// resetSignal makes a thread forget what it was doing (codeReset). No thread that runs
	// application code can block it.
	resetSignal = unix.SIGSTKFLT
)

// handled are the signals that threads take: the processor's exceptions, seccomp's, and
// the Sentry's.
var handled = []unix.Signal{
	unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGSYS, interruptSignal,
}
