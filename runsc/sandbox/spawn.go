package sandbox

import (
	"fmt"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
)

// sandboxNamespaces are new for both processes.
const sandboxNamespaces uintptr = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET |
	unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// child is a process being started.
type child struct {
	what  string // "sentry" or "gofer", for errors
	proc  *Process
	pidFD *os.File
	sync  *os.File // parent's end
	log   *os.File

	launch *launch // until the child is known to have been executed
}

// donation collects the files that a child inherits; the index is the number there.
type donation struct{ files []*os.File }

// add donates f and returns its number in the child; nil gives NoFD.
func (d *donation) add(f *os.File) int {
	if f == nil {
		return NoFD
	}
	d.files = append(d.files, f)
	return len(d.files) - 1
}

// numbers are those that the files have in this process.
func (d *donation) numbers() []uintptr {
	list := make([]uintptr, len(d.files))
	for i, f := range d.files {
		list[i] = f.Fd()
	}
	return list
}

// newDonation starts with /dev/null as stdin, the log as stdout and stderr, and the
// sync socket.
func newDonation(null, log, sync *os.File) *donation {
	return &donation{files: []*os.File{null, log, log, sync}}
}

// goferPair makes the connection between a Sentry and a Gofer.
func goferPair() (*os.File, *os.File, error) {
	client, server, err := proto.SocketPair()
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	return os.NewFile(uintptr(client), "gofer"), os.NewFile(uintptr(server), "gofer"), nil
}

// syncPair makes a sync socket; the parent's end is non-blocking, for its deadline.
func syncPair() (parent, kid *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "sync"), os.NewFile(uintptr(fds[1]), "sync"), nil
}

// childEnv is all of a child's environment: it is told everything on the sync socket. The
// runtime must not look at cgroup files (it would keep them open), nor name its mappings.
const childEnv = "GODEBUG=containermaxprocs=0,updatemaxprocs=0,decoratemappings=0"

// spawn re-executes runsc as command with the donated files and new namespaces; sync is the
// parent's end of the child's sync socket and belongs to the child that is returned. It is
// on its way then; launch.await says whether it got there.
func spawn(exe, command, id string, d *donation, sync *os.File, attr *launchAttr) (*child, error) {
	if exe == "" {
		// Resolved by the child itself: works where the path of the binary is gone or
		// where the new user could not reach it.
		exe = "/proc/self/exe"
	}
	l := &launch{}
	if err := l.prepare(exe, []string{"runsc", command, id}, childEnv, d, rawFD(sync), attr); err != nil {
		return nil, err
	}
	pid, err := l.start(attr.flags)
	if err != nil {
		return nil, explainClone(err)
	}
	c := &child{what: command, proc: &Process{PID: pid}, pidFD: os.NewFile(uintptr(l.pidFD), "pidfd"), sync: sync, launch: l}
	if attr.maps != nil {
		if err = attr.maps.write(pid); err == nil {
			_, err = sync.Write([]byte{0})
		}
	}
	if err != nil {
		c.kill()
		return nil, explainClone(err)
	}
	_ = sync.SetReadDeadline(time.Now().Add(startTimeout))
	return c, nil
}

// rawFD is a file's number; File.Fd would make it blocking.
func rawFD(f *os.File) int {
	n := NoFD
	if c, err := f.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { n = int(fd) })
	}
	return n
}

// kill ends a child that must not live on, and waits until it is gone.
func (c *child) kill() {
	if c == nil {
		return
	}
	c.proc.Kill()
	if c.launch != nil {
		c.launch.awaitExec()
	}
	_, _ = c.proc.Wait()
	c.close()
}

func (c *child) close() {
	for _, f := range []*os.File{c.pidFD, c.sync} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// sealInherited makes sure that only what is donated reaches a child: files that runsc
// itself inherited may lack the close-on-exec flag.
func sealInherited() {
	_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
}
