package container

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestHookMounts: createContainer hooks see the container's mounts below its root, wherever
// the image's links lead; the host does not.
func TestHookMounts(t *testing.T) {
	dir := t.TempDir()
	root, src := filepath.Join(dir, "rootfs"), filepath.Join(dir, "src")
	for _, d := range []string{root + "/tmp", root + "/real", root + "/outside", src, dir + "/outside"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"link": "/real", "evil": "../../outside"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(src+"/file", []byte("data"), 0o644); err != nil {
		t.Fatal(err)
	}
	bind := func(dst, source string, options ...string) specs.Mount {
		return specs.Mount{Type: "bind", Source: source, Destination: dst, Options: append(options, "bind")}
	}
	c := &State{Rootfs: root, Bundle: dir, Spec: &specs.Spec{
		Root: &specs.Root{Path: "rootfs"}, Linux: &specs.Linux{},
		Mounts: []specs.Mount{
			{Type: "proc", Destination: "/proc"}, {Type: "tmpfs", Destination: "/tmp"},
			bind("/link", src, "ro"), bind("/new/lib/file", "src/file"), bind("/evil", src),
		},
	}}
	h := sh("cd rootfs; cat real/file; cat new/lib/file; touch tmp/gone; touch real/x || echo refused; ls -d proc; ls ../outside; cat outside/file")
	h.Args[2] += "; exit 9" // its output comes with the error
	c.Flags.Overlay = "none"
	err := runHooks("createContainer", []specs.Hook{h}, &specs.State{}, dir, containerPlace(c.Spec, hookMountsOf(c)))
	if err == nil || !strings.Contains(err.Error(), "output: datadata") || !strings.Contains(err.Error(), "refused") ||
		!strings.Contains(err.Error(), "'proc'") || !strings.HasSuffix(err.Error(), "data") {
		t.Errorf("the hook says %v", err)
	}
	if list, _ := os.ReadDir(filepath.Join(root, "tmp")); len(list) != 0 {
		t.Error("the memory file system is the host's")
	}
	if st, err := os.Stat(filepath.Join(root, "new/lib/file")); err != nil || st.Size() != 0 {
		t.Errorf("the mount point: %v", err)
	}
	// A root below an overlay is not written to.
	c.Flags.Overlay, c.Spec.Mounts = "root", []specs.Mount{bind("/other", src)}
	err = runHooks("createContainer", []specs.Hook{sh("ls rootfs/other")}, &specs.State{}, dir, containerPlace(c.Spec, hookMountsOf(c)))
	if err == nil || !strings.Contains(err.Error(), "No such file") {
		t.Errorf("a mount point was made in spite of the overlay: %v", err)
	}
}
