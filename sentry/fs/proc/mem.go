package proc

import (
	"lazaret/sentry/mm"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// memOps is an open /proc/PID/mem: the memory of the address space that the process had
// when it was opened, by address. Protection of mappings does not count, as debuggers
// that plant breakpoints this way expect.
type memOps struct{ mm *mm.MM }

// Read implements vfs.FileOps.
func (o *memOps) Read(_ *vfs.Context, _ *vfs.File, dst uio.Bufs, pos *int64) (int, error) {
	return o.each(dst, pos, (*mm.MM).Peek)
}

// Write implements vfs.FileOps.
func (o *memOps) Write(_ *vfs.Context, _ *vfs.File, src uio.Bufs, pos *int64) (int, error) {
	return o.each(src, pos, (*mm.MM).Poke)
}

// each copies page by page, so that what is before a hole counts.
func (o *memOps) each(bufs uio.Bufs, pos *int64, copy func(*mm.MM, abi.Addr, []byte) (int, error)) (int, error) {
	if o.mm == nil || !o.mm.TryIncUsers() {
		return 0, nil
	}
	defer o.mm.DecUsers()
	n := 0
	for _, b := range bufs {
		for len(b) > 0 {
			a := abi.Addr(*pos)
			c := min(len(b), abi.PageSize-int(a.PageOffset()))
			done, err := copy(o.mm, a, b[:c])
			n += done
			*pos += int64(done)
			if err != nil || done < c {
				if n == 0 {
					return 0, abi.EIO
				}
				return n, nil
			}
			b = b[c:]
		}
	}
	return n, nil
}

// Release implements vfs.FileOps.
func (o *memOps) Release(*vfs.File) {}

// Seek implements vfs.Seeker: any address can be sought.
func (o *memOps) Seek(_ *vfs.Context, f *vfs.File, off int64, whence int) (int64, error) {
	switch whence {
	case abi.SEEK_SET:
		return off, nil
	case abi.SEEK_CUR:
		return f.PosLocked() + off, nil
	}
	return 0, abi.EINVAL
}
