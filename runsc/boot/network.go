package boot

import (
	"encoding/json"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"lazaret/netstack"
	"lazaret/runsc/control"
	"lazaret/sentry/kernel"
	"lazaret/sentry/socket/netns"
)

// hostNetwork is what runsc took over from the host for the sandbox.
type hostNetwork struct {
	config netstack.Config
	fds    []int // packet sockets, then what keeps the host's stack off the interfaces
}

// takeNetwork duplicates the network's descriptors, which came with the first container;
// nil if there are none.
func takeNetwork(args *control.CreateArgs) (*hostNetwork, error) {
	if len(args.Network) == 0 {
		return nil, nil
	}
	n := &hostNetwork{}
	if err := json.Unmarshal(args.Network, &n.config); err != nil {
		return nil, fmt.Errorf("read the network's configuration: %w", err)
	}
	return n, n.take(args.Files)
}

// take duplicates descriptors of a network.
func (n *hostNetwork) take(files []*os.File) error {
	for _, f := range files {
		fd, err := dupFile(f)
		if err != nil {
			n.close()
			return err
		}
		// Reading blocks in the host: a poller between would cost a wake-up a frame.
		_ = unix.SetNonblock(fd, false)
		n.fds = append(n.fds, fd)
	}
	return nil
}

// Attach implements control.Inspector: interfaces that appeared since the container was
// created.
func (s *Sentry) Attach(args *control.AttachArgs) error {
	defer closeFiles(args.Files)
	c, err := s.container(args.ID)
	if err != nil {
		return err
	}
	n := &hostNetwork{}
	if err := json.Unmarshal(args.Network, &n.config); err != nil {
		return fmt.Errorf("read the network's configuration: %w", err)
	}
	if err := n.take(args.Files); err != nil {
		return err
	}
	return n.apply(c.ns.Net)
}

// close closes what no interface has taken. A nil network has nothing to close.
func (n *hostNetwork) close() {
	if n == nil {
		return
	}
	for _, fd := range n.fds {
		_ = unix.Close(fd)
	}
}

// makeNet makes the container's network namespace. A further container of a sandbox has
// the first one's, unless it asks for a new one.
func (c *container) makeNet() (*kernel.NetNamespace, error) {
	root := c.s.first()
	if root != nil && !c.newNetwork() {
		return root.ns.Net.Share(), nil
	}
	net, err := c.s.k.NewNet(c.userNS, nil)
	if err != nil {
		return nil, fmt.Errorf("make the network namespace: %w", err)
	}
	if root == nil {
		// The host's interfaces are there as long as the sandbox is: what the last process
		// has sent must still leave (drainNetwork).
		net.Share()
		c.s.useHostNet(net)
	}
	if st, ok := net.State.(*netns.Namespace); ok {
		st.Stack.StartUp() // as every engine finds lo
		c.s.captureTo(st.Stack)
	}
	if c.net != nil {
		if err := c.net.apply(net); err != nil {
			return nil, err
		}
	}
	return net, nil
}

// newNetwork reports whether the spec asks for a network namespace that is not there yet.
func (c *container) newNetwork() bool {
	if c.spec.Linux == nil {
		return false
	}
	for _, ns := range c.spec.Linux.Namespaces {
		if ns.Type == specs.NetworkNamespace {
			return ns.Path == ""
		}
	}
	return false
}

// apply gives a network namespace the host's interfaces.
func (n *hostNetwork) apply(ns *kernel.NetNamespace) error {
	st, ok := ns.State.(*netns.Namespace)
	if !ok {
		return nil
	}
	if err := st.Stack.Apply(&n.config, n.fds); err != nil {
		return fmt.Errorf("take over the network: %w", err)
	}
	return nil
}
