// Package populate has the kernel map what a start of runsc is going to touch, with a call for
// each area instead of a fault for each page, and gives back what only the start needed.
//
// A sandbox's three processes take a thousand faults each between execve and their first
// request, most of them in the text, in the variables and in the heap's first megabytes. Where
// page tables are the hypervisor's to keep, as in a virtual machine without nested paging, a
// fault costs 13 us, a page that is mapped with its neighbours 0.1 us if it is a file's and
// 0.6 us if not, and what the hypervisor does at its first use another 1 to 2.5 us. So a page
// is worth mapping ahead if one in ten is used. A huge page costs 180 us and nothing at its
// first uses.
//
// The Makefile links the program with this package's start as its entry point: before the Go
// runtime itself, it maps the text, the read-only data and the variables, and has timers come up
// to a millisecond late, which all threads inherit: the runtime's monitor would wake every 20 us,
// for 19 us of processor time each. Later it would be too late for the variables: their pages
// would be mapped read-only, with their neighbours, and copying each costs more. A program that
// is linked without it works as well, and takes 13 to 19 ms of 130 to 150 more of processor
// time to start and stop a container. Timers of the Sentry are in time again once it is
// confined, those of hooks from their beginning.
//
// When the package is initialized, the heap's beginning is mapped. A command, which does not
// live long, has a huge page for it (Command). For Sentry and Gofer this would save 10 ms more,
// and hold 3 MiB that are never used, since the heap begins anywhere in a huge page.
//
// What is read-only leaves the process with GiveBack, which Sentry and Gofer call when they have
// settled: of 12 MiB of text and tables that an idle sandbox would hold alone, 1.3 remain.
//
// The package imports nothing, so that its init comes before that of nearly all others: Go
// initializes what is ready by import path. A kernel that does not know a call leaves
// everything as it was.
package populate
