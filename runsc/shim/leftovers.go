package shim

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// deleteLeftovers removes what a container of a dead shim left, and prints the answer that
// the shim would have given. containerd calls it in the bundle; it may be repeated.
func deleteLeftovers(c *config) error {
	bundle := c.bundle
	if bundle == "" {
		var err error
		if bundle, err = os.Getwd(); err != nil {
			return err
		}
	}
	r, err := newReaper()
	if err != nil {
		return err
	}
	opts, err := savedOptions(bundle)
	if err != nil {
		return err
	}
	rt := newCLI(r, opts, c.namespace, bundle, c.debug)
	pid, err := readPID(filepath.Join(bundle, "init.pid"))
	if err != nil {
		pid = 0 // it was never created
	}
	if err := rt.run("delete", "--force", c.id); err != nil && !strings.Contains(err.Error(), "does not exist") {
		// The mounts go all the same: containerd removes the bundle next.
		fmt.Fprintln(os.Stderr, "containerd-shim-runsc-v1:", err)
	}
	if err := unmountAll(filepath.Join(bundle, "rootfs")); err != nil {
		return err
	}
	removeSocket(c, bundle)
	data, err := proto.Marshal(&taskapi.DeleteResponse{Pid: uint32(pid), ExitStatus: 137, ExitedAt: timestamppb.New(time.Now())})
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(data)
	return err
}

// removeSocket removes the socket of the task's shim if nobody answers on it.
func removeSocket(c *config, bundle string) {
	group, err := groupOf(bundle, c.id)
	if err != nil {
		return
	}
	path := socketPath(c.address, c.namespace, group)
	if _, err := os.Lstat(path); err != nil {
		return
	}
	if l, err := listen(path); err == nil {
		l.Close()
		_ = os.Remove(path)
	}
}
