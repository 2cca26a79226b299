package vfs

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"lazaret/syscalls/abi"
)

// FDTable is a table of file descriptors (struct files_struct), shared by tasks that
// were cloned with CLONE_FILES. Get takes no lock.
type FDTable struct {
	slots atomic.Pointer[[]atomic.Pointer[File]]

	mu      sync.Mutex
	cloexec []uint64 // bit for each fd
	used    []uint64 // bit for each fd that is taken or reserved
	next    int      // no fd below is free
	users   int
	maxfn   int // most descriptors ever (fs.nr_open)
}

// NROpen is fs.nr_open, the bound of every RLIMIT_NOFILE.
const NROpen = 1 << 20

// NewFDTable returns an empty table with one user; maxfn bounds it (0: NROpen).
func NewFDTable(maxfn int) *FDTable {
	if maxfn <= 0 || maxfn > NROpen {
		maxfn = NROpen
	}
	t := &FDTable{users: 1, maxfn: maxfn}
	t.growLocked(64)
	return t
}

// tableSize is the size of a table that holds fd: 64, then powers of two from 256 on, as
// select(2) shows from outside.
func tableSize(fd int) int {
	if fd < 64 {
		return 64
	}
	return max(256, 1<<bits.Len(uint(fd)))
}

// Size is the number of descriptors that the table has room for now; select(2) looks at
// none beyond (its BUGS section).
func (t *FDTable) Size() int { return len(*t.slots.Load()) }

// growLocked makes room for n descriptors; n is a multiple of 64.
func (t *FDTable) growLocked(n int) {
	slots := make([]atomic.Pointer[File], n)
	if old := t.slots.Load(); old != nil {
		for i := range *old {
			slots[i].Store((*old)[i].Load())
		}
	}
	t.used = append(t.used, make([]uint64, n/64-len(t.used))...)
	t.cloexec = append(t.cloexec, make([]uint64, n/64-len(t.cloexec))...)
	t.slots.Store(&slots)
}

// Get returns the file of fd with a reference, nil if there is none.
func (t *FDTable) Get(fd int32) *File {
	for {
		s := *t.slots.Load()
		if uint32(fd) >= uint32(len(s)) {
			return nil
		}
		f := s[fd].Load()
		if f == nil {
			return nil
		}
		if f.TryIncRef() {
			if cur := *t.slots.Load(); cur[fd].Load() == f {
				return f
			}
			f.DecRef()
		}
	}
}

func setBit(b []uint64, fd int, on bool) {
	if on {
		b[fd/64] |= 1 << (fd % 64)
	} else {
		b[fd/64] &^= 1 << (fd % 64)
	}
}

func getBit(b []uint64, fd int) bool { return b[fd/64]>>(fd%64)&1 != 0 }

// freeLocked returns the lowest free descriptor that is at least from.
func (t *FDTable) freeLocked(from int) int {
	from = max(from, t.next)
	for w := from / 64; w < len(t.used); w++ {
		free := ^t.used[w]
		if w == from/64 {
			free &= ^uint64(0) << (from % 64)
		}
		if free != 0 {
			return w*64 + bits.TrailingZeros64(free)
		}
	}
	return max(from, len(t.used)*64)
}

// Alloc gives file the lowest descriptor from minFD on and takes over the caller's
// reference. limit is RLIMIT_NOFILE. EMFILE: none is free (the reference stays the
// caller's); EINVAL: minFD is beyond the limit.
func (t *FDTable) Alloc(minFD int32, file *File, cloexec bool, limit uint64) (int32, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	limit = min(limit, uint64(t.maxfn))
	if minFD < 0 || minFD > 0 && uint64(minFD) >= limit {
		return -1, abi.EINVAL
	}
	fd := t.freeLocked(int(minFD))
	if uint64(fd) >= limit {
		return -1, abi.EMFILE
	}
	t.installLocked(fd, file, cloexec)
	if int(minFD) <= t.next {
		t.next = fd + 1
	}
	return int32(fd), nil
}

func (t *FDTable) installLocked(fd int, file *File, cloexec bool) *File {
	if n := tableSize(fd); n > len(t.used)*64 {
		t.growLocked(n)
	}
	setBit(t.used, fd, true)
	setBit(t.cloexec, fd, cloexec)
	return (*t.slots.Load())[fd].Swap(file)
}

// AllocAt gives file the descriptor fd, closing what was there (dup2(2)), and takes
// over the caller's reference. EBADF: beyond the limit.
func (t *FDTable) AllocAt(ctx *Context, fd int32, file *File, cloexec bool, limit uint64) error {
	t.mu.Lock()
	if fd < 0 || uint64(fd) >= min(limit, uint64(t.maxfn)) {
		t.mu.Unlock()
		return abi.EBADF
	}
	old := t.installLocked(int(fd), file, cloexec)
	t.mu.Unlock()
	if old != nil {
		_ = t.closeFile(ctx, old) // dup2(2): errors of the implied close are lost
	}
	return nil
}

// removeLocked frees fd and returns its file, whose reference is now the caller's.
func (t *FDTable) removeLocked(fd int) *File {
	s := *t.slots.Load()
	if uint(fd) >= uint(len(s)) {
		return nil
	}
	f := s[fd].Swap(nil)
	if f == nil {
		return nil
	}
	setBit(t.used, fd, false)
	setBit(t.cloexec, fd, false)
	t.next = min(t.next, fd)
	return f
}

