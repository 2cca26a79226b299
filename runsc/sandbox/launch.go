package sandbox

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"lazaret/runsc/populate"
)

// launch is how a child of ours comes to be: a clone that shares the memory of this process
// makes the system calls of a list, in assembly, and ends them with execve. The library's
// way copies this process's page tables for a child with a user namespace, waits until
// each child's namespaces are made and its program is executed before the next can start,
// and makes a child more to see whether pidfds work.
//
// Preconditions: it is kept until await has returned; the child works on its memory.
type launch struct {
	calls []threadCall

	// Of the clone's assembly.
	sigMask uint64 // of the thread that clones
	pidFD   int32
	running uint32 // the kernel makes it 0 when the child has left this memory
	failed  int64  // index in calls of the one that failed
	errno   int64  // and its negated error; 0: none failed

	// What calls point to.
	release byte
	capHead unix.CapUserHeader
	capData [2]unix.CapUserData
	root    *byte
	exe     *byte
	argv    [maxArgs + 1]*byte
	envv    [2]*byte
}

const (
	maxArgs    = 3
	lastSignal = 64

	// bornNamespaces are those that the clone must make. The child makes the others itself,
	// beside its sibling: a new network namespace takes its time.
	bornNamespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWCGROUP

	// earlySlackNS is how late a child's timers may be until it is confined: the monitor of
	// the Go runtime would wake every 20 us, find a thread in a system call and start
	// another in its stead, while three processes share what processors there are. A program
	// that began at populate's start has it anyway. A Gofer keeps it: nothing in it waits for
	// a time, and what its monitor does for it a millisecond later is soon enough.
	earlySlackNS = 1_000_000

	// usualSlackNS is what the kernel gives a process (PR_SET_TIMERSLACK).
	usualSlackNS = 50_000

	// settleTime is when a process gives back what it needed for its start only. Those that do
	// not live as long have done without.
	settleTime = 2 * time.Second
)

// launchAttr says what a child is to be.
type launchAttr struct {
	flags   uintptr // CLONE_NEW...
	maps    *userMaps
	ambient []uintptr
}

// userMaps are the mappings of a user namespace.
type userMaps struct {
	uids, gids []specs.LinuxIDMapping
	setGroups  bool
}

// prepare writes the list. sync is the parent's end of the child's sync socket.
func (l *launch) prepare(exe string, argv []string, env string, d *donation, sync int, attr *launchAttr) error {
	for _, s := range []struct {
		to   **byte
		text string
	}{{&l.exe, exe}, {&l.envv[0], env}, {&l.root, "/"}} {
		if err := setString(s.to, s.text); err != nil {
			return err
		}
	}
	for i, a := range argv {
		if err := setString(&l.argv[i], a); err != nil {
			return err
		}
	}
	l.resetSignals()
	if attr.maps != nil {
		// Without the parent's end of its own it sees the end of file if this process dies,
		// and goes on, to see it again and end.
		l.call(unix.SYS_CLOSE, uintptr(sync), 0, 0, 0, 0)
		l.call(unix.SYS_READ, d.files[syncFD].Fd(), l.releaseAddr(), 1, 0, 0)
	}
	if ns := attr.flags &^ bornNamespaces; ns != 0 {
		l.call(unix.SYS_UNSHARE, ns, 0, 0, 0, 0)
	}
	l.call(unix.SYS_SETSID, 0, 0, 0, 0, 0)
	l.raiseAmbient(attr.ambient)
	l.chdirRoot()
	l.donate(d.numbers())
	l.call(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, earlySlackNS, 0, 0, 0)
	l.execve()
	return nil
}

func setString(to **byte, text string) (err error) {
	*to, err = unix.BytePtrFromString(text)
	return err
}

func (l *launch) call(nr, a, b, c, d, e uintptr) {
	l.calls = append(l.calls, threadCall{nr: nr, a: a, b: b, c: c, d: d, e: e})
}

// donate gives the child its files by their numbers: first out of the way, then in place.
func (l *launch) donate(from []uintptr) {
	n := uintptr(len(from))
	next := max(n, slices.Max(from)+1)
	for i, fd := range from {
		if fd < n && fd != uintptr(i) {
			l.call(unix.SYS_DUP3, fd, next, unix.O_CLOEXEC, 0, 0)
			from[i], next = next, next+1
		}
	}
	for i, fd := range from {
		if fd == uintptr(i) {
			l.call(unix.SYS_FCNTL, fd, unix.F_SETFD, 0, 0, 0)
		} else {
			l.call(unix.SYS_DUP3, fd, uintptr(i), 0, 0, 0)
		}
	}
}

// await returns when the child has been executed, or what stopped it before.
func (l *launch) await() error {
	l.awaitExec()
	if l.errno == 0 {
		return nil
	}
	err := unix.Errno(-l.errno)
	switch nr := l.calls[l.failed].nr; nr {
	case unix.SYS_UNSHARE:
		return &childError{explainClone(err).Error()}
	case unix.SYS_EXECVE:
		return &childError{fmt.Sprintf("execute runsc: %v", err)}
	default:
		return &childError{fmt.Sprintf("system call %d of a new process: %v", nr, err)}
	}
}

// write gives a child that waits for them its mappings.
func (m *userMaps) write(pid int) error {
	groups := "deny"
	if m.setGroups {
		groups = "allow"
	}
	dir := "/proc/" + strconv.Itoa(pid) + "/"
	for _, f := range []struct{ name, text string }{
		{"uid_map", mapText(m.uids)}, {"setgroups", groups}, {"gid_map", mapText(m.gids)},
	} {
		if err := writeProc(dir+f.name, f.text); err != nil {
			return fmt.Errorf("write %s of a new process: %w", f.name, err)
		}
	}
	return nil
}

func mapText(maps []specs.LinuxIDMapping) string {
	var b strings.Builder
	for _, m := range maps {
		fmt.Fprintf(&b, "%d %d %d\n", m.ContainerID, m.HostID, m.Size)
	}
	return b.String()
}

// Settle has this process give back memory when it has done what it was started for.
func Settle() { time.AfterFunc(settleTime, populate.GiveBack) }

// writeProc writes a file of /proc with one call.
func writeProc(path, text string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(text))
	return err
}
