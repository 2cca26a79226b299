// Package trap is the platform that is fast: application code runs in stub processes
// under a seccomp filter, by which each of its system calls raises SIGSYS in its own
// thread; a small handler (stub_amd64.s) hands the registers over in shared memory.
//
// # Stubs
//
// New makes one template process from the Sentry: it drops its capabilities, sets signal
// handlers, installs a filter and unmaps all memory of the Sentry. Every other stub is
// cloned from it, or from the stub that it is a fork of. Stubs are children of one thread
// of the Sentry, whose goroutine reaps them, and share its descriptor table, from which
// Map maps files.
//
// The kernel makes most forks in a stub that was kept from another life (below), so what
// a stub's own clone is for is that of large processes, and the first ones.
//
// An addressSpace is one stub process. Its first thread, the mapper, runs no application
// code: it maps, unmaps, protects, makes threads and forks for the Sentry, one request
// after the other. A context has one further thread in the address space that it runs in.
//
// # Memory that is not the application's
//
// The application's range ends below (layout_amd64.go) the slots of its threads, a page
// of code, a page of constants and the mapper's request page.
//
//   - Code and constants are private memory that is never writable once there.
//   - The request page is mapped for reading only; the Sentry writes it by a mapping of
//     its own.
//   - Slots are the application's to write, at any time.
//
// # What application code can reach
//
// It has all registers and all memory of its own address space, and can jump anywhere,
// also into the code page. The argument why it reaches nothing else:
//
//  1. Its threads have a filter (threadFilter) under which a system call instruction
//     anywhere but in the code page raises SIGSYS. In the code page it can make, with any
//     registers: futex (wait and wake only), rt_sigprocmask (to the mask that threads
//     have, from the constants), arch_prctl (segment bases, where user code could not
//     set them anyway), exit (of that thread). None has an effect outside of its own address space: no
//     other process waits for futexes in memory that it shares with it, but for the
//     Sentry, for which see 5. None needs a file descriptor.
//  2. A thread has this filter before its first instruction of application code, and
//     before it takes its first signal: it is born in the code page with signals blocked
//     (codeThread) and takes nothing from writable memory but the address of its signal
//     stack.
//  3. The mapper has a weaker filter: it can map descriptors of the Sentry. It runs in
//     the code page only, uses no stack, blocks all signals and reads nothing but the
//     request page and constants. No memory that the application can write, and no call
//     that it can make, changes what the mapper does.
//  4. The mapper answers by adding constants to an eventfd, which the application cannot
//     reach: it has no call that takes a descriptor. So Unmap and Protect have happened
//     when they return, whatever the application does meanwhile, and a thread's or a
//     process's number is the host's.
//  5. All that the Sentry reads from slots is taken as the application's own registers,
//     its own faults and its own vector state: copied once, then made acceptable
//     (machine.Sanitize, Xstate.FromFrame), and used for nothing but to run that same
//     application. Offsets in them are checked. Words that say who sleeps decide about
//     wake-ups only: by lying an application makes its own thread sleep, or the Sentry
//     look once more. The Sentry wakes all who wait for a word, so nobody can take its
//     wake-ups.
//  6. A thread that does not answer an interrupt any more, because its program has spoilt
//     the slot or waits inside the code page, loses its process (watch_amd64.go), so
//     every task can be killed.
//  7. Release waits for the host to report the process's death, or empties the process
//     (see below); slots are zeroed before they have another owner.
//
// # More lives than one
//
// Stubs whose address space ends are kept for the next one (recycle_amd64.go), which may
// be another user's or another container's: a process and a filter for a thread are what
// an exec costs the host most. All that a stub is, apart from its memory and its threads'
// registers, is the same for every one of a Sentry's. Why nothing of one life is there in
// the next:
//
//  1. Memory: the mapper unmaps the application's whole range, and says so where no
//     application can (4 above). What is left is code, constants, the request page, of
//     which the requests are cleared, and the threads' slots.
//  2. A thread is not believed to be where its slot says. The request page, which only the
//     Sentry can write, says that the life has ended; then each thread gets resetSignal,
//     which nobody can block: no mask that the filter lets a thread set has it, and no handler
//     does. From its handler (codeReset) there is no way back: it uses neither
//     the registers nor the slot that it finds, and waits for a word of the request page.
//  3. That the thread is there, the host says: FUTEX_WAKE on that word counts whom it has
//     woken, and nobody but the stub's threads can wait for it. Who is counted was inside the kernel
//     after the signal had been sent, even if it had gone to sleep there by its program's
//     choice: so before it executes anything else it has begun the handler. It takes as many as
//     there are threads, twice: the second time, what the host wrote into the slot when the
//     signal came is complete.
//  4. Only then the slot is zeroed and filled as for a new thread, and the thread goes on.
//     It drops all registers that it has, also flags, selectors and vectors, so that nothing
//     is left that a signal could write into the slot; then it waits like a new thread. The first Switch loads all registers,
//     vectors and segment bases. The rest of what a thread has (signal mask and stack,
//     filter) its program could not change. Contexts of the life before lose their thread
//     before all that.
//  5. Whoever is not certain is killed: a stub with a thread that was told to end or could
//     not be made, one whose mapper reports an error, one that has died or lost its process
//     to the watchdog, one whose threads do not rest in time.
//
// The processor's caches and predictors are as they are when threads of one process follow
// each other; threads of different stubs are not kept apart there either.
//
// # The handler
//
// Signals come on the slot's signal stack. SIGSYS blocks nothing, the others block each
// other; the handler unblocks them when it resumes the thread, and never returns through
// rt_sigreturn (so the filter need not allow it): it loads vectors by XRSTOR from the
// frame or from what the Sentry wrote, and the registers by IRETQ. A signal from outside
// (the Sentry's interrupt) that hits the code page is recognised by its address: while
// the handler or the wait is under way it begins that part again. The instruction that
// posts belongs to the wait, so what has been posted is not posted again; after the Sentry's go it makes the handler report that the
// thread has not run. The frame that an application sees never names the code page unless
// it jumped there.
//
// # The gate
//
// A signal costs 4 us, so a call that is made often gets here without: sentry/mm replaces
// its instruction by a jump to a trampoline of a few instructions, and that jumps to the
// gate (codeGate), which stores the registers in the slot, posts, and waits as the handler
// does. It uses neither the stack nor the vectors: RCX and R11 are free, since a system
// call changes them, R11 brings the return address, and GS is the slot. A thread whose
// program has not set GS has its slot's address there (the program is told 0); magic
// numbers that are not there, or a fault, make the gate refuse, which the Sentry takes
// for the system call that it was. So a program that uses GS for itself loses speed only.
//
// Which instructions can be replaced says patch_amd64.go. What others see of it:
//
//   - Registers in signal frames, for debuggers and filters name the program's own
//     instructions. A thread that is interrupted in a trampoline or in the gate before it
//     has posted is put back to the call (Rewind, leaveGate); afterwards it is behind it.
//   - The Sentry reads memory by its own page table, which does not know of patches: so
//     /proc/PID/mem, process_vm_readv, ptrace and system calls that are given code as
//     data see the original bytes. Only loads of the program itself see the jump, as do
//     those of a trampoline's address, where nothing is mapped as far as it knows.
//   - Pages that can be written, or are shared, are not patched; changing the mapping,
//     its permissions, or the bytes (by a debugger) puts the page back first. For a thread
//     that is traced or single-steps, all pages are, for good.
//   - Loads that look at code are rare: unwinders look for rt_sigreturn, which is not
//     patched. A program that sums up its own code may see a difference.
//   - Code that jumps to the system call instruction itself finds it (mov; syscall) or
//     the jump (syscall; cmp). Code that jumps to the cmp, or comes back there from
//     a signal handler, executes an instruction that does not exist: the Sentry does the
//     cmp in its place. Where it resumes a thread there itself, it does so before.
//
// Some calls the gate answers itself, with what the Sentry has put into the slot
// (SetAnswer): those whose results change so rarely that whoever changes them can take the
// answers back. Which and when is the kernel's business (sentry/kernel/answers.go). The
// slot is the program's to write: it can lie to itself about its process number. What the
// Sentry knows does not come from there. The signal mask is not among them, since the
// Sentry would have to take it from there: a shell that forks makes seven calls in a hundred
// for it, a third of a percent of its time.
//
// The vectors stay in their registers while the Sentry works. When it needs them (signal
// frames, clone, debuggers) it asks (goSave) and the thread stores them.
//
// The gate adds nothing to what application code can reach. It makes no system call but
// the wait's. All that it writes is in the thread's own slot, or where a program says by a
// forged GS, in its own memory; and the Sentry takes what it finds there for the
// program's registers, as it does with frames (TRUST, gateCall). Trampolines are mapped
// for reading and executing only, like the code that jumps to them, and hold nothing
// but these few instructions; to execute any part of one, from anywhere, is to jump to the
// gate with registers of one's choice. A thread that does not give its vectors loses its
// process like one that does not stop.
//
// Of the 533 places in Debian's libc.so.6 that hold the instruction's bytes 501 can be
// replaced (436 by the mov before, 65 by the cmp behind), of musl's 241 of 245 that have the
// mov, and the one in Go that nearly all of its calls go through.
//
// Measured side by side on a machine of two processors that was busy with 20 other
// threads, in ns a call, the least of 1500 runs (the same program natively, with all calls
// by signal, and now):
//
//	call                        native  signal   gate
//	getppid, getpid                929    3346      6
//	getpriority, by syscall(3)     877    3395    702
//	pread, 4 KiB                  1263    3972   1119
//	fstat                         1190    6010   2995
//	pipe, write and read          2300       -   1305
//
// # Hand-over
//
// The thread sets slotPost, the Sentry answers by slotGo. Contexts that hand over all the
// time spin on these words, on two processors, while that pays; others sleep on them,
// both on one processor (placement_amd64.go). The mapper is put next to whoever asks it,
// who sleeps until it has answered.
//
// # Life and death
//
// Whoever kills a stub makes Switch return an error: the reaper marks the address space
// dead and wakes everybody who waits for it. Mappers have PDEATHSIG for the thread of the
// Sentry that is their parent, and check afterwards that it is still there. SIGSTOP from
// the host stops a stub as it does any process.
//
// # When to call New
//
// After the Sentry has its final user id, capabilities and namespaces, before its seccomp
// filter. Nobody else may wait for children of the thread that makes stubs.
//
// # Host calls after New
//
//	call       arguments                          why
//	futex      FUTEX_WAIT, FUTEX_WAKE (shared)    hand-over
//	read       an eventfd                         answers of mappers
//	write      an eventfd, 8 bytes                report a stub's death to who waits for it
//	wait4      pid -1, __WALL|__WNOTHREAD         deaths of stubs
//	           pid > 0, __WALL                    Release
//	tgkill     SIGURG, SIGSTKFLT or SIGKILL       Interrupt; Release
//	fallocate  punch a hole                       zero slots
//	madvise    MADV_POPULATE_WRITE                new slots
//	gettid     none                               placement
//	getcpu     node NULL, cache NULL              placement
//	sched_setaffinity  size 128                   placement; may be refused
//
// # Limits
//
// The host keeps uretprobe(2) and uprobe(2) from filters (Linux 6.11, 6.17). Outside of the
// host's own trampolines they do nothing but raise SIGILL, which becomes the system call
// that it was, or return an error to the application.
//
// QEMU's emulation lets a user's IRETQ read its stack as if it were the kernel's: with SMAP
// it faults. Emulated machines need a processor without it (-cpu max,-smap).
//
// A thread's filter takes the host longer to install than all else that a new process
// costs (it is compiled each time), so few stubs with their threads are kept, for ten
// seconds.
//
// Lock order: addressSpace.askMu, addressSpace.mu, placement.mu, trapPlatform.mu, slots.mu.
package trap