// Remove takes fd out of the table and returns its file with the table's reference, nil
// if there is none. It drops the table's POSIX locks on the file, as close(2) does.
func (t *FDTable) Remove(fd int32) *File {
	t.mu.Lock()
	f := t.removeLocked(int(fd))
	t.mu.Unlock()
	if f != nil {
		dropPosixLocks(f, t)
	}
	return f
}

// Close is close(2).
func (t *FDTable) Close(ctx *Context, fd int32) error {
	t.mu.Lock()
	f := t.removeLocked(int(fd))
	t.mu.Unlock()
	if f == nil {
		return abi.EBADF
	}
	return t.closeFile(ctx, f)
}

// closeFile does what a close(2) of one descriptor does to the file.
func (t *FDTable) closeFile(ctx *Context, f *File) error {
	dropPosixLocks(f, t)
	var err error
	if fl, ok := f.Ops.(Flusher); ok {
		err = fl.Flush(ctx, f)
	}
	f.DecRef()
	return err
}

// Cloexec returns the close-on-exec flag of fd (F_GETFD).
func (t *FDTable) Cloexec(fd int32) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if fd < 0 || int(fd) >= len(t.used)*64 || !getBit(t.used, int(fd)) {
		return false, abi.EBADF
	}
	return getBit(t.cloexec, int(fd)), nil
}

// SetCloexec sets the close-on-exec flag of fd (F_SETFD).
func (t *FDTable) SetCloexec(fd int32, on bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if fd < 0 || int(fd) >= len(t.used)*64 || !getBit(t.used, int(fd)) {
		return abi.EBADF
	}
	setBit(t.cloexec, int(fd), on)
	return nil
}

// rangeEnd bounds last by the size of the table.
func (t *FDTable) rangeEndLocked(last uint32) int {
	return int(min(uint64(last)+1, uint64(len(t.used)*64)))
}

// CloseRange is close_range(2) for descriptors first to last.
func (t *FDTable) CloseRange(ctx *Context, first, last uint32) {
	t.mu.Lock()
	var files []*File
	for fd := int(first); fd < t.rangeEndLocked(last); fd++ {
		if f := t.removeLocked(fd); f != nil {
			files = append(files, f)
		}
	}
	t.mu.Unlock()
	for _, f := range files {
		_ = t.closeFile(ctx, f) // close_range(2) does not report errors of close
	}
}

// CloexecRange is close_range(2) with CLOSE_RANGE_CLOEXEC.
func (t *FDTable) CloexecRange(first, last uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for fd := int(first); fd < t.rangeEndLocked(last); fd++ {
		if getBit(t.used, fd) {
			setBit(t.cloexec, fd, true)
		}
	}
}

// CloseOnExec closes the descriptors with the close-on-exec flag (execve(2)).
func (t *FDTable) CloseOnExec(ctx *Context) {
	t.mu.Lock()
	var files []*File
	for w, b := range t.cloexec {
		for ; b != 0; b &= b - 1 {
			if f := t.removeLocked(w*64 + bits.TrailingZeros64(b)); f != nil {
				files = append(files, f)
			}
		}
	}
	t.mu.Unlock()
	for _, f := range files {
		_ = t.closeFile(ctx, f) // nobody is there to be told
	}
}

// Fork returns a copy with one user.
func (t *FDTable) Fork() *FDTable { return t.ForkBelow(NROpen) }

// ForkBelow is Fork without the descriptors from end on (close_range(2) with
// CLOSE_RANGE_UNSHARE).
func (t *FDTable) ForkBelow(end int) *FDTable {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := &FDTable{users: 1, maxfn: t.maxfn}
	top := len(t.used) - 1
	for top > 0 && t.used[top] == 0 {
		top--
	}
	n.growLocked(tableSize(min(top*64+63, max(end-1, 0))))
	to := *n.slots.Load()
	from := *t.slots.Load()
	for w, b := range t.used {
		for ; b != 0; b &= b - 1 {
			fd := w*64 + bits.TrailingZeros64(b)
			f := from[fd].Load()
			if f == nil || fd >= end {
				continue
			}
			f.IncRef()
			to[fd].Store(f)
			setBit(n.used, fd, true)
			setBit(n.cloexec, fd, getBit(t.cloexec, fd))
		}
	}
	return n
}

// IncUsers adds a task (CLONE_FILES).
func (t *FDTable) IncUsers() {
	t.mu.Lock()
	t.users++
	t.mu.Unlock()
}

// Users returns the number of tasks that share t.
func (t *FDTable) Users() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.users
}

// DecUsers removes a task; the last one closes everything.
func (t *FDTable) DecUsers(ctx *Context) {
	t.mu.Lock()
	t.users--
	last := t.users == 0
	t.mu.Unlock()
	if last {
		t.CloseRange(ctx, 0, ^uint32(0))
	}
}

// ForEach calls f for the open descriptors from first on, in order, until it returns
// false. The file is valid during the call. f may use the table.
func (t *FDTable) ForEach(first int32, f func(fd int32, file *File, cloexec bool) bool) {
	for fd := max(first, 0); ; fd++ {
		t.mu.Lock()
		var file *File
		cloexec := false
		s := *t.slots.Load()
		for ; int(fd) < len(s); fd++ {
			if file = s[fd].Load(); file != nil {
				file.IncRef()
				cloexec = getBit(t.cloexec, int(fd))
				break
			}
		}
		t.mu.Unlock()
		if file == nil {
			return
		}
		more := f(fd, file, cloexec)
		file.DecRef()
		if !more {
			return
		}
	}
}

// Count returns the number of open descriptors.
func (t *FDTable) Count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, w := range t.used {
		n += bits.OnesCount64(w)
	}
	return n
}
