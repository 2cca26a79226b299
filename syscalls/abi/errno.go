package abi

import "strconv"

// Errno is a Linux error number (errno(3)). Inside the kernel every error that reaches
// a system call's result is one.
type Errno uint16

// Error returns the symbolic name, as strace prints it.
func (e Errno) Error() string {
	if int(e) < len(errnoNames) && errnoNames[e] != "" {
		return errnoNames[e]
	}
	if s, ok := restartNames[e]; ok {
		return s
	}
	return "errno " + strconv.Itoa(int(e))
}

// Restart codes: a handler returns one when a signal interrupted it; dispatch turns it
// into EINTR or a restarted call (signal(7)). They never reach an application.
const (
	ERESTARTSYS           Errno = 512 // restart if SA_RESTART, else EINTR
	ERESTARTNOINTR        Errno = 513 // always restart
	ERESTARTNOHAND        Errno = 514 // restart if no handler runs, else EINTR
	ERESTART_RESTARTBLOCK Errno = 516 // restart_syscall(2) if no handler runs, else EINTR
)

var restartNames = map[Errno]string{
	ERESTARTSYS: "ERESTARTSYS", ERESTARTNOINTR: "ERESTARTNOINTR",
	ERESTARTNOHAND: "ERESTARTNOHAND", ERESTART_RESTARTBLOCK: "ERESTART_RESTARTBLOCK",
}
