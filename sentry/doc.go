// Package sentry holds the rooms of the kernel; it has no code of its own.
//
//	wait     wait queues: how a task sleeps and is woken
//	auth     credentials, capabilities, user namespaces
//	uio      views of application memory that I/O reads from and writes to
//	memfile  the host memory that applications, tmpfs and page caches are made of
//	mm       application address spaces
//	vfs      dentries, mounts, open files, the path walk, descriptor tables
//	fs/*     file systems
//	socket/* socket families
//	ipc      System V IPC and POSIX message queues
//	kernel   tasks, thread groups, signals, futexes, timers, namespaces, limits
//	loader   ELF and #! programs
//	audit    the point that every security-relevant action passes
package sentry
