// Package proc is procfs (proc(5)): processes as directories, the state of the kernel as
// files, and settings (/proc/sys).
//
// A file is one line in a table: taskTable (task_table.go) for /proc/PID and
// /proc/PID/task/TID, globalTable (global.go) for the rest, sysctlTable (sysctl_table.go)
// for /proc/sys, netTable (net.go) for /proc/PID/net.
//
// An instance shows the pid namespace of who mounted it. Inodes of processes hold a
// number and a start time, not the process: a lookup that finds nobody gives ESRCH, and
// dentries of dead processes hold nothing and do not revalidate.
//
// Others contribute without being known here: open files by FDInfoer, network and ipc
// namespaces by NetFiles, SysctlStore and IPCFiles (of their State).
//
// Neighbours: kernel, mm, vfs, pseudo. Register is called once at boot.
//
// Lock order: FS.mu, settings.mu and the table of namespace files are leaves, below what
// the kernel and vfs lock.
package proc
