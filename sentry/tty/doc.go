// Package tty implements terminals: the line discipline N_TTY (termios(3)), the two ends of
// a pseudoterminal (pty(7)), job control and the device /dev/tty.
//
// A TTY is the terminal that applications see, the slave end. Its other side is a Master,
// the open file of /dev/ptmx; runsc/boot holds the one that it joins to the terminal that
// runsc gives a process. What is to be shown waits in the output buffer, in which echoes
// are too.
//
// Sessions and process groups are the kernel's; job.go is where the two meet.
//
// Both buffers are bounded, by 4096 bytes each plus what one input may echo.
//
// Lock order: TTY.mu is above wait queues only. Signals are sent without it.
package tty
