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
	p.mu.Unlock()
	p.addEnds(mode)
	if first {
		p.opens.Notify(wait.In)
	}
	var err error
	switch {
	case mode == vfs.ModeRead && nonblock:
		p.mu.Lock()
		if p.writers == 0 {
			e.seen = p.writerOpens // no POLLHUP before a writer came
		}
		p.mu.Unlock()
	case mode == vfs.ModeRead:
		err = p.awaitPartner(ctx, &p.writers, &p.writerOpens)
	case mode == vfs.ModeWrite:
		err = p.awaitPartner(ctx, &p.readers, &p.readerOpens)
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
	p.addEnds(mode)
	return &end{pipe: p, mode: mode}
}

// awaitPartner waits until *have is not 0 or *opens has moved: the partner may have come
// and gone again. Both are fields under p.mu.
func (p *Pipe) awaitPartner(ctx *vfs.Context, have *int, opens *uint64) error {
	p.mu.Lock()
	seen, here := *opens, *have > 0
	p.mu.Unlock()
	if here {
		return nil
	}
	if ctx.Sleeper == nil {
		return abi.EAGAIN
	}
	return wait.Until(ctx.Sleeper, &p.opens, wait.In, time.Time{}, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return *have > 0 || *opens != seen
	})
}
