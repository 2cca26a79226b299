package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lazaret/gofer/server"
)

// fileService serves the trees with gofer/server.
type fileService struct{ roots []server.Root }

// Open opens the attach points.
func (s *fileService) Open(cfg *GoferConfig) error {
	for i := range cfg.Trees {
		t := &cfg.Trees[i]
		r := server.Root{
			Name: t.Name, ReadOnly: t.ReadOnly, Shared: t.Shared(),
			AllowUnix: cfg.HostUDS, AllowFIFO: cfg.HostUDS,
		}
		dir := t.TreePath()
		if !t.IsDir {
			// A file is bound alone into a directory of its own.
			dir, r.File = t.treeDir(), treeFile
		}
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("%s: open: %w", t.What, err)
		}
		r.FD = fd
		s.roots = append(s.roots, r)
	}
	return nil
}

// Serve answers the Sentry.
func (s *fileService) Serve(cfg *GoferConfig) error {
	return server.Serve(cfg.ConnFD, server.Config{Roots: s.roots, Mounts: cfg.mounts})
}
