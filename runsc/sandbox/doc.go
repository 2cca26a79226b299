// Package sandbox starts and confines the processes of a sandbox: the Sentry (the kernel in
// user space), one Gofer for each container (its file server), with --network user the
// network proxy, which holds the host's sockets, and with a memory limit the Witness of OOM
// kills.
//
// runsc re-executes itself (/proc/self/exe) as the hidden commands "boot", "gofer" and
// "netproxy".
// The namespaces, the user mapping and the donated files are made by the parent at clone
// time; everything that a process can only do to itself (empty root, capabilities,
// no_new_privs, rlimits, seccomp) it does in ConfineSentry or GoferMain, before any
// application byte runs. Each child has a sync socket on fd 3: its configuration comes
// in on it, "ready" or one line of error goes out, and until the parent lets go
// (Sandbox.Detach) its closing means that runsc died and that the child must end.
//
// Key types: Config and Sandbox (parent side), BootConfig and GoferConfig (child side).
// Neighbours: runsc/cmd calls Start; runsc/boot calls ReadBootConfig, ConfineSentry and
// BootConfig.Ready; gofer/server serves what GoferMain prepared; runsc/seccomp holds the
// policies; netproxy is what the network proxy does. There are no locks.
package sandbox
