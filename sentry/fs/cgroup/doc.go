// Package cgroup is the file system cgroup2 as a container sees its own group: limits and
// use of memory, processors and tasks, to be read by programs that size themselves
// (JVM, Go's and Node's helpers, monitoring). There are no groups below it.
//
// A file is one line in a table. What the kernel does not know (processor quota) the
// container's Data may tell, see Values.
//
// Neighbours: kernel (Container), vfs, pseudo, proc.
package cgroup
