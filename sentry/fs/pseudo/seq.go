package pseudo

import (
	"sync"

	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// MaxStore is how much may be written to a pseudo file at once, in bytes.
const MaxStore = 4096

// Shower is an inode whose text is made on reading.
type Shower interface {
	Show(ctx *vfs.Context, f *vfs.File, b *Buf) error
}

// Storer is an inode that takes what is written to it at pos, whole.
type Storer interface {
	Store(ctx *vfs.Context, f *vfs.File, data []byte, pos int64) error
}

// Seq is an open file whose inode is a Shower, a Storer or both. A read at offset 0
// makes the text anew; later ones go on in the same text.
type Seq struct {
	mu   sync.Mutex
	buf  []byte // the piece of the text that begins at base
	base int64
	next uint64 // Cursor of the piece after it
	more bool   // there is one
	made bool   // buf is valid

	acct    *memfile.Account // charged for buf
	charged uint64
}

// Read implements vfs.FileOps.
func (s *Seq) Read(ctx *vfs.Context, f *vfs.File, dst uio.Bufs, pos *int64) (int, error) {
	src, ok := f.Inode.(Shower)
	if !ok {
		return 0, abi.EINVAL
	}
	if dst.Len() == 0 {
		return 0, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if *pos == 0 || !s.made || *pos < s.base {
		if err := s.makeLocked(ctx, f, src, 0, 0); err != nil {
			return 0, err
		}
	}
	total := 0
	for {
		if off := *pos - s.base; off < int64(len(s.buf)) {
			n := dst.CopyFrom(s.buf[off:])
			*pos += int64(n)
			total += n
			if dst = dst.Skip(n); dst.Len() == 0 {
				return total, nil
			}
		}
		if !s.more {
			if total == 0 {
				s.dropLocked()
			}
			return total, nil
		}
		if err := s.makeLocked(ctx, f, src, s.next, s.base+int64(len(s.buf))); err != nil {
			if total > 0 {
				return total, nil
			}
			return 0, err
		}
	}
}

// makeLocked makes the piece of the text that begins at cursor, offset base.
func (s *Seq) makeLocked(ctx *vfs.Context, f *vfs.File, src Shower, cursor uint64, base int64) error {
	b := Buf{B: s.buf[:0], Cursor: cursor}
	s.made, s.more = false, false
	if err := src.Show(ctx, f, &b); err != nil {
		s.dropLocked()
		return err
	}
	if b.more && len(b.B) == 0 {
		b.more = false // a list that does not get on would be read for ever
	}
	s.buf = b.B
	if err := s.chargeLocked(ctx, uint64(cap(s.buf))); err != nil {
		s.dropLocked()
		return err
	}
	s.base, s.next, s.more, s.made = base, b.next, b.more, true
	return nil
}

func (s *Seq) chargeLocked(ctx *vfs.Context, n uint64) error {
	if s.acct == nil {
		s.acct = ctx.Account
	}
	if s.acct == nil || n <= s.charged {
		return nil
	}
	if err := s.acct.Charge(n - s.charged); err != nil {
		return err
	}
	s.charged = n
	return nil
}

// dropLocked gives the text up.
func (s *Seq) dropLocked() {
	if s.acct != nil {
		s.acct.Uncharge(s.charged)
	}
	s.buf, s.base, s.made, s.more, s.acct, s.charged = nil, 0, false, false, nil, 0
}

// Write implements vfs.FileOps.
func (s *Seq) Write(ctx *vfs.Context, f *vfs.File, src uio.Bufs, pos *int64) (int, error) {
	dst, ok := f.Inode.(Storer)
	if !ok {
		return 0, abi.EIO
	}
	n := src.Len()
	if n > MaxStore {
		return 0, abi.EINVAL
	}
	data := make([]byte, n)
	src.CopyTo(data)
	if err := dst.Store(ctx, f, data, *pos); err != nil {
		return 0, err
	}
	*pos += int64(n)
	return n, nil
}

// Release implements vfs.FileOps.
func (s *Seq) Release(*vfs.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked()
}

// Seek implements vfs.Seeker: the end of such a file is not known (seq_lseek).
func (s *Seq) Seek(_ *vfs.Context, f *vfs.File, off int64, whence int) (int64, error) {
	switch whence {
	case abi.SEEK_SET:
	case abi.SEEK_CUR:
		off += f.PosLocked()
	default:
		return 0, abi.EINVAL
	}
	if off < 0 {
		return 0, abi.EINVAL
	}
	return off, nil
}
