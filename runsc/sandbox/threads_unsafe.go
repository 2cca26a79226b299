package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// threadCall is a system call that every thread makes; it must return 0.
type threadCall struct{ nr, a, b, c, d, e uintptr }

const (
	maxThreadCalls = 96
	lastThreadCall = ^uintptr(0) // nr of the entry behind the last
	threadSignal   = 62          // one that nobody sends: the handler is there for a moment only
	threadWait     = 20 * 1000 * 1000

	futexWaitPrivate = 128

	saRestart  = 0x10000000
	saOnstack  = 0x08000000
	saRestorer = 0x04000000
)

// What threadHandler (threads_*.s) reads and writes.
var (
	threadMu     sync.Mutex
	threadList   [maxThreadCalls + 1]threadCall
	threadErr    int64
	threadFailed uintptr // address of the entry of threadList that gave threadErr
	threadDone   uint32
)

func handlerAddrs() (handler, restorer uintptr)

// threads makes system calls on every thread of this process: credentials and
// no_new_privs belong to threads. The Go runtime has a way to do that, one call at a time
// with the world stopped: the sixty calls of a confinement would take most of the time
// that a sandbox needs to start. Here one signal makes a thread do all of them.
type threads struct{ dir *os.File }

// openThreads must be called while the host's /proc is there.
func openThreads() (*threads, error) {
	f, err := os.Open("/proc/self/task")
	if err != nil {
		return nil, fmt.Errorf("list threads: %w", err)
	}
	return &threads{f}, nil
}

func (t *threads) close() { _ = t.dir.Close() }

// do makes the calls, in order, on every thread whose status (proc_pid_status(5)) does
// not have these lines yet, and returns when all have them. Threads that are made
// meanwhile inherit from one that was visited, or are seen by the next look at the list.
func (t *threads) do(calls []threadCall, want ...string) error {
	threadMu.Lock()
	defer threadMu.Unlock()
	if len(calls) > maxThreadCalls {
		return errors.New("too many calls for every thread")
	}
	n := copy(threadList[:], calls)
	threadList[n].nr = lastThreadCall
	threadErr = 0
	restore, err := catchThreadSignal()
	if err != nil {
		return err
	}
	defer restore()
	visited := map[int]bool{}
	for done := false; !done; {
		if done, err = t.pass(visited, want); err != nil {
			return err
		}
	}
	return nil
}

// pass visits the threads that lack something; true says that none did.
func (t *threads) pass(visited map[int]bool, want []string) (bool, error) {
	if _, err := t.dir.Seek(0, 0); err != nil {
		return false, fmt.Errorf("list threads: %w", err)
	}
	names, err := t.dir.Readdirnames(-1)
	if err != nil {
		return false, fmt.Errorf("list threads: %w", err)
	}
	done := true
	for _, name := range names {
		status, err := t.status(name)
		if err == unix.ENOENT || err == unix.ESRCH {
			continue // it has ended
		}
		if err != nil {
			return false, fmt.Errorf("look at thread %s: %w", name, err)
		}
		if hasLines(status, want) {
			continue
		}
		done = false
		tid, err := ownID(status, name)
		if err != nil {
			return false, fmt.Errorf("look at thread %s: %w", name, err)
		}
		if visited[tid] {
			return false, fmt.Errorf("thread %d is not as it should be", tid)
		}
		visited[tid] = true
		if err := visit(tid); err != nil {
			return false, err
		}
	}
	return done, nil
}

func (t *threads) status(name string) (string, error) {
	fd, err := unix.Openat(int(t.dir.Fd()), name+"/status", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var buf [8192]byte
	n, err := unix.Read(fd, buf[:])
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

func hasLines(status string, want []string) bool {
	for _, line := range want {
		if !strings.Contains(status, "\n"+line+"\n") {
			return false
		}
	}
	return true
}

// ownID returns the id of a thread in this process's own pid namespace; the name is the
// one that it has where /proc was mounted.
func ownID(status, name string) (int, error) {
	_, rest, ok := strings.Cut(status, "\nNSpid:")
	if !ok { // no pid namespaces
		return strconv.Atoi(name)
	}
	line, _, _ := strings.Cut(rest, "\n")
	f := strings.Fields(line)
	if len(f) == 0 {
		return 0, errors.New("malformed status")
	}
	return strconv.Atoi(f[len(f)-1])
}

// visit has one thread make the calls and waits until it has.
func visit(tid int) error {
	pid := unix.Getpid()
	atomic.StoreUint32(&threadDone, 0)
	err := unix.Tgkill(pid, tid, threadSignal)
	for err == nil && atomic.LoadUint32(&threadDone) == 0 {
		timeout := unix.Timespec{Nsec: threadWait}
		// SAFETY: both live until the call returns. It ends early when the handler is done.
		_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&threadDone)),
			futexWaitPrivate, 0, uintptr(unsafe.Pointer(&timeout)), 0, 0)
		if atomic.LoadUint32(&threadDone) == 0 {
			err = unix.Tgkill(pid, tid, 0) // is it still there?
		}
	}
	if err != nil && err != unix.ESRCH {
		return fmt.Errorf("signal thread %d: %w", tid, err)
	}
	if threadErr == 0 {
		return nil
	}
	// SAFETY: the handler stores addresses of entries of threadList.
	i := (threadFailed - uintptr(unsafe.Pointer(&threadList[0]))) / unsafe.Sizeof(threadCall{})
	c := &threadList[i]
	return fmt.Errorf("system call %d (%d, %d) on thread %d: %w", c.nr, c.a, c.b, tid, unix.Errno(-threadErr))
}

// catchThreadSignal installs the handler; restore brings the old action back.
func catchThreadSignal() (restore func(), err error) {
	type kernelSigaction struct {
		handler  uintptr
		flags    uint64
		restorer uintptr
		mask     uint64
	}
	handler, restorer := handlerAddrs()
	act := &kernelSigaction{
		handler: handler, restorer: restorer, flags: saOnstack | saRestart | saRestorer, mask: ^uint64(0),
	}
	old := &kernelSigaction{}
	// SAFETY: the kernel copies both structures during the call.
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, threadSignal,
		uintptr(unsafe.Pointer(act)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
	if errno != 0 {
		return nil, fmt.Errorf("catch a signal: %w", errno)
	}
	return func() {
		// SAFETY: as above.
		_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, threadSignal,
			uintptr(unsafe.Pointer(old)), 0, 8, 0, 0)
	}, nil
}

// What capset(2) is given; not on a stack, since other threads read it.
var (
	capHead = unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	capData [2]unix.CapUserData
)

// capsetCall gives a thread exactly these permitted and effective capabilities.
func capsetCall(set uint64) threadCall {
	capData = [2]unix.CapUserData{
		{Effective: uint32(set), Permitted: uint32(set)},
		{Effective: uint32(set >> 32), Permitted: uint32(set >> 32)},
	}
	// SAFETY: globals do not move.
	return threadCall{nr: unix.SYS_CAPSET, a: uintptr(unsafe.Pointer(&capHead)), b: uintptr(unsafe.Pointer(&capData))}
}
