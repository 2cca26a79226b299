package boot

import (
	"fmt"

	"lazaret/sentry/fs/dev"
	"lazaret/sentry/fs/overlay"
	"lazaret/sentry/fs/pipe"
	"lazaret/sentry/fs/tmpfs"
	"lazaret/sentry/kernel"
	"lazaret/sentry/vfs"
)

// registerFileSystems makes the file system types and devices known.
func (s *Sentry) registerFileSystems() error {
	vfs.RegisterFileSystem(tmpfs.New(s.mf))
	vfs.RegisterFileSystem(tmpfs.NewNamed(s.mf, "devtmpfs"))
	vfs.RegisterFileSystem(overlay.Type{})
	vfs.RegisterFIFO(pipe.Opener{})
	dev.Register(s.mf)
	return nil
}

// NewIPC implements kernel.NamespaceFactory.
func (s *Sentry) NewIPC(*kernel.IPCNamespace) (any, error) { return nil, nil }

// NewNet implements kernel.NamespaceFactory.
func (s *Sentry) NewNet(*kernel.NetNamespace) (any, error) { return nil, nil }

// sysctls writes linux.sysctl through /proc/sys.
func (c *container) sysctls(t *kernel.Task, values map[string]string) error {
	for name := range values {
		return fmt.Errorf("linux.sysctl[%q]: not supported", name)
	}
	return nil
}
