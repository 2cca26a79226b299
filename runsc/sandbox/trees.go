package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// maxMounts bounds what one container may ask its Gofer to hold.
const maxMounts = 10000

// IsBind says whether a mount of the spec is a bind mount.
func IsBind(m *specs.Mount) bool {
	return m.Type == "bind" ||
		slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
}

// planTrees lists the trees that a container's Gofer serves: its root, then the source
// of every bind mount. Missing sources are errors that name the mount.
func planTrees(cfg *Config) ([]Tree, error) {
	root, err := rootTree(cfg)
	if err != nil {
		return nil, err
	}
	trees := []Tree{root}
	if len(cfg.Spec.Mounts) > maxMounts {
		return nil, fmt.Errorf("mounts: %d are too many (at most %d)", len(cfg.Spec.Mounts), maxMounts)
	}
	for i := range cfg.Spec.Mounts {
		m := &cfg.Spec.Mounts[i]
		if !IsBind(m) {
			continue
		}
		t, err := bindTree(cfg, i, m)
		if err != nil {
			return nil, err
		}
		trees = append(trees, t)
	}
	return trees, nil
}

// rootTree resolves root.path on the host, symlinks too.
func rootTree(cfg *Config) (Tree, error) {
	if cfg.Spec == nil || cfg.Spec.Root == nil || cfg.Spec.Root.Path == "" {
		return Tree{}, errors.New("config.json: root.path is missing")
	}
	path := absolute(cfg.Bundle, cfg.Spec.Root.Path)
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Tree{}, fmt.Errorf("root.path %q: %w", path, cause(err))
	}
	st, err := os.Stat(resolved)
	if err != nil {
		return Tree{}, fmt.Errorf("root.path %q: %w", path, cause(err))
	}
	if !st.IsDir() {
		return Tree{}, fmt.Errorf("root.path %q: not a directory", path)
	}
	if err := refuseKernel(resolved); err != nil {
		return Tree{}, fmt.Errorf("root.path %q: %w", path, err)
	}
	// With an overlay every change stays in the sandbox's memory, so that the Gofer
	// needs no way to write at all.
	readOnly := cfg.Spec.Root.Readonly || cfg.Flags.Overlay != "none"
	return Tree{
		Attach: Attach{
			Name: "root", Mount: -1, IsDir: true,
			ReadOnly: readOnly,
		},
		Source: resolved, What: fmt.Sprintf("root.path %q", path), Recursive: true, ReadOnlyAll: readOnly,
	}, nil
}

func bindTree(cfg *Config, index int, m *specs.Mount) (Tree, error) {
	what := fmt.Sprintf("mounts[%d] (%s)", index, m.Destination)
	if m.Source == "" {
		return Tree{}, fmt.Errorf("%s: a bind mount needs a source", what)
	}
	src := absolute(cfg.Bundle, m.Source)
	st, err := os.Stat(src)
	if err != nil {
		return Tree{}, fmt.Errorf("%s: source %q: %w", what, src, cause(err))
	}
	if err := refuseKernel(src); err != nil {
		return Tree{}, fmt.Errorf("%s: source %q: %w", what, src, err)
	}
	t := Tree{
		Attach: Attach{
			Name: fmt.Sprintf("m%d", index), Mount: index, IsDir: st.IsDir(),
			ReadOnly: cfg.Flags.Overlay == "all",
		},
		Source: src, What: fmt.Sprintf("%s: source %q", what, src),
		ReadOnlyAll: cfg.Flags.Overlay == "all",
	}
	for _, o := range m.Options {
		switch o {
		case "ro":
			t.ReadOnly = true
		case "rro":
			t.ReadOnly, t.ReadOnlyAll = true, true
		case "rbind":
			t.Recursive = true
		case "slave", "rslave":
			t.Slave = true
		}
	}
	return t, nil
}

func absolute(base, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}

// cause strips the operation and path that package os repeats.
func cause(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
