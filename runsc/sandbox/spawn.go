package sandbox

import (
	"fmt"
	"math"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
)

// sandboxNamespaces are new for both processes.
const sandboxNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET |
	unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// child is a process being started.
type child struct {
	what  string // "sentry" or "gofer", for errors
	proc  *os.Process
	pidFD *os.File
	sync  *os.File // parent's end
	log   *os.File
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

// spawn re-executes runsc as command with the donated files and namespaces.
func spawn(exe, command, id string, d *donation, attr *syscall.SysProcAttr) (*child, error) {
	if exe == "" {
		// Resolved by the child itself: works where the path of the binary is gone or
		// where the new user could not reach it.
		exe = "/proc/self/exe"
	}
	pidFD := NoFD
	attr.Setsid = true
	attr.PidFD = &pidFD
	proc, err := os.StartProcess(exe, []string{"runsc", command, id}, &os.ProcAttr{
		Dir: "/",
		// The children are told everything on the sync socket. The runtime must not
		// look at cgroup files (it would keep them open), nor name its mappings.
		Env:   []string{"GODEBUG=containermaxprocs=0,updatemaxprocs=0,decoratemappings=0"},
		Files: d.files,
		Sys:   attr,
	})
	if err != nil {
		return nil, explainClone(err)
	}
	c := &child{what: command, proc: proc}
	if pidFD != NoFD {
		c.pidFD = os.NewFile(uintptr(pidFD), "pidfd")
	}
	return c, nil
}

// kill ends a child that must not live on, and waits until it is gone.
func (c *child) kill() {
	if c == nil {
		return
	}
	_ = c.proc.Kill()
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
