// Gobasic exercises what the Go runtime and its basic packages ask of a kernel:
// goroutines on many threads, timers, signals, preemption, files, maps and exec of itself.
package main
