// Package seccomp holds which host system calls the Sentry, the Gofer and the network proxy may
// make, each with its reason, and installs the compiled filters.
//
// Policies are Go data (Policy, Rule, Cond). tools/seccompgen compiles each Filter with
// libseccomp into BPF for every architecture; the result is committed here and embedded,
// so that the shipped binaries need no C library. Its test regenerates and compares.
//
// A call that is not on the list raises SIGSYS (SECCOMP_RET_TRAP) in the thread that
// made it; the call itself never runs. A few instructions in a page of their own write
// its name to the log (fd 2) and end the process with a call that the filter answers
// with SECCOMP_RET_KILL_PROCESS. The policy refuses to change the disposition of SIGSYS,
// the page is sealed (mseal(2)) where the kernel can do that, and a SIGSYS that is
// blocked or cannot be delivered kills as well.
//
// Each rule allows something that real runs do, or says why they cannot show it
// (Rule.Unseen): test/confine runs a binary whose filters ask about every call (build tag
// seccomprecord, record.go) and notes which rules answer.
//
// Neighbours: runsc/sandbox installs, runsc/cmd prints (Lookup, Policy.Calls).
package seccomp
