// Package tty implements terminals: the line discipline N_TTY (termios(3)), the two ends of
// a pseudoterminal (pty(7)), job control and the devices /dev/tty and /dev/console.
//
// A TTY is the terminal that applications see, the slave end. Its other side is either a
// Master, the open file of /dev/ptmx, or a Line, something outside of the sandbox such as
// the terminal that runsc gives the container (fs/hostfile.Console). What arrives from the
// other side goes through Input; what is to be shown waits in the output buffer, in
// which echoes are too.
//
// Sessions and process groups are the kernel's; job.go is where the two meet.
//
// Both buffers are bounded, by 4096 bytes each plus what one input may echo.
//
// Lock order: TTY.mu is above wait queues only. Signals are sent and a Line is told
// without it.
package tty
