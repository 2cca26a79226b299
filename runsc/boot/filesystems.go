package boot

import (
	"fmt"

	"lazaret/sentry/fs/cgroup"
	"lazaret/sentry/fs/dev"
	"lazaret/sentry/fs/devpts"
	"lazaret/sentry/fs/overlay"
	"lazaret/sentry/fs/pipe"
	"lazaret/sentry/fs/proc"
	"lazaret/sentry/fs/sys"
	"lazaret/sentry/fs/tmpfs"
	"lazaret/sentry/ipc"
	"lazaret/sentry/kernel"
	"lazaret/sentry/memfile"
	"lazaret/sentry/socket/netns"
	"lazaret/sentry/tty"
	"lazaret/sentry/vfs"
	"lazaret/syscalls"
	"lazaret/syscalls/abi"
)

// registerFileSystems makes the file system types and devices known.
func (s *Sentry) registerFileSystems() error {
	vfs.RegisterFileSystem(tmpfs.New(s.mf))
	vfs.RegisterFileSystem(tmpfs.NewNamed(s.mf, "devtmpfs"))
	vfs.RegisterFileSystem(overlay.Type{})
	vfs.RegisterFileSystem(devpts.Type{})
	vfs.RegisterFileSystem(mqueueType{})
	h := &s.cfg.Host
	s.proc = proc.Register(s.k, proc.HostInfo{
		CPUInfo: h.CPUInfo, MemTotal: h.MemTotal, CPUs: len(h.CPUs), Release: syscalls.Release, Version: syscalls.Version,
		Cmdline: "lazaret",
	})
	sys.Register(s.proc)
	cgroup.Register(s.k)
	vfs.RegisterFIFO(pipe.Opener{})
	dev.Register(s.mf)
	vfs.RegisterDevice(abi.S_IFCHR, tty.AuxMajor, tty.TTYMinor, tty.DevTTY{})
	vfs.RegisterDevice(abi.S_IFCHR, tty.AuxMajor, tty.PTMXMinor, devpts.DevPTMX{})
	return nil
}

// mqueueType is the file system of POSIX message queues: the mounter's ipc namespace's.
type mqueueType struct{}

// Name implements vfs.FileSystemType.
func (mqueueType) Name() string { return "mqueue" }

// UserNSMount implements vfs.UserNSMountable.
func (mqueueType) UserNSMount() bool { return true }

// NewSuper implements vfs.FileSystemType.
func (mqueueType) NewSuper(ctx *vfs.Context, _ *vfs.MountSpec) (*vfs.Super, error) {
	t, ok := ctx.Sleeper.(*kernel.Task)
	if !ok {
		return nil, abi.EINVAL
	}
	ns, ok := t.Namespaces().IPC.State.(*ipc.Namespace)
	if !ok {
		return nil, abi.ENODEV
	}
	return ns.MqueueSuper(), nil
}

// NewIPC implements kernel.NamespaceFactory.
func (s *Sentry) NewIPC(n *kernel.IPCNamespace) (any, error) {
	return ipc.NewNamespace(n.UserNS, s.mf), nil
}

// NewNet implements kernel.NamespaceFactory.
func (s *Sentry) NewNet(n *kernel.NetNamespace, payer *memfile.Account) (any, error) {
	return netns.New(n.UserNS, s.mf, payer)
}

// sysctls sets linux.sysctl.
func (c *container) sysctls(t *kernel.Task, values map[string]string) error {
	for name, v := range values {
		if err := c.s.proc.SetSysctl(t.Namespaces(), name, v); err != nil {
			return fmt.Errorf("linux.sysctl[%q]: %w", name, describe(err))
		}
	}
	return nil
}
