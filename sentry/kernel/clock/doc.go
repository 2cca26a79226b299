// Package clock is the kernel's time: the clocks of clock_gettime(2) that do not belong to a
// task, and timers that fire on them.
//
// A Timer is data: it names its Owner, which is told when it fires. All timers of a kernel
// stand in one heap, served by one goroutine that sleeps until the earliest is due; without
// timers nothing ticks.
//
// Lock order: Queue.mu is a leaf. Owners are told without it, from the queue's goroutine.
package clock
