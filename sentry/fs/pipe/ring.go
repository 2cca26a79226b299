package pipe

import (
	"sync"
	"sync/atomic"

	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/syscalls/abi"
)

// page is memory of one page. Slots of several pipes may refer to it after a tee.
type page struct {
	data [abi.PageSize]byte
	refs atomic.Int32
	acct *memfile.Account
}

var pagePool = sync.Pool{New: func() any { return new(page) }}

func newPage(acct *memfile.Account) (*page, error) {
	if acct != nil {
		if err := acct.Charge(abi.PageSize); err != nil {
			return nil, err
		}
	}
	p := pagePool.Get().(*page)
	p.acct = acct
	p.refs.Store(1)
	return p, nil
}

func (p *page) put() {
	if p.refs.Add(-1) != 0 {
		return
	}
	if p.acct != nil {
		p.acct.Uncharge(abi.PageSize)
		p.acct = nil
	}
	pagePool.Put(p)
}

// slot is what one place of the ring holds: bytes [off, off+len) of a page.
type slot struct {
	page     *page
	off, len int
	packet   bool // O_DIRECT: a read ends with it
}

func (s *slot) bytes() []byte { return s.page.data[s.off : s.off+s.len] }

// ring is a queue of slots of a fixed capacity.
type ring struct {
	slots []slot
	head  int // first used
	used  int
	bytes int
}

func (r *ring) full() bool { return r.used == len(r.slots) }

func (r *ring) free() int { return len(r.slots) - r.used }

func (r *ring) at(i int) *slot { return &r.slots[(r.head+i)%len(r.slots)] }

// push adds s, whose page reference becomes the ring's. Preconditions: not full.
func (r *ring) push(s slot) {
	r.used++
	*r.at(r.used - 1) = s
	r.bytes += s.len
}

// drop removes the first slot.
func (r *ring) drop() {
	s := r.at(0)
	r.bytes -= s.len
	s.page.put()
	*s = slot{}
	r.head = (r.head + 1) % len(r.slots)
	r.used--
}

// consume removes n bytes, which the ring holds, from the front.
func (r *ring) consume(n int) {
	for n > 0 {
		s := r.at(0)
		if n >= s.len {
			n -= s.len
			r.drop()
			continue
		}
		s.off += n
		s.len -= n
		r.bytes -= n
		return
	}
}

// resize changes the capacity. Preconditions: n >= r.used.
func (r *ring) resize(n int) {
	slots := make([]slot, n)
	for i := range r.used {
		slots[i] = *r.at(i)
	}
	r.slots, r.head = slots, 0
}

func (r *ring) clear() {
	for r.used > 0 {
		r.drop()
	}
}

// append copies as much of src as fits, in Linux's way: the odd part of a page goes
// behind what the last page holds if all of it fits there, everything else into new
// slots. It returns the bytes taken, and an error only if that is 0.
func (r *ring) append(src uio.Bufs, acct *memfile.Account, packet bool) (int, error) {
	total := src.Len()
	done := 0
	odd := total % abi.PageSize
	if odd != 0 && r.used > 0 && !packet {
		last := r.at(r.used - 1)
		if !last.packet && last.page.refs.Load() == 1 && last.off+last.len+odd <= abi.PageSize {
			n := src.CopyTo(last.page.data[last.off+last.len:][:odd])
			last.len += n
			r.bytes += n
			done = n
		}
	}
	for done < total && !r.full() {
		p, err := newPage(acct)
		if err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
		n := src.Skip(done).CopyTo(p.data[:])
		r.push(slot{page: p, len: n, packet: packet})
		done += n
	}
	if done == 0 {
		return 0, abi.EAGAIN
	}
	return done, nil
}

// read moves bytes into dst: all that is there, or one packet.
func (r *ring) read(dst uio.Bufs) int {
	want := dst.Len()
	done := 0
	for done < want && r.used > 0 {
		s := r.at(0)
		n := dst.Skip(done).CopyFrom(s.bytes())
		done += n
		if s.packet {
			r.drop() // what did not fit is lost
			return done
		}
		r.consume(n)
	}
	return done
}
