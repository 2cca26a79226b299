package container

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"lazaret/runsc/control"
)

// ProxyCommand is the hidden command that ProxyMain implements.
const ProxyCommand = "wait-proxy"

// startProxy starts a process that ends as process pid of a container does (0: its
// init), and passes signals on. It belongs to whoever reaps our children.
func startProxy(dir, id string, pid int32) (int, error) {
	client := &control.Client{Dir: dir}
	conn, err := client.StartWait(&control.WaitArgs{ID: id, PID: pid, KillOnHangup: true})
	if err != nil {
		return 0, err
	}
	// The Sentry sees the end of the connection when the last of us two is gone.
	defer conn.Close()
	cmd := exec.Command("/proc/self/exe", ProxyCommand, dir, id, strconv.Itoa(int(pid)))
	cmd.ExtraFiles = []*os.File{conn}
	cmd.Args[0] = "runsc"
	// One processor and a small heap: a pod can have dozens of these.
	cmd.Env = []string{"GOMAXPROCS=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start the process that stands for %s: %w", id, err)
	}
	n := cmd.Process.Pid
	// Never reaped here: its exit status is for the engine, which is our reaper, also when it
	// ends before we do.
	return n, cmd.Process.Release()
}

// ProxyMain is the hidden command wait-proxy DIR ID PID; the answer comes on fd 3.
func ProxyMain(args []string) int {
	if len(args) != 3 {
		return 1
	}
	pid, err := strconv.ParseInt(args[2], 10, 32)
	if err != nil {
		return 1
	}
	client := &control.Client{Dir: args[0]}
	stop := CatchSignals().Forward(client, args[1], int32(pid))
	defer stop()
	status, err := control.FinishWait(os.NewFile(3, "wait"))
	if err != nil {
		// The sandbox died, and the process with it.
		return 128 + int(unix.SIGKILL)
	}
	return status.Code()
}
