package e2e

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// dumpTree prints what is in the working directory.
const dumpTree = `find . | sort | xargs stat -c '%n %f %h %i %N'; find . -type f | sort | xargs cat`

// TestHostChanges: what the host does to files of a running container that it has looked at,
// in a bind mount and in a root that is written through, is soon what it sees.
func TestHostChanges(t *testing.T) {
	for _, where := range []string{"bind", "root"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r := ours(t, "--overlay", "none")
			b := newBundle(t, func(s *specs.Spec) {
				inside := "/mnt"
				if where == "bind" {
					s.Mounts = append(s.Mounts, specs.Mount{Destination: inside, Type: "bind", Source: dir, Options: []string{"rbind", "rw"}})
				} else {
					inside = "/srv"
					if out, err := exec.Command("cp", "-a", s.Root.Path+"/.", dir).CombinedOutput(); err != nil {
						t.Fatalf("%v: %s", err, out)
					}
					s.Root.Path, s.Root.Readonly = dir, false
					dir = filepath.Join(dir, inside)
				}
				_ = os.MkdirAll(filepath.Join(dir, "d/e"), 0o755)
				s.Process.Args = []string{"sh", "-c", "cd " + inside + "; while read x; do " + dumpTree + "; echo ==; done"}
			})
			followHost(t, r, b, dir)
		})
	}
}

// followHost changes dir on the host, each time until the container's dump is the host's.
func followHost(t *testing.T, r *runtimeUnderTest, b *bundle, dir string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	id := newID()
	cmd := r.command(ctx, "run", "--bundle", b.dir, id)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	outPipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(outPipe)
	inside := func() string {
		_, _ = fmt.Fprintln(in)
		var s strings.Builder
		for {
			line, err := out.ReadString('\n')
			if err != nil {
				t.Fatalf("the container ended: %v", err)
			}
			if line == "==\n" {
				return s.String()
			}
			s.WriteString(line)
		}
	}
	host := func(script string) string {
		c := exec.Command("busybox", "sh", "-c", script)
		c.Dir = dir
		data, err := c.Output()
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		return string(data)
	}
	for _, change := range []string{
		"true", "echo one > f", "echo more >> d/e/f", "chmod 600 f", "mv f d/g", "echo new > x; mv x d/g", "echo again > d/g",
		"ln -s g d/link", "ln -sfn e d/link", "ln d/g second", "chmod 640 d/g", "rm d/g", "mv d moved; echo 2 > moved/e/f", "mkdir d; mv moved/e d/e",
		"rm -r d moved; mkdir -p d/e; echo 3 > d/e/f", "rm -r d; echo file > d",
	} {
		host(change)
		want, got := host(dumpTree), ""
		for end := time.Now().Add(20 * time.Second); got != want && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			got = inside()
		}
		if got != want {
			t.Fatalf("after %q:\n%swant:\n%s", change, got, want)
		}
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	nothingLeft(t, r, id)
}
