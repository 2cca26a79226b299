package mm

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/platform"
	"lazaret/sentry/memfile"
	"lazaret/syscalls/abi"
)

// Fault is a memory access that must end in a signal.
type Fault struct {
	Signal int32 // SIGSEGV or SIGBUS
	Code   int32 // si_code
	Addr   abi.Addr
}

// Error implements error.
func (f *Fault) Error() string {
	return fmt.Sprintf("signal %d code %d at %#x", f.Signal, f.Code, uint64(f.Addr))
}

// HandleFault makes the page at addr accessible if the mappings allow it. access may be
// 0 when the platform does not know the kind. It returns nil (run the thread again), a
// *Fault, or abi.ENOMEM when the container or the host is out of memory.
func (m *MM) HandleFault(addr abi.Addr, access platform.Access) error {
	for grown := false; ; grown = true {
		m.mu.RLock()
		v := m.findLocked(addr)
		if v == nil {
			m.mu.RUnlock()
			if grown || !m.growStack(addr) {
				return &Fault{abi.SIGSEGV, abi.SEGV_MAPERR, addr}
			}
			continue
		}
		if v.prot == 0 || access&^v.prot&(platform.Write|platform.Exec) != 0 {
			m.mu.RUnlock()
			return &Fault{abi.SIGSEGV, abi.SEGV_ACCERR, addr}
		}
		done, err := m.faultLocked(v, addr, access)
		fresh := !done && err == nil && m.pt.leaf(addr).fresh()
		m.mu.RUnlock()
		switch {
		case err == abi.EFAULT:
			return &Fault{abi.SIGBUS, abi.BUS_ADRERR, addr}
		case err != nil:
			return err
		case !done && m.idle.real(addr, m.users.Load(), fresh):
			return &Fault{abi.SIGSEGV, abi.SEGV_ACCERR, addr}
		}
		return nil
	}
}

// faultLocked makes progress at addr in v; it reports false when there is nothing left
// to do. Preconditions: MM.mu is held, v allows the access.
func (m *MM) faultLocked(v *vma, addr abi.Addr, access platform.Access) (bool, error) {
	l, err := m.pt.ensure(addr)
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.ptes[leafIndex(addr)]
	canWrite := v.prot&platform.Write != 0
	write := access&platform.Write != 0 || access == 0 && canWrite
	switch {
	case p == 0:
		// A private mapping of a file shows the file until it is written: where the
		// access is not known it may be a read, and a write comes again.
		if access == 0 && v.object != nil && !v.shared() {
			write = false
		}
		err = m.fillLocked(v, l, addr, write)
	case write && canWrite && !v.shared() && p&(pteCOW|pteHost) != 0:
		err = m.breakCOWLocked(v, l, addr)
	case p&pteMapped == 0:
		err = m.installLocked(v, l, addr)
	case p&pteHost != 0:
		// The host has the page mapped: either it lies beyond the end of the file,
		// or another thread was faster.
		e, err := m.extent(v, addr.RoundDown(), abi.PageSize, false)
		if err != nil {
			return false, err
		}
		defer m.putExtent(e)
		if !m.isMem(e) && pastEnd(e) {
			return false, abi.EFAULT
		}
		return false, nil
	default:
		return false, nil
	}
	if err == nil {
		l.gain()
		m.idle.progress(addr)
	}
	return err == nil, err
}

// idleFaults tells a fault that another thread has repaired meanwhile from one that
// nothing can repair, when the platform does not say what kind of access it was: the
// first kind cannot happen more often than there are threads, and not long after the
// repair.
type idleFaults struct {
	mu    sync.Mutex
	slots [8]idleFault
	next  int
}

type idleFault struct {
	addr  abi.Addr
	count int64
}

// inFlight is how long after a repair a fault from before it may still come in.
const inFlight = time.Second

var start = time.Now()

func (l *leaf) gain() { l.gained.Store(int64(time.Since(start))) }

func (l *leaf) fresh() bool {
	return time.Since(start)-time.Duration(l.gained.Load()) < inFlight
}

// real counts a fault at addr for which nothing was left to do, and reports whether it
// must be a real one.
func (i *idleFaults) real(addr abi.Addr, users int64, fresh bool) bool {
	most := 2*users + 1
	if !fresh {
		most = 1
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for j := range i.slots {
		s := &i.slots[j]
		if s.addr != addr || s.count == 0 {
			continue
		}
		if s.count++; s.count > most {
			*s = idleFault{}
			return true
		}
		return false
	}
	i.slots[i.next] = idleFault{addr, 1}
	i.next = (i.next + 1) % len(i.slots)
	return false
}

// progress forgets what was counted for addr's page.
func (i *idleFaults) progress(addr abi.Addr) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for j := range i.slots {
		if i.slots[j].addr.RoundDown() == addr.RoundDown() {
			i.slots[j] = idleFault{}
		}
	}
}

// extent asks v's object for what is at [addr, addr+n), and trusts no more than it must.
// Errors: EFAULT past the end of the object, ENOMEM, and others of the object's.
func (m *MM) extent(v *vma, addr abi.Addr, n uint64, write bool) (memfile.Extent, error) {
	e, err := v.object.Extent(m.acct, v.offOf(addr), n, write)
	if err != nil {
		return e, err
	}
	got := min(e.Len, n) &^ abi.PageMask
	if e.FD == m.file.FD() && e.Len > got {
		m.file.DecRef(e.Off+int64(got), e.Len-got)
	}
	if e.Len = got; got == 0 {
		return e, abi.EFAULT
	}
	return e, nil
}

// pastEnd reports whether e starts on a page that the host file does not have.
func pastEnd(e memfile.Extent) bool {
	var st unix.Stat_t
	return unix.Fstat(e.FD, &st) == nil && e.Off >= st.Size
}

// isMem reports whether e is pages of the memory file, with references for us.
func (m *MM) isMem(e memfile.Extent) bool { return e.FD == m.file.FD() }

// putExtent gives the references of e back.
func (m *MM) putExtent(e memfile.Extent) {
	if m.isMem(e) {
		m.file.DecRef(e.Off, e.Len)
	}
}
