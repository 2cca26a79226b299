// Package sandbox starts and confines the processes of a sandbox: the Sentry (the kernel in
// user space), one Gofer for each container (its file server), with --network user the
// network proxy, which holds the host's sockets, and with a memory limit the Witness of OOM
// kills.
//
// runsc re-executes itself (/proc/self/exe) as the hidden commands "boot", "gofer" and
// "netproxy".
// The namespaces, the user mapping and the donated files are there before execve (see launch
// for who makes them); everything that a process can only do to itself (empty root, capabilities,
// no_new_privs, rlimits, seccomp) it does in ConfineSentry or GoferMain, before any
// application byte runs. Each child has a sync socket on fd 3: its configuration comes
// in on it, "ready" or one line of error goes out, and until the parent lets go
// (Sandbox.Detach) its closing means that runsc died and that the child must end.
//
// Where the time goes, in processor time of all processes from runsc run of true until the
// container is deleted (software profile of ten runs on a busy machine with two processors
// under a hypervisor without nested paging, where a page fault costs 15 us):
//
//	before  now     of 205 ms before, 163 ms now
//	54      35      page faults, those of copies for a clone among them
//	31      26      the Go runtime's monitor thread: its 20 us ticks, its new threads
//	26      22      package init of three processes
//	18      21      the Go runtime's own start, cpuid (which traps) a quarter of it
//	14      10      JSON: mostly the tables of types, made again in each process
//	7       4       the two clones and their namespaces
//	7       3       control groups
//	5       3       seccomp filters and the table of denied calls
//
// Since then populate's entry point and the huge page of a command have taken another tenth
// (150 ms of 165 before, 118 of runc's; medians of 14 alternating runs on a machine with ten
// runnable threads for each processor). A huge page for the heaps of Sentry and Gofer would
// take as much again, for 3 MiB of an idle sandbox; see populate. Package init is no longer
// worth looking at: with the pages there it takes 1.2 ms of each process, no package more than
// 0.1 (GODEBUG=inittrace=1).
//
// What is left is spread over three starts of a Go program. To see it: --trace-startup; perf
// record -e cpu-clock -g; perf record -e page-faults -c 1 -d; -e context-switches.
//
// Key types: Config and Sandbox (parent side), BootConfig and GoferConfig (child side).
// Neighbours: runsc/cmd calls Start; runsc/boot calls ReadBootConfig, ConfineSentry and
// BootConfig.Ready; gofer/server serves what GoferMain prepared; runsc/seccomp holds the
// policies; netproxy is what the network proxy does. There are no locks.
package sandbox
