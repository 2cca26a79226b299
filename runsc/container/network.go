package container

import (
	"encoding/json"
	"errors"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/runsc/control"
	"lazaret/runsc/hostnet"
	"lazaret/runsc/spec"
)

// network takes over what the engine and its hooks put into the sandbox's network
// namespace. It comes after the hooks: the namespace that docker's fills is the Sentry's
// own, and its path is known to it by the pid.
func (cr *creator) network() error {
	if cr.user != nil {
		return cr.user.start(cr)
	}
	if cr.c.IsSub() || cr.opts.Flags.Network != "sandbox" {
		return nil
	}
	path, ok := cr.networkNamespace()
	if !ok {
		return nil
	}
	n, err := hostnet.Take(path, cr.c.ID, cr.warn)
	switch {
	case errors.Is(err, hostnet.ErrOwn):
		cr.warn(fmt.Sprintf("the network namespace %s is the host's own, whose interfaces are not taken over: the sandbox has only lo; --network none says so without this line", path))
		return nil
	case err != nil:
		return fmt.Errorf("--network sandbox: %w", err)
	}
	cr.net = n
	if spec.IsPod(cr.opts.Spec) {
		if err := n.Inward(path); err != nil {
			cr.warn(fmt.Sprintf("ports of the pod cannot be forwarded: %v", err))
		}
	}
	if cr.args.Network, err = json.Marshal(&n.Config); err != nil {
		return fmt.Errorf("encode the network: %w", err)
	}
	cr.args.Files = n.Files
	cr.c.Links = n.Links()
	return nil
}

// AttachNetwork takes over the interfaces that the container's network namespace has got
// since. Preconditions: c is locked.
func (c *Container) AttachNetwork(warn func(string)) error {
	switch {
	case c.IsSub():
		return fmt.Errorf("the network is that of its sandbox: attach to %s", c.SandboxID)
	case c.Flags.Network != "sandbox":
		return fmt.Errorf("with --network %s a container has no interfaces of a namespace", c.Flags.Network)
	case c.Status() == Stopped:
		return errors.New("container not running")
	}
	path := givenNetNS(c.Spec)
	if path == "" {
		path = fmt.Sprintf("/proc/%d/ns/net", c.Sentry.PID)
	}
	n, err := hostnet.TakeMore(path, c.Links, warn)
	if err != nil {
		return err
	}
	defer n.Close() // the Sentry has its own copies then
	if len(n.Config.Links) == 0 {
		return nil
	}
	args := &control.AttachArgs{ID: c.ID, Files: n.Files}
	if args.Network, err = json.Marshal(&n.Config); err != nil {
		return fmt.Errorf("encode the network: %w", err)
	}
	if err := c.Client().Attach(args); err != nil {
		return c.explain("attach the network", err)
	}
	c.Links = append(c.Links, n.Links()...)
	return c.save()
}

// networkNamespace returns the namespace that holds the container's interfaces: false if
// there can be none in it.
func (cr *creator) networkNamespace() (string, bool) {
	if cr.opts.Spec.Linux == nil {
		return "", false
	}
	for _, ns := range cr.opts.Spec.Linux.Namespaces {
		if ns.Type != specs.NetworkNamespace {
			continue
		}
		if ns.Path != "" {
			return ns.Path, true
		}
		// Its own, which is empty unless a hook has put something there.
		return fmt.Sprintf("/proc/%d/ns/net", cr.c.Sentry.PID), cr.ran
	}
	return "", false
}
