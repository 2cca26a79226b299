// Package sys is sysfs: a read-only skeleton of what programs look for to learn about
// processors, memory nodes, huge pages and devices (lscpu, C libraries, runtimes), and
// the place where cgroup file systems are mounted.
//
// A file is one line in a table (table.go); those of each processor come from cpuTable.
// There is one instance for all mounts of a sandbox, as on Linux; /sys/class/net shows the
// network namespace of who reads.
//
// Neighbours: vfs, pseudo, proc (which knows the machine).
package sys
