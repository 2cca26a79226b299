package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// laterMounts mounts on a subdirectory of a bind's source, and takes that away again, while
// a container runs that has looked at it. It runs in a mount namespace of its own.
const laterMounts = `set -e
mount -t tmpfs source "$SRC"; mount --make-shared "$SRC"
mkdir "$SRC/sub"; echo before > "$SRC/sub/f"
rt() { timeout -s KILL 60 "$RT" --root "$STATE" "$@"; }
look() { rt exec "$ID" cat /mnt/sub/f; }
trap 'rt delete --force "$ID" > /dev/null' EXIT
rt run --detach --bundle "$BUNDLE" "$ID" < /dev/null > /dev/null 2>&1
look
mount -t tmpfs later "$SRC/sub"; echo after > "$SRC/sub/f"
look
umount --lazy "$SRC/sub"
look
`

// TestLaterMounts: what the host mounts beneath a bind's source while the container runs
// comes there only if the bind asks for it.
func TestLaterMounts(t *testing.T) {
	for _, r := range []*runtimeUnderTest{ours(t), peerRunc(t)} {
		for option, want := range map[string]string{"rslave": "before\nafter\nbefore\n", "rprivate": "before\nbefore\nbefore\n"} {
			t.Run(r.name+" "+option, func(t *testing.T) {
				src, id := filepath.Join(t.TempDir(), "src"), newID()
				if err := os.Mkdir(src, 0o755); err != nil {
					t.Fatal(err)
				}
				b := newBundle(t, forever, func(s *specs.Spec) {
					s.Root.Readonly = false
					s.Mounts = append(s.Mounts, specs.Mount{Destination: "/mnt", Type: "bind", Source: src, Options: []string{"rbind", option}})
				})
				// runc makes the mount point; ours may too.
				root := filepath.Join(t.TempDir(), "root")
				if err := copyRoot(b.spec.Root.Path, root); err != nil {
					t.Fatal(err)
				}
				b.spec.Root.Path = root
				b.write()
				cmd := exec.Command("unshare", "--mount", "--propagation", "private", "bash", "-c", laterMounts)
				cmd.Env = append(os.Environ(), "SRC="+src, "RT="+r.bin, "STATE="+r.state, "BUNDLE="+b.dir, "ID="+id)
				out, err := cmd.CombinedOutput()
				if got := fmt.Sprintf("%s%v", out, err); got != want+"<nil>" {
					t.Errorf("got %q, want %q", got, want)
				}
				nothingLeft(t, r, id)
			})
		}
	}
}
