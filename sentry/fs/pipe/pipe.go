package pipe

import (
	"math/bits"
	"sync"

	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// Sizes in bytes.
const (
	DefaultSize = 16 * abi.PageSize
	// MaxSize is /proc/sys/fs/pipe-max-size: how far F_SETPIPE_SZ goes without
	// CAP_SYS_RESOURCE.
	MaxSize = 1 << 20
)

// Pipe is a pipe or the inside of a FIFO.
type Pipe struct {
	// Who waits, by what he has open, as Linux's rd_wait and wr_wait: an edge-triggered
	// epoll on one end is not to see what happens for the other.
	readQueue, writeQueue, bothQueue wait.Queue

	opens wait.Queue // opens of a FIFO that wait for the other side

	readMu  sync.Mutex // held by whoever consumes
	writeMu sync.Mutex // held by whoever produces

	mu               sync.Mutex
	ring             ring
	readers, writers int
	// Opens ever: a FIFO's open waits for a change, and POLLHUP needs to know whether
	// there was a writer since the reader came.
	readerOpens, writerOpens uint64
}

// NewPipe returns a pipe of the default size without ends.
func NewPipe() *Pipe {
	p := &Pipe{}
	p.ring.slots = make([]slot, DefaultSize/abi.PageSize)
	return p
}

// addEndsLocked counts an open file.
func (p *Pipe) addEndsLocked(mode uint32) {
	if mode&vfs.ModeRead != 0 {
		p.readers++
		p.readerOpens++
	}
	if mode&vfs.ModeWrite != 0 {
		p.writers++
		p.writerOpens++
	}
}

// dropEnds takes an open file's ends back.
func (p *Pipe) dropEnds(mode uint32) {
	p.mu.Lock()
	if mode&vfs.ModeRead != 0 {
		p.readers--
	}
	if mode&vfs.ModeWrite != 0 {
		p.writers--
	}
	oneSided := (p.readers == 0) != (p.writers == 0)
	if p.readers == 0 && p.writers == 0 {
		p.ring.clear()
		if len(p.ring.slots) != DefaultSize/abi.PageSize {
			p.ring.resize(DefaultSize / abi.PageSize)
		}
	}
	p.mu.Unlock()
	if oneSided {
		p.readQueue.Notify(wait.All)
		p.writeQueue.Notify(wait.All)
		p.bothQueue.Notify(wait.All)
	}
}

func (p *Pipe) notifyReaders() {
	p.readQueue.Notify(wait.In | abi.POLLRDNORM)
	p.bothQueue.Notify(wait.In | abi.POLLRDNORM)
}

func (p *Pipe) notifyWriters() {
	p.writeQueue.Notify(wait.Out | abi.POLLWRNORM)
	p.bothQueue.Notify(wait.Out | abi.POLLWRNORM)
}

// Read consumes into dst: 0 at the end (no writer), abi.EAGAIN when there is nothing.
func (p *Pipe) Read(dst uio.Bufs) (int, error) {
	if dst.Len() == 0 {
		return 0, nil
	}
	p.readMu.Lock()
	defer p.readMu.Unlock()
	p.mu.Lock()
	if p.ring.used == 0 {
		w := p.writers
		p.mu.Unlock()
		if w == 0 {
			return 0, nil
		}
		return 0, abi.EAGAIN
	}
	wasFull := p.ring.full()
	n := p.ring.read(dst)
	room := wasFull && !p.ring.full()
	p.mu.Unlock()
	if room {
		p.notifyWriters()
	} else if n > 0 {
		p.writeQueue.Notify(wait.Taken)
		p.bothQueue.Notify(wait.Taken)
	}
	return n, nil
}

// Write produces from src: abi.EPIPE without a reader (the system call sends SIGPIPE),
// abi.EAGAIN when nothing fits.
func (p *Pipe) Write(ctx *vfs.Context, src uio.Bufs, packet bool) (int, error) {
	if src.Len() == 0 {
		return 0, nil
	}
	p.writeMu.Lock()
	defer p.writeMu.Unlock()
	p.mu.Lock()
	if p.readers == 0 {
		p.mu.Unlock()
		return 0, abi.EPIPE
	}
	n, err := p.ring.append(src, ctx.Account, packet)
	p.mu.Unlock()
	// As Linux, for every attempt: an edge-triggered epoll sees each write, also one to
	// a pipe that is not empty or is full.
	p.notifyReaders()
	return n, err
}

// poll returns the events of an end that was opened with mode when writerOpens was seen.
func (p *Pipe) poll(mode uint32, seen uint64) wait.Mask {
	p.mu.Lock()
	defer p.mu.Unlock()
	var m wait.Mask
	if mode&vfs.ModeRead != 0 {
		if p.ring.used > 0 {
			m |= wait.In | abi.POLLRDNORM
		}
		if p.writers == 0 && seen != p.writerOpens {
			m |= wait.Hup
		}
	}
	if mode&vfs.ModeWrite != 0 {
		if !p.ring.full() {
			m |= wait.Out | abi.POLLWRNORM
		}
		// Linux reports no POLLERR to a reader-writer of a FIFO: it is a reader itself.
		if p.readers == 0 {
			m |= wait.Err
		}
	}
	return m
}

// Queued returns the number of bytes that can be read (FIONREAD).
func (p *Pipe) Queued() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ring.bytes
}

// Size returns the capacity in bytes (F_GETPIPE_SZ).
func (p *Pipe) Size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ring.slots) * abi.PageSize
}

// SetSize changes the capacity to arg bytes rounded up to a power of two of pages and
// returns what it became (F_SETPIPE_SZ): EINVAL, EPERM above MaxSize, EBUSY when the
// contents would not fit.
func (p *Pipe) SetSize(ctx *vfs.Context, arg uint64) (int, error) {
	if arg > 1<<31 {
		return 0, abi.EINVAL
	}
	size := max(arg, abi.PageSize)
	size = 1 << bits.Len64(size-1)
	if size > 1<<31 {
		return 0, abi.EINVAL
	}
	n := int(size / abi.PageSize)
	p.writeMu.Lock()
	defer p.writeMu.Unlock()
	p.mu.Lock()
	if n > len(p.ring.slots) && size > MaxSize && !ctx.Creds.HasCap(abi.CAP_SYS_RESOURCE) {
		p.mu.Unlock()
		return 0, abi.EPERM
	}
	if size > 64*MaxSize { // the slots themselves cost memory of the Sentry
		p.mu.Unlock()
		return 0, abi.ENOMEM
	}
	if n < p.ring.used {
		p.mu.Unlock()
		return 0, abi.EBUSY
	}
	wasFull := p.ring.full()
	p.ring.resize(n)
	room := wasFull && !p.ring.full()
	p.mu.Unlock()
	if room {
		p.notifyWriters()
	}
	return int(size), nil
}
