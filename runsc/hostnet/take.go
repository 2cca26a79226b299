package hostnet

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lazaret/netstack"
)

// Network is what Take found: for the Sentry, with the descriptors that belong to it. The
// first ones are the packet sockets of the links that are not lo, in order; the rest are
// held open.
type Network struct {
	Config netstack.Config
	Files  []*os.File
}

// Close closes the descriptors.
func (n *Network) Close() {
	for _, f := range n.Files {
		_ = f.Close()
	}
}

// ErrOwn says that the namespace is the caller's own: its interfaces are the host's.
var ErrOwn = errors.New("it is the namespace that runsc itself is in")

// Take takes over the interfaces of the network namespace at path. warn hears of
// interfaces that are left out. owner is who Owner says has them.
func Take(path, owner string, warn func(string)) (*Network, error) {
	return take(path, owner, nil, warn)
}

// TakeMore takes over those that are not in have, which a sandbox has already.
func TakeMore(path string, have []int32, warn func(string)) (*Network, error) {
	return take(path, "", have, warn)
}

func take(path, owner string, have []int32, warn func(string)) (*Network, error) {
	type result struct {
		n   *Network
		err error
	}
	done := make(chan result)
	go func() {
		// The thread is not unlocked: it ends with the goroutine, and its namespace with it.
		runtime.LockOSThread()
		n, err := takeIn(path, owner, have, warn)
		done <- result{n, err}
	}()
	r := <-done
	if r.err != nil {
		return nil, fmt.Errorf("network namespace %s: %w", path, r.err)
	}
	return r.n, nil
}

func takeIn(path, owner string, have []int32, warn func(string)) (*Network, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	// Not /proc/self: the first thread may have been one that entered a namespace and stayed.
	if own, err := isOwn(fd); err != nil {
		return nil, err
	} else if own {
		return nil, ErrOwn
	}
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("enter: %w", err)
	}
	n := &Network{}
	if n.Config, err = readConfig(warn); err != nil {
		return nil, err
	}
	if len(have) > 0 {
		n.leaveOut(have)
	}
	if err := n.open(owner); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// Links are the numbers of the interfaces, without lo.
func (n *Network) Links() []int32 {
	var out []int32
	for i := range n.Config.Links {
		if l := &n.Config.Links[i]; l.Flags&unix.IFF_LOOPBACK == 0 {
			out = append(out, l.Index)
		}
	}
	return out
}

// leaveOut removes lo and the interfaces in have, with what belongs to them.
func (n *Network) leaveOut(have []int32) {
	known := map[int32]bool{}
	n.Config.Links = slices.DeleteFunc(n.Config.Links, func(l netstack.HostLink) bool {
		known[l.Index] = l.Flags&unix.IFF_LOOPBACK != 0 || slices.Contains(have, l.Index)
		return known[l.Index]
	})
	n.Config.Routes = slices.DeleteFunc(n.Config.Routes, func(r netstack.Route) bool { return known[r.Link] })
	n.Config.Neighbours = slices.DeleteFunc(n.Config.Neighbours, func(e netstack.Neighbour) bool { return known[e.Link] })
}

// open makes the descriptors: all packet sockets first, then what silences the host.
// owner claims the namespace; "": the sandbox has made its claim before.
func (n *Network) open(owner string) error {
	var held []*os.File
	defer func() { n.Files = append(n.Files, held...) }()
	resolver := engineResolver()
	if resolver != nil && owner != "" {
		n.Config.Resolver = true
		held = append(held, resolver)
	} else if resolver != nil {
		defer resolver.Close() // the sandbox has one
	}
	if owner != "" {
		fds, err := claim(owner)
		for _, fd := range fds {
			held = append(held, os.NewFile(uintptr(fd), "claim"))
		}
		if err != nil {
			return err
		}
	}
	for i := range n.Config.Links {
		l := &n.Config.Links[i]
		if l.Flags&unix.IFF_LOOPBACK != 0 {
			continue
		}
		fd, err := packetSocket(int(l.Index))
		if err != nil {
			return fmt.Errorf("take over interface %q: %w (it needs CAP_NET_RAW and CAP_NET_ADMIN)", l.Name, err)
		}
		n.Files = append(n.Files, os.NewFile(uintptr(fd), "packet "+l.Name))
		if fd, err = dropIngress(int(l.Index), resolver != nil); err != nil {
			return fmt.Errorf("take over interface %q: keep the host's stack off it: %w (tcx needs Linux 6.6 and CAP_BPF)", l.Name, err)
		}
		held = append(held, os.NewFile(uintptr(fd), "tcx "+l.Name))
	}
	return nil
}

// The abstract names of claims.
const (
	claimName = "@lazaret-network"
	ownerName = claimName + ":" // and the owner
)

// claim makes sure that one sandbox at a time has the interfaces: it binds an abstract name,
// which exists once in a network namespace and goes with its descriptor. A second one says
// who that is. A stream socket that neither listens nor is connected is of no use to who
// holds it.
func claim(owner string) ([]int, error) {
	var fds []int
	for _, name := range []string{claimName, ownerName + owner} {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fds, err
		}
		fds = append(fds, fd)
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: name})
		switch {
		case errors.Is(err, unix.EADDRINUSE):
			return fds, errors.New("another sandbox has its interfaces; end that one first")
		case err != nil && name == claimName:
			return fds, err
		}
		// A name that is too long is not told.
	}
	return fds, nil
}

// Owner returns who has claimed the network namespace at path; "": nobody.
func Owner(path string) (string, error) {
	owner := ""
	err := Within(path, func(own bool) error {
		if own {
			return nil
		}
		data, err := os.ReadFile("/proc/thread-self/net/unix")
		if err != nil {
			return err
		}
		if _, rest, ok := strings.Cut(string(data), " "+ownerName); ok {
			owner, _, _ = strings.Cut(rest, "\n")
		}
		return nil
	})
	return owner, err
}

// Buffers of a packet socket: what may wait while the Sentry is busy.
const (
	recvBuffer = 8 << 20
	sendBuffer = 4 << 20
)

// packetSocket opens a socket that sees all frames of an interface but its own.
func packetSocket(index int) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	for _, o := range []struct{ level, name, value int }{
		{unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1},
		{unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, recvBuffer},
		{unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("set option %d of the packet socket: %w", o.name, err)
		}
	}
	mreq := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_ALLMULTI}
	err = unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &mreq)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: index})
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }
