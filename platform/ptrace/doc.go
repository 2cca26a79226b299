// Package ptrace is the platform that works everywhere: application code runs in stub
// processes under PTRACE_SYSEMU, so that every system call, fault and exception stops it
// before the host acts on it.
//
// # Stubs
//
// New makes one template stub from the Sentry (stub_amd64.s): it drops its capabilities,
// ignores signals, installs a seccomp filter of its own (filter_amd64.go) and unmaps all
// memory of the Sentry, [vdso] included, but one page of code at the top of the address
// space, outside of UserRange. Every other stub process is cloned from it, or from the
// stub that it is a fork of, by clone calls that the Sentry makes a stopped stub thread
// execute. Stubs are children of one thread of the Sentry and share its descriptor table,
// from which Map maps files.
//
// An addressSpace is one stub process. Its first thread, the leader, never runs
// application code; it sleeps untraced. A context has one stub thread in the address
// space that it runs in, traced by the thread to which the task's goroutine is locked.
// Requests to ptrace must come from the tracing thread, so:
//
//   - Map, Unmap, Protect and Fork called by a task whose own stub thread is in that
//     address space use that thread (one hand-over on the same processor);
//   - from anywhere else they attach to the leader for a moment, as does the first Switch
//     into an address space, which clones a thread (CLONE_PTRACE makes it the caller's).
//
// An injected system call ends with a call that the filter answers with SECCOMP_RET_TRACE:
// 4 us cheaper than int3. Application code cannot use any of this: all of its own calls
// stop at SYSEMU, which comes before seccomp, and its threads never run untraced.
//
// # Life and death
//
// Whoever kills a stub makes Switch return an error. Traced threads have
// PTRACE_O_EXITKILL; leaders have PDEATHSIG for the thread of the Sentry that is their
// parent, and check afterwards that it is still there. A leader that is attached to
// before it came that far starts again when it is let go. So no stub outlives the Sentry,
// whenever it is killed. Release waits for the stub's end: when it returns nothing can
// reach the memory that was mapped.
//
// A goroutine is locked to its thread from its context's first Switch to Release. Should
// the thread end earlier, EXITKILL takes the whole stub process with it.
//
// # Placement
//
// Waking another processor is six times as dear as a hand-over on the same one, so a
// context that traps often is pinned to a processor together with its tracer
// (placement_amd64.go). Contexts that compute or sleep for longer than 10 ms are unpinned
// and left to the host's scheduler. The wait for a stub is an ordinary blocking system
// call for the Go scheduler; a raw one is not measurably faster and would hold up
// collections.
//
// # When to call New
//
// After the Sentry has its final user id, capabilities and namespaces: a stub keeps what
// it inherits, and the Sentry must not become less privileged than its stubs, or it could
// not attach to them. Before its seccomp filter and before it becomes non-dumpable or
// after: both work, stubs make themselves dumpable (they hold nothing but application
// memory). New sets SA_NOCLDSTOP on SIGCHLD; os/signal.Notify for SIGCHLD would undo it
// and make every stop of a stub deliver a signal. Nobody may wait for children with pid -1.
//
// # Host calls after New
//
//	call                arguments                                why
//	ptrace              request PTRACE_SEIZE, data 0x100081      attach to a leader at rest
//	                    PTRACE_INTERRUPT, PTRACE_DETACH
//	                    PTRACE_CONT                              run an injected call
//	                    PTRACE_SYSEMU (31), signal (data) 0      run application code
//	                    PTRACE_GETREGS, PTRACE_SETREGS
//	                    PTRACE_GETREGSET, SETREGSET, addr 0x202  XSAVE state
//	                    PTRACE_GETSIGINFO                        faults
//	                    PTRACE_GET_SYSCALL_INFO                  tell int 0x80 from syscall
//	wait4               pid > 0, options __WALL, rusage NULL     wait for stops, reap
//	tgkill              signal SIGURG or SIGKILL                 Interrupt; Release
//	gettid              none                                     find the caller's stub thread
//	getcpu              node NULL, cache NULL                    placement
//	sched_setaffinity   size 128                                 placement; may be refused
//
// The pid arguments cannot be checked by a filter: the Sentry's own pid namespace, with
// nobody but stubs of the same user in it, is what keeps strangers away.
//
// # Limits
//
// ptrace does not show the processor's page fault error code: Event.Access is Exec when
// nothing is mapped at the instruction pointer and 0 otherwise. General protection faults
// are EventException with SIGSEGV and SI_KERNEL. int 0x80 and 32-bit code get that too.
// Calls into the host's vsyscall page fault at its address with Access Exec.
//
// The host's [vvar] and [vdso] are unmapped. They could be kept for a fast clock by
// mremap in the template to an address outside of UserRange that is the same in all stubs
// (the vDSO finds [vvar] relative to itself, so both move together), but their clock is
// the host's, without time namespaces of ours.
//
// Lock order: addressSpace.leaderMu, addressSpace.mu, ptracePlatform.mu; placement.mu is
// taken with leaderMu held or with none.
package ptrace
