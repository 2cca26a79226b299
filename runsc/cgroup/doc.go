// Package cgroup puts the processes of a sandbox into control groups, on hosts with
// cgroup v1, v2, or both (hybrid: v1 controllers beside a v2 tree without any).
//
// The limits hold for the host processes (Sentry, Gofers, stubs) together: what an
// application uses is memory and threads of these. The number of processes that the
// application may have is counted by the Sentry; the host's pids limit is a wider fence
// around it (see hostPids). Pausing is the Sentry's work, so the freezer is not used.
//
// With --systemd-cgroup the directories are those of a scope, a transient unit that systemd
// makes around the first process (Delegate=yes, so that what is in it is ours). Limits are
// written into the directories all the same, and those that systemd knows are told to it too:
// it writes its own values there whenever it reads its configuration again.
//
// Key types: Host (what is mounted where), Cgroup (the directories of one container,
// stored in its state). Neighbours: runsc/container. There are no locks.
package cgroup
