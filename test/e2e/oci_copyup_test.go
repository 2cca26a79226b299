package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestTmpCopyUp: a memory file system with tmpcopyup begins with what it hides, as with runc,
// and keeps what is changed to itself.
func TestTmpCopyUp(t *testing.T) {
	var said [2]string
	for i, r := range []*runtimeUnderTest{peerRunc(t), ours(t)} {
		var out string
		for _, options := range [][]string{{"tmpcopyup"}, {"tmpcopyup", "ro", "uid=5", "gid=6"}} {
			b := newBundle(t, writable, script1("cd /etc; find . | sort; stat -c %a:%u:%g:%n . data dir/set dir/link; cat data; readlink dir/link; echo x > data; echo $?; stat -c %a /new /newer"), func(s *specs.Spec) {
				for _, name := range []string{"/new", "/newer"} {
					s.Mounts = append(s.Mounts, specs.Mount{Destination: name, Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup"}})
				}
				s.Mounts[len(s.Mounts)-1].Options = []string{"tmpcopyup", "mode=700"}
				s.Mounts = append(s.Mounts, specs.Mount{Destination: "/etc", Type: "tmpfs", Source: "tmpfs", Options: options})
			})
			b.privateRoot()
			dir := filepath.Join(b.spec.Root.Path, "etc/dir")
			if err := os.WriteFile(filepath.Join(dir, "set"), nil, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Join(dir, "set"), 0o755|os.ModeSetuid); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("../data", filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
			a := b.run(r, "")
			out += a.out
			if a.code != 0 || readAll(t, filepath.Join(b.spec.Root.Path, "etc/data")) != "data\n" {
				t.Errorf("%s: exit %d %s", r.name, a.code, a.err)
			}
		}
		said[i] = out
	}
	if said[0] != said[1] || !strings.Contains(said[1], "4755:0:0:dir/set") {
		t.Errorf("runc:\n%s\nrunsc:\n%s", said[0], said[1])
	}
	b := newBundle(t, func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/bin", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup", "size=64k"}})
	})
	if a := b.run(ours(t), ""); a.code != 1 || strings.Count(a.err, "\n") != 1 || !strings.Contains(a.err, "no space left") {
		t.Errorf("what does not fit: exit %d %s", a.code, a.err)
	}
}
