package memfile

import "lazaret/syscalls/abi"

const (
	// maxClear is the size up to which clearing beats punching a hole and faulting
	// fresh memory in.
	maxClear = 64 << 10

	// Runs up to keepPages are kept dirty when they are freed, maxDirty pages in all.
	keepPages = 64
	maxDirty  = 4096
)

// Dir says which end of a free run an allocation takes.
type Dir uint8

// Directions: BottomUp suits mappings that grow upwards, TopDown stacks.
const (
	BottomUp Dir = iota
	TopDown
)

// AllocOpts are wishes about where an allocation lies.
type AllocOpts struct {
	Align uint64 // bytes, a power of two; 0 is a page
	Dir   Dir
	// Near, if not 0, is the offset that the allocation should start at, so that
	// neighbouring mappings continue each other. It is a hint.
	Near int64
}

// Allocate returns the offset of n contiguous bytes (a multiple of the page size), zeroed
// and with one reference on each page, charged to acct. It fails with abi.ENOMEM when
// the account's limit or the file does not allow it.
func (f *File) Allocate(acct *Account, n uint64, opts AllocOpts) (int64, error) {
	if n == 0 || n%pageSize != 0 || n > f.size {
		return 0, abi.ENOMEM
	}
	if err := acct.Charge(n); err != nil {
		return 0, err
	}
	pages := n >> pageShift
	align := max(opts.Align>>pageShift, 1)

	f.mu.Lock()
	first, ok, old := uint64(0), false, false
	if opts.Near != 0 {
		first, ok = f.clean.takeAt(uint64(opts.Near)>>pageShift, pages)
	}
	if !ok && n <= maxClear && align == 1 {
		first, ok = f.dirty.take(pages, 1, opts.Dir)
		old = ok
	}
	if !ok {
		first, ok = f.clean.take(pages, align, opts.Dir)
	}
	if !ok {
		f.mu.Unlock()
		acct.Uncharge(n)
		return 0, abi.ENOMEM
	}
	id := f.ownerLocked(acct)
	f.owners[id].pages += pages
	f.growMetaLocked(first, pages)
	f.mu.Unlock()

	off := int64(first << pageShift)
	if old {
		clear(f.Bytes(off, n))
	}
	for p := first; p < first+pages; p++ {
		m := f.page(p)
		m.owner = id
		m.refs.Store(1)
	}
	f.inUse.Add(pages)
	return off, nil
}

// growMetaLocked makes the metadata of n pages from first on exist.
func (f *File) growMetaLocked(first, n uint64) {
	for c := first / chunkPages; c <= (first+n-1)/chunkPages; c++ {
		d := &f.meta[c/dirChunks]
		if d.Load() == nil {
			d.Store(new(metaDir))
		}
		if chunk := &d.Load()[c%dirChunks]; chunk.Load() == nil {
			chunk.Store(new(metaChunk))
		}
	}
}

// ownerLocked returns the index of acct in f.owners.
func (f *File) ownerLocked(acct *Account) uint32 {
	if id, ok := f.slots[acct]; ok {
		return id
	}
	var id uint32
	if n := len(f.spare); n > 0 {
		id = f.spare[n-1]
		f.spare = f.spare[:n-1]
	} else {
		id = uint32(len(f.owners))
		f.owners = append(f.owners, owner{})
	}
	f.owners[id] = owner{acct: acct}
	f.slots[acct] = id
	return id
}

// free takes n pages from first on, which have no references, back.
func (f *File) free(first, n uint64) {
	f.inUse.Add(-n)
	small := n <= keepPages
	if !small && !f.punch(first, n) {
		clear(f.Bytes(int64(first<<pageShift), n<<pageShift))
	}
	f.mu.Lock()
	for p, end := first, first+n; p < end; {
		id, from := f.page(p).owner, p
		for p < end && f.page(p).owner == id {
			p++
		}
		f.releaseLocked(id, p-from)
	}
	var flush []run
	if small {
		f.dirty.add(first, n)
		if f.dirty.pages > maxDirty {
			flush = f.dirty.takeAll()
		}
	} else {
		f.clean.add(first, n)
	}
	f.mu.Unlock()
	if flush == nil {
		return
	}
	for _, r := range flush {
		if !f.punch(r.start, r.n) {
			clear(f.Bytes(int64(r.start<<pageShift), r.n<<pageShift))
		}
	}
	f.mu.Lock()
	for _, r := range flush {
		f.clean.add(r.start, r.n)
	}
	f.mu.Unlock()
}

// releaseLocked gives n pages of the owner with index id back; an owner without pages
// is forgotten.
func (f *File) releaseLocked(id uint32, n uint64) {
	o := &f.owners[id]
	o.acct.Uncharge(n << pageShift)
	o.pages -= n
	if o.pages == 0 {
		delete(f.slots, o.acct)
		*o = owner{}
		f.spare = append(f.spare, id)
	}
}
