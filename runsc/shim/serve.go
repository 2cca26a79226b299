package shim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
)

// listenerFD is the listening socket that start hands over.
const listenerFD = 3

// serve is the shim itself: it answers until it is shut down.
func serve(c *config) error {
	file := os.NewFile(listenerFD, "listener")
	listener, err := net.FileListener(file)
	if err != nil {
		return fmt.Errorf("no listening socket as descriptor %d (%w); this program is started by containerd", listenerFD, err)
	}
	path := listener.Addr().String()
	file.Close()
	r, err := newReaper()
	if err != nil {
		return err
	}
	openLog()
	// The engine stops shims by their API; a signal meant for its process group is not
	// for the containers.
	signal.Ignore(unix.SIGPIPE, unix.SIGHUP, unix.SIGINT, unix.SIGTERM)
	server, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	s := newService(c, r, newPublisher(c.namespace, os.Getenv("TTRPC_ADDRESS")))
	taskapi.RegisterTaskService(server, s)
	go func() {
		<-s.done
		s.events.close()
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
	}()
	err = server.Serve(context.Background(), listener)
	_ = os.Remove(path)
	if errors.Is(err, ttrpc.ErrServerClosed) {
		return nil
	}
	return err
}

// openLog makes containerd's FIFO "log" in the bundle standard output and error. Nobody may
// read it, now or after a restart of containerd: it is held for both directions.
func openLog() {
	fd, err := unix.Open("log", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_ = unix.Dup3(fd, 1, 0)
	_ = unix.Dup3(fd, 2, 0)
	unix.Close(fd)
}
