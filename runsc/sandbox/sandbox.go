package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// finish turns a successful start into a Sandbox.
func (s *starter) finish() *Sandbox {
	sb := &Sandbox{
		SentryPID: s.sentry.proc.PID, GoferPID: s.gofer.proc.PID,
		Process: s.sentry.proc, gofer: s.gofer.proc,
		tethers: []*os.File{s.sentry.sync, s.gofer.sync}, nursery: s.nursery,
	}
	_ = s.sentry.pidFD.Close()
	_ = s.gofer.pidFD.Close()
	return sb
}

// Detach lets go: from now on the sandbox lives on when this process ends. To be called
// when the state of the container is safe on disk. On an error the sandbox is gone.
func (sb *Sandbox) Detach() error {
	var errs []error
	for _, f := range sb.tethers {
		errs = append(errs, letGo(f))
	}
	if err := errors.Join(errs...); err != nil {
		sb.Kill()
		return fmt.Errorf("sandbox ended during its start: %w", cmp.Or(errs...))
	}
	sb.closeTethers()
	return nil
}

func (sb *Sandbox) closeTethers() {
	for _, f := range sb.tethers {
		_ = f.Close()
	}
	sb.tethers = nil
	sb.nursery.close()
}

// Kill ends both processes; for a caller that fails between Start and Detach.
func (sb *Sandbox) Kill() {
	sb.Process.Kill()
	sb.gofer.Kill()
	_, _ = sb.Process.Wait()
	_, _ = sb.gofer.Wait()
	sb.closeTethers()
}

// letGo tells a child that it stands alone and waits until it has seen it: a parent that
// ended before would take the child along (PDEATHSIG).
func letGo(f *os.File) error {
	if _, err := f.Write([]byte{detachByte}); err != nil {
		return err
	}
	if err := f.SetReadDeadline(time.Now().Add(startTimeout)); err != nil {
		return err
	}
	var b [1]byte
	switch _, err := f.Read(b[:]); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return errors.New("unexpected answer")
}

// release lets go of a single child and has it waited for.
func release(c *child) error {
	err := letGo(c.sync)
	go func() { _, _ = c.proc.Wait() }()
	c.close()
	return err
}
