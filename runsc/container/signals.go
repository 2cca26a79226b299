package container

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"lazaret/runsc/control"
)

// firstCaught are the signals that would end or stop a process of Go's, and those that
// people and supervisors send. The runtime takes up each of them in two switches of
// threads, so that the other fifty wait until the container runs.
var firstCaught = []os.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGABRT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGTSTP, unix.SIGCONT,
}

// CaughtSignals are the signals that this process has got since CatchSignals. They stay
// caught until it ends: what comes while a container is removed must not leave half of it.
type CaughtSignals struct{ ch chan os.Signal }

// CatchSignals begins to collect signals that are meant for a process in a container. It
// comes before that process starts: what arrives in between must not end this one.
func CatchSignals() *CaughtSignals {
	s := &CaughtSignals{make(chan os.Signal, 64)}
	signal.Notify(s.ch, firstCaught...)
	return s
}

// Forward passes the signals on to a process in a container, all kinds of them from now on.
// stop ends that.
func (s *CaughtSignals) Forward(client *control.Client, id string, pid int32) (stop func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	go signal.Notify(s.ch)
	go func() {
		defer close(done)
		for {
			select {
			case sig := <-s.ch:
				if n, ok := sig.(syscall.Signal); ok && forwarded(n) {
					_ = client.Signal(&control.SignalArgs{ID: id, PID: pid, Signal: int(n)})
				}
			case <-ended:
				return
			}
		}
	}()
	return func() {
		close(ended)
		<-done
	}
}

// forwarded says whether a signal is meant for the application: SIGURG is the Go
// runtime's, SIGCHLD, SIGPIPE and SIGWINCH concern this process.
func forwarded(sig syscall.Signal) bool {
	switch sig {
	case unix.SIGCHLD, unix.SIGURG, unix.SIGPIPE, unix.SIGWINCH, unix.SIGTTIN, unix.SIGTTOU:
		return false
	}
	return true
}
