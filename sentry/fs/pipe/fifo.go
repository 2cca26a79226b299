package pipe

import (
	"time"

	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Open opens a FIFO (fifo(7)) with mode (vfs.ModeRead, vfs.ModeWrite) and the open flags.
// Without O_NONBLOCK a reader waits for a writer and a writer for a reader, which is an
// interruptible sleep of ctx.Sleeper; a reader-writer never waits.
func (p *Pipe) Open(ctx *vfs.Context, mode, flags uint32) (vfs.FileOps, error) {
	mode &= vfs.ModeRead | vfs.ModeWrite
	nonblock := flags&abi.O_NONBLOCK != 0
	e := &end{pipe: p, mode: mode, seen: ^uint64(0)}
	p.mu.Lock()
	if mode == vfs.ModeWrite && nonblock && p.readers == 0 {
		p.mu.Unlock()
		return nil, abi.ENXIO
	}
	first := mode&vfs.ModeRead != 0 && p.readers == 0 || mode&vfs.ModeWrite != 0 && p.writers == 0
	p.addEndsLocked(mode)
	// A partner that this open lets go on may be gone before we look again, so whether
	// one comes from now on is counted from here.
	if mode == vfs.ModeRead && nonblock && p.writers == 0 {
		e.seen = p.writerOpens // no POLLHUP before a writer came
	}
	readers, writers := awaited(&p.readers, &p.readerOpens), awaited(&p.writers, &p.writerOpens)
	p.mu.Unlock()
	if first {
		p.opens.Notify(wait.In)
	}
	var err error
	switch {
	case mode == vfs.ModeRead && !nonblock:
		err = p.awaitPartner(ctx, writers)
	case mode == vfs.ModeWrite:
		err = p.awaitPartner(ctx, readers)
	}
	if err != nil {
		p.dropEnds(mode)
		return nil, err
	}
	return e, nil
}

// reopen opens a pipe without a name once more, through /proc/PID/fd. Unlike a FIFO's open
// it waits for nobody: a shell's <(command) is opened after the command has ended, and
// what it wrote is still to be read.
func (p *Pipe) reopen(mode uint32) vfs.FileOps {
	mode &= vfs.ModeRead | vfs.ModeWrite
	p.mu.Lock()
	p.addEndsLocked(mode)
	p.mu.Unlock()
	return &end{pipe: p, mode: mode}
}

// partner is the other side as an open found it.
type partner struct {
	have  *int    // its open files now
	opens *uint64 // how many there have ever been
	seen  uint64
	here  bool
}

// awaited looks at a side; the caller holds the pipe's mutex.
func awaited(have *int, opens *uint64) partner {
	return partner{have: have, opens: opens, seen: *opens, here: *have > 0}
}

// awaitPartner waits until the partner is there or has come and gone again.
func (p *Pipe) awaitPartner(ctx *vfs.Context, o partner) error {
	if o.here {
		return nil
	}
	if ctx.Sleeper == nil {
		return abi.EAGAIN
	}
	return wait.Until(ctx.Sleeper, &p.opens, wait.In, time.Time{}, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return *o.have > 0 || *o.opens != o.seen
	})
}
