package hostnet

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/netstack"
)

// dial connects to an address and gives up what came of it.
func dial(family int, at unix.Sockaddr) error {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, at)
}

// TestInward: of the ports of a namespace's loopback those lead to the sandbox whose bit is
// set, for as long as it holds the descriptors.
func TestInward(t *testing.T) {
	cmd := exec.Command("sh", "-c", "ip link set lo up && exec sleep 1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	path := fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid)
	n, err := Take(path, "one", func(text string) { t.Error(text) })
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	// try returns how connections to 127.0.0.1, ::1 and 127.0.0.2 end, in the namespace.
	try := func() (errs [3]error) {
		_ = Within(path, func(bool) error {
			errs[0] = dial(unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 80})
			errs[1] = dial(unix.AF_INET6, &unix.SockaddrInet6{Addr: [16]byte{15: 1}, Port: 80})
			errs[2] = dial(unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 2}, Port: 80})
			return nil
		})
		return errs
	}
	refused := error(unix.ECONNREFUSED)
	for end := time.Now().Add(10 * time.Second); !errors.Is(try()[0], refused); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("lo does not come up")
		}
	}
	if err := n.Inward(path); err != nil {
		t.Fatal(err)
	}
	bits, err := unix.Mmap(int(n.Files[1].Fd()), 0, netstack.InwardPorts, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		on   [2]byte // the bits of port 80 and its neighbours, for each family
		want [3]error
	}{
		{[2]byte{0, 0}, [3]error{refused, refused, refused}},
		{[2]byte{1, 0}, [3]error{nil, refused, refused}},
		{[2]byte{0, 1}, [3]error{refused, nil, refused}},
		{[2]byte{0xfe, 0xfe}, [3]error{refused, refused, refused}},
		{[2]byte{1, 1}, [3]error{nil, nil, refused}},
	} {
		bits[10], bits[netstack.InwardPorts/2+10] = c.on[0], c.on[1]
		if got := try(); got != c.want {
			t.Errorf("bits %x: %v, want %v", c.on, got, c.want)
		}
	}
	n.Close()
	if got, want := try(), [3]error{refused, refused, refused}; got != want {
		t.Errorf("closed: %v", got)
	}
	if err := unix.Munmap(bits); err != nil {
		t.Error(err)
	}
}
