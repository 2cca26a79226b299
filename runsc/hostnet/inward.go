package hostnet

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Inward adds what carries connections that the host's side of the namespace at path, which n
// was taken from, makes to its loopback, as an engine does that forwards a port: a listening
// socket, the ports that lead to it, and what makes them do so (sk_lookup, Linux 5.9).
func (n *Network) Inward(path string) error {
	return Within(path, func(bool) error {
		files, err := inward()
		if err != nil {
			return err
		}
		at := len(n.Links())
		if n.Config.Resolver {
			at++
		}
		n.Files = slices.Insert(n.Files, at, files...)
		n.Config.Inward = true
		return nil
	})
}

// inward makes the descriptors, for the namespace that the thread is in.
func inward() ([]*os.File, error) {
	l, err := loopbackListener()
	if err != nil {
		return nil, fmt.Errorf("listen on the loopback: %w", err)
	}
	listener := os.NewFile(uintptr(l), "loopback listener")
	netns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	defer netns.Close()
	ports, link, err := steer(int(netns.Fd()), l)
	if err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("lead connections to a socket (sk_lookup): %w", err)
	}
	return []*os.File{listener, os.NewFile(uintptr(ports), "ports"), os.NewFile(uintptr(link), "sk_lookup")}, nil
}

// loopbackListener listens for both families, or for IPv4 where there is no other. A socket of
// both is bound to no address (ipv6(7)); nothing but lo leads to it, since the frames of the
// other interfaces are dropped. Its own port is of no interest.
func loopbackListener() (int, error) {
	fd, err := listenOn(unix.AF_INET6, &unix.SockaddrInet6{})
	if err != nil {
		fd, err = listenOn(unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	return fd, err
}

func listenOn(family int, at unix.Sockaddr) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if family == unix.AF_INET6 {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // connections inherit it
	}
	if err == nil {
		err = unix.Bind(fd, at)
	}
	if err == nil {
		err = unix.Listen(fd, 128)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
