package netns

import (
	"lazaret/sentry/kernel"
	"lazaret/sentry/socket/inet"
	"lazaret/sentry/vfs"
)

// finder finds the namespaces that rtnetlink requests name (IFLA_NET_NS_FD and the like).
type finder struct{}

// ByFD implements netlink.Finder: a descriptor of a file of nsfs.
func (finder) ByFD(ctx *vfs.Context, fd int32) *inet.Namespace {
	t, ok := ctx.Sleeper.(*kernel.Task)
	if !ok {
		return nil
	}
	f := t.Files().Get(fd)
	if f == nil {
		return nil
	}
	defer f.DecRef()
	o, ok := f.Ops.(interface{ Namespace() kernel.AnyNamespace })
	if !ok {
		return nil
	}
	n, ok := o.Namespace().(*kernel.NetNamespace)
	if !ok {
		return nil
	}
	return stateOf(n)
}

// ByPID implements netlink.Finder.
func (finder) ByPID(ctx *vfs.Context, pid int32) *inet.Namespace {
	t, ok := ctx.Sleeper.(*kernel.Task)
	if !ok || pid <= 0 {
		return nil
	}
	o, err := t.FindTask(pid)
	if err != nil {
		return nil
	}
	set := o.Namespaces()
	if set == nil {
		return nil
	}
	return stateOf(set.Net)
}

func stateOf(n *kernel.NetNamespace) *inet.Namespace {
	s, ok := n.State.(*Namespace)
	if !ok {
		return nil
	}
	return s.Namespace
}
