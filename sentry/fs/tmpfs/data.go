package tmpfs

import (
	"sync"

	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/syscalls/abi"
)

const (
	chunkShift = 5
	chunkPages = 1 << chunkShift
	// faultPages is how many missing pages a fault on a mapping fills at most.
	faultPages = 16
)

// chunk is the pages of one piece of a file: offsets in the memory file plus 1, 0 for holes.
type chunk [chunkPages]int64

// data is the contents of a file.
type data struct {
	mu       sync.RWMutex
	size     uint64
	pages    int64 // that exist
	chunks   map[uint64]*chunk
	maps     []mapping
	writable int // bytes of writable shared mappings, in pages
	seals    uint32
}

// mapping is a part of an address space that maps the file.
type mapping struct {
	m        memfile.Mapper
	r        abi.AddrRange
	off      uint64
	writable bool
}

func (d *data) pageLocked(n uint64) int64 {
	if c := d.chunks[n>>chunkShift]; c != nil {
		return c[n&(chunkPages-1)] - 1
	}
	return -1
}

func (d *data) setPageLocked(n uint64, off int64) {
	c := d.chunks[n>>chunkShift]
	if c == nil {
		if d.chunks == nil {
			d.chunks = make(map[uint64]*chunk)
		}
		c = new(chunk)
		d.chunks[n>>chunkShift] = c
	}
	c[n&(chunkPages-1)] = off + 1
}

// runLocked returns where page n is (-1 for a hole) and how many pages from it on, at
// most limit, are next to each other, or holes.
func (d *data) runLocked(n, limit uint64) (off int64, pages uint64) {
	off = d.pageLocked(n)
	for pages = 1; pages < limit; pages++ {
		o := d.pageLocked(n + pages)
		if off < 0 && o >= 0 || off >= 0 && o != off+int64(pages<<abi.PageShift) {
			break
		}
	}
	return off, pages
}

// fillLocked makes the holes among pages [n, n+count) real, all of them or, when only
// some was possible, a part from the front: it returns how many pages exist now.
func (d *data) fillLocked(fs *FS, acct *memfile.Account, n, count uint64) (uint64, error) {
	for done := uint64(0); done < count; {
		off, run := d.runLocked(n+done, min(count-done, 1<<14))
		if off >= 0 {
			done += run
			continue
		}
		if err := fs.takePages(int64(run)); err != nil {
			if run = 1; fs.takePages(1) != nil {
				return done, err
			}
		}
		off, err := fs.mf.Allocate(acct, run<<abi.PageShift, memfile.AllocOpts{})
		if err != nil {
			fs.pages.Add(-int64(run))
			return done, err
		}
		for i := range run {
			d.setPageLocked(n+done+i, off+int64(i<<abi.PageShift))
		}
		d.pages += int64(run)
		done += run
	}
	return count, nil
}

// cutLocked takes pages [first, last] out of the file and returns their extents, which
// dropPages frees.
func (d *data) cutLocked(first, last uint64) []memfile.Extent {
	var out []memfile.Extent
	cut := func(key uint64, c *chunk) {
		left := false
		for i := range c {
			n := key<<chunkShift + uint64(i)
			if c[i] == 0 {
				continue
			}
			if n < first || n > last {
				left = true
				continue
			}
			out = append(out, memfile.Extent{Off: c[i] - 1, Len: abi.PageSize})
			c[i] = 0
		}
		if !left {
			delete(d.chunks, key)
		}
	}
	lo, hi := first>>chunkShift, last>>chunkShift
	if hi-lo < uint64(len(d.chunks)) {
		for k := lo; k <= hi; k++ {
			if c := d.chunks[k]; c != nil {
				cut(k, c)
			}
		}
	} else {
		for k, c := range d.chunks {
			if k >= lo && k <= hi {
				cut(k, c)
			}
		}
	}
	d.pages -= int64(len(out))
	return out
}

func dropPages(fs *FS, list []memfile.Extent) {
	for i := 0; i < len(list); {
		e := list[i]
		for i++; i < len(list) && list[i].Off == e.Off+int64(e.Len); i++ {
			e.Len += list[i].Len
		}
		fs.mf.DecRef(e.Off, e.Len)
		fs.pages.Add(-int64(e.Len >> abi.PageShift))
	}
}

// free drops everything.
func (d *data) free(fs *FS) {
	d.mu.Lock()
	list := d.cutLocked(0, ^uint64(0))
	d.size = 0
	d.mu.Unlock()
	dropPages(fs, list)
}

// read reads at pos.
func (d *data) read(fs *FS, dst uio.Bufs, pos uint64) int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	done := 0
	for _, b := range dst {
		for len(b) > 0 {
			if pos >= d.size {
				return done
			}
			n := min(uint64(len(b)), d.size-pos)
			in := pos & abi.PageMask
			off, run := d.runLocked(pos>>abi.PageShift, (in+n+abi.PageMask)>>abi.PageShift)
			n = min(n, run<<abi.PageShift-in)
			if off < 0 {
				clear(b[:n])
			} else {
				copy(b, fs.mf.Bytes(off+int64(in), n))
			}
			b = b[n:]
			pos += n
			done += int(n)
		}
	}
	return done
}

