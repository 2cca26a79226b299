package pipe

import (
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// None of the moves sleeps: abi.EAGAIN says that the source is empty (see SourceEmpty)
// or the destination full. At the end of the source they return 0. n bounds the move.

// maxMove bounds one move, and so the time that a lock is held and the memory it needs.
const maxMove = 256 << 10

// ToFile moves up to n bytes from the pipe to out (splice(2) from a pipe): at *pos, which
// it advances, or at out's own position if pos is nil.
func (p *Pipe) ToFile(ctx *vfs.Context, out *vfs.File, pos *int64, n int) (int, error) {
	p.readMu.Lock()
	defer p.readMu.Unlock()
	bufs, err := p.peek(min(n, maxMove))
	if err != nil || bufs == nil {
		return 0, err
	}
	var done int
	if pos != nil {
		done, err = out.WriteAt(ctx, bufs, *pos)
		*pos += int64(max(done, 0))
	} else {
		done, err = out.Write(ctx, bufs)
	}
	if done <= 0 {
		return 0, err
	}
	p.mu.Lock()
	wasFull := p.ring.full()
	p.ring.consume(done)
	room := wasFull && !p.ring.full()
	p.mu.Unlock()
	if room {
		p.notifyWriters()
	}
	return done, nil
}

// peek returns views of the first n bytes. They stay valid while readMu is held: only a
// reader drops slots, and writers add behind them.
func (p *Pipe) peek(n int) (uio.Bufs, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ring.used == 0 {
		if p.writers == 0 {
			return nil, nil
		}
		return nil, abi.EAGAIN
	}
	var bufs uio.Bufs
	for i := 0; i < p.ring.used && n > 0; i++ {
		s := p.ring.at(i)
		b := s.bytes()
		b = b[:min(len(b), n)]
		bufs = append(bufs, b)
		n -= len(b)
	}
	return bufs, nil
}

// FromFile moves up to n bytes of in into the pipe (splice(2) to a pipe, sendfile(2) to
// one): from *pos, which it advances, or from in's own position if pos is nil.
func (p *Pipe) FromFile(ctx *vfs.Context, in *vfs.File, pos *int64, n int) (int, error) {
	p.writeMu.Lock()
	defer p.writeMu.Unlock()
	p.mu.Lock()
	readers, free := p.readers, p.ring.free()
	p.mu.Unlock()
	if readers == 0 {
		return 0, abi.EPIPE
	}
	want := min(n, maxMove, free*abi.PageSize)
	if want == 0 {
		return 0, abi.EAGAIN
	}
	// Only producers, who need writeMu, take free slots: they are still free after the read.
	var slots []slot
	var bufs uio.Bufs
	for left := want; left > 0; left -= abi.PageSize {
		pg, err := newPage(ctx.Account)
		if err != nil {
			if len(slots) == 0 {
				return 0, err
			}
			break
		}
		slots = append(slots, slot{page: pg})
		bufs = append(bufs, pg.data[:min(left, abi.PageSize)])
	}
	var done int
	var err error
	if pos != nil {
		done, err = in.ReadAt(ctx, bufs, *pos)
		*pos += int64(max(done, 0))
	} else {
		done, err = in.Read(ctx, bufs)
	}
	p.pushAll(slots, max(done, 0))
	if done > 0 {
		return done, nil
	}
	return 0, err
}

// pushAll adds the slots that hold the first n bytes and frees the others.
func (p *Pipe) pushAll(slots []slot, n int) {
	moved := n > 0
	p.mu.Lock()
	for _, s := range slots {
		if n <= 0 {
			s.page.put()
			continue
		}
		s.len = min(n, abi.PageSize)
		n -= s.len
		p.ring.push(s)
	}
	p.mu.Unlock()
	if moved {
		p.notifyReaders()
	}
}

// ToPipe moves up to n bytes to dst without copying (splice(2) between pipes): EINVAL if
// both are the same pipe.
func (p *Pipe) ToPipe(dst *Pipe, n int) (int, error) { return p.transfer(dst, n, true) }

// Tee duplicates up to n bytes into dst (tee(2)).
func (p *Pipe) Tee(dst *Pipe, n int) (int, error) { return p.transfer(dst, n, false) }

func (p *Pipe) transfer(dst *Pipe, n int, consume bool) (int, error) {
	if p == dst {
		return 0, abi.EINVAL
	}
	if n <= 0 {
		return 0, nil
	}
	p.readMu.Lock()
	defer p.readMu.Unlock()
	dst.writeMu.Lock()
	defer dst.writeMu.Unlock()
	dst.mu.Lock()
	readers, free := dst.readers, dst.ring.free()
	dst.mu.Unlock()
	if readers == 0 {
		return 0, abi.EPIPE
	}
	slots, done, room, err := p.share(min(n, maxMove), free, consume)
	if err != nil || len(slots) == 0 {
		return 0, err
	}
	if room {
		p.notifyWriters()
	}
	dst.mu.Lock()
	for _, s := range slots {
		dst.ring.push(s)
	}
	dst.mu.Unlock()
	dst.notifyReaders()
	return done, nil
}

// share returns up to free slots with up to n bytes, sharing the pages, and consumes
// them if asked to.
func (p *Pipe) share(n, free int, consume bool) (slots []slot, done int, room bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ring.used == 0 {
		if p.writers == 0 {
			return nil, 0, false, nil
		}
		return nil, 0, false, abi.EAGAIN
	}
	if free == 0 {
		return nil, 0, false, abi.EAGAIN
	}
	for i := 0; i < p.ring.used && done < n && len(slots) < free; i++ {
		s := *p.ring.at(i)
		s.page.refs.Add(1)
		if s.len > n-done {
			s.len, s.packet = n-done, false
		}
		done += s.len
		slots = append(slots, s)
	}
	if consume {
		wasFull := p.ring.full()
		p.ring.consume(done)
		room = wasFull && !p.ring.full()
	}
	return slots, done, room, nil
}

// SourceEmpty reports whether an abi.EAGAIN of a move out of p means that p is empty (wait
// for In on p) rather than that the destination is full.
func (p *Pipe) SourceEmpty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ring.used == 0 && p.writers > 0
}

// Full reports whether nothing can be moved into p (wait for Out on p).
func (p *Pipe) Full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ring.full()
}
