package boot

import (
	"fmt"
	"io"
	"sync"

	"lazaret/platform"
	"lazaret/runsc/sandbox"
	"lazaret/sentry/fs/hostfile"
	"lazaret/sentry/fs/proc"
	"lazaret/sentry/kernel"
	"lazaret/sentry/memfile"
	"lazaret/syscalls"
)

// Sentry is the kernel of one sandbox and its containers.
type Sentry struct {
	cfg      *sandbox.BootConfig
	k        *kernel.Kernel
	platform platform.Platform
	mf       *memfile.File
	notifier *hostfile.Notifier
	proc     *proc.System
	table    *syscalls.Table
	done     chan int // exit code of the process, once

	straceOut io.Writer

	mu         sync.Mutex
	containers map[string]*container
	root       *container // the one that the sandbox was started for
}

// container returns the container called id.
func (s *Sentry) container(id string) (*container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.containers[id]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("%w: %q", errNoContainer, id)
}

// first returns the sandbox's first container, nil while it is made.
func (s *Sentry) first() *container {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.root
}

// exit ends the process with code. The first call counts.
func (s *Sentry) exit(code int) {
	select {
	case s.done <- code:
	default:
	}
}