// write writes at pos and grows the file. The error counts only if nothing was written.
func (d *data) write(fs *FS, acct *memfile.Account, src uio.Bufs, pos uint64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	want := uint64(src.Len())
	if err := d.mayWriteLocked(pos, want); err != nil {
		return 0, err
	}
	first := pos >> abi.PageShift
	last := (pos + want - 1) >> abi.PageShift
	have, err := d.fillLocked(fs, acct, first, last-first+1)
	if have == 0 {
		return 0, err
	}
	room := min(want, have<<abi.PageShift-pos&abi.PageMask)
	done := uint64(0)
	for _, b := range src {
		for len(b) > 0 && done < room {
			n := min(uint64(len(b)), room-done)
			in := (pos + done) & abi.PageMask
			off, run := d.runLocked((pos+done)>>abi.PageShift, (in+n+abi.PageMask)>>abi.PageShift)
			n = min(n, run<<abi.PageShift-in)
			copy(fs.mf.Bytes(off+int64(in), n), b)
			b = b[n:]
			done += n
		}
	}
	d.size = max(d.size, pos+done)
	return int(done), nil
}

// mayWriteLocked checks the seals.
func (d *data) mayWriteLocked(pos, n uint64) error {
	if d.seals&(abi.F_SEAL_WRITE|abi.F_SEAL_FUTURE_WRITE) != 0 {
		return abi.EPERM
	}
	if d.seals&abi.F_SEAL_GROW != 0 && pos+n > d.size {
		return abi.EPERM
	}
	return nil
}

// zeroLocked clears [from, to), which lies in one page.
func (d *data) zeroLocked(fs *FS, from, to uint64) {
	if off := d.pageLocked(from >> abi.PageShift); off >= 0 && to > from {
		clear(fs.mf.Bytes(off+int64(from&abi.PageMask), to-from))
	}
}

// truncate sets the size.
func (d *data) truncate(fs *FS, size uint64) error {
	d.mu.Lock()
	if size < d.size && d.seals&abi.F_SEAL_SHRINK != 0 || size > d.size && d.seals&abi.F_SEAL_GROW != 0 {
		d.mu.Unlock()
		return abi.EPERM
	}
	old := d.size
	d.size = size
	if size > old {
		d.mu.Unlock()
		return nil
	}
	if size&abi.PageMask != 0 {
		d.zeroLocked(fs, size, size|abi.PageMask+1)
	}
	first := (size + abi.PageMask) >> abi.PageShift
	list := d.cutLocked(first, ^uint64(0)>>abi.PageShift)
	maps := d.overlapLocked(first<<abi.PageShift, ^uint64(0))
	d.mu.Unlock()
	for _, m := range maps {
		m.m.Invalidate(m.r, true)
	}
	dropPages(fs, list)
	return nil
}

// overlapLocked returns the parts of mappings that map [from, to).
func (d *data) overlapLocked(from, to uint64) []mapping {
	var out []mapping
	for _, m := range d.maps {
		lo, hi := max(from, m.off), min(to, m.off+m.r.Len())
		if lo < hi {
			out = append(out, mapping{m: m.m, r: abi.AddrRange{
				Start: m.r.Start + abi.Addr(lo-m.off), End: m.r.Start + abi.Addr(hi-m.off)}})
		}
	}
	return out
}

// punch makes [from, to) a hole.
func (d *data) punch(fs *FS, from, to uint64) error {
	d.mu.Lock()
	if d.seals&(abi.F_SEAL_WRITE|abi.F_SEAL_FUTURE_WRITE) != 0 {
		d.mu.Unlock()
		return abi.EPERM
	}
	first, end := (from+abi.PageMask)>>abi.PageShift, to>>abi.PageShift
	var list []memfile.Extent
	var maps []mapping
	if first > end { // within one page
		d.zeroLocked(fs, from, to)
	} else {
		d.zeroLocked(fs, from, first<<abi.PageShift)
		d.zeroLocked(fs, end<<abi.PageShift, to)
		if first < end {
			list = d.cutLocked(first, end-1)
			maps = d.overlapLocked(first<<abi.PageShift, end<<abi.PageShift)
		}
	}
	d.mu.Unlock()
	for _, m := range maps {
		m.m.Invalidate(m.r, false)
	}
	dropPages(fs, list)
	return nil
}

// seekData returns the first byte of data (hole false) or of a hole from off on.
func (d *data) seek(off uint64, whence int) (uint64, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if off >= d.size {
		return 0, abi.ENXIO
	}
	end := (d.size + abi.PageMask) >> abi.PageShift
	for n := off >> abi.PageShift; n < end; {
		c := d.chunks[n>>chunkShift]
		if c == nil && whence == abi.SEEK_DATA {
			n = (n>>chunkShift + 1) << chunkShift
			continue
		}
		if (c != nil && c[n&(chunkPages-1)] != 0) == (whence == abi.SEEK_DATA) {
			return min(max(off, n<<abi.PageShift), d.size), nil
		}
		n++
	}
	if whence == abi.SEEK_DATA {
		return 0, abi.ENXIO
	}
	return d.size, nil
}
