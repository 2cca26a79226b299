package tmpfs_test

import (
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// TestReadAheadShared: a tree that others change is read and opened ahead as one that
// nobody changes is.
func TestReadAheadShared(t *testing.T) {
	dir := t.TempDir()
	wide(t, dir, 12)
	const dirs, files = 12*12 + 12 + 1, 3 * 12 * 12
	want := hostNames(t, dir)
	for what, most := range map[string]int64{"names": dirs / 4, "directories": dirs / 4, "all": dirs / 4, "contents": files / 4} {
		w, requests := countedTree(t, dir, true)
		got := w.find(t, ".", func(name string, e *vfs.Dirent) {
			switch {
			case what == "contents" && e.Type == abi.DT_REG:
				if got := w.read(t, name); got != filepath.Base(filepath.Dir(name))+name[len(name)-1:] {
					t.Errorf("%s: %q", name, got)
				}
			case what == "all" || what == "directories" && e.Type == abi.DT_DIR:
				for range 2 { // who looks again asks nothing
					w.look(name)()
				}
			}
		})
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d names, want %d", what, len(got), len(want))
		}
		if n := requests.Load(); n > most {
			t.Errorf("%s: %d requests for %d directories with %d files", what, n, dirs, files)
		}
	}
}

// hostDump is what the host sees of a tree.
func hostDump(dir string) string {
	var out []string
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		var st syscall.Stat_t
		if err != nil || path == dir || syscall.Lstat(path, &st) != nil {
			return nil
		}
		rel, _ := filepath.Rel(dir, path)
		line := fmt.Sprintf("%s %d %o %d %d", rel, st.Ino, st.Mode, st.Nlink, st.Mtim.Nano())
		if e.Type().IsRegular() {
			data, _ := os.ReadFile(path)
			line += fmt.Sprintf(" %d %q", st.Size, data)
		}
		out = append(out, line)
		return nil
	})
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// dump is what is seen inside of the tree at the working directory.
func (w *world) dump(t *testing.T) string {
	var out []string
	var visit func(dir string)
	visit = func(dir string) {
		f, err := vfs.OpenAt(w.ctx, w.cwd(), dir, vfs.OpenHow{Flags: abi.O_RDONLY | abi.O_DIRECTORY})
		if err != nil {
			return
		}
		var entries []vfs.Dirent
		_ = f.ReadDir(w.ctx, func(d *vfs.Dirent) bool { entries = append(entries, *d); return true })
		f.DecRef()
		for _, e := range entries {
			if e.Name == "." || e.Name == ".." {
				continue
			}
			name := dir + "/" + e.Name
			p, err := vfs.Lookup(w.ctx, w.cwd(), name, 0)
			if err != nil {
				continue
			}
			a, _, err := vfs.Stat(w.ctx, p)
			if err != nil {
				continue
			}
			line := fmt.Sprintf("%s %d %o %d %d", strings.TrimPrefix(name, "./"), a.Ino, a.Mode, a.Nlink, a.Mtime.Sec*1e9+a.Mtime.Nsec)
			if a.Type() == abi.S_IFREG {
				line += fmt.Sprintf(" %d %q", a.Size, w.contents(name))
			}
			out = append(out, line)
			if a.Type() == abi.S_IFDIR {
				visit(name)
			}
		}
	}
	visit(".")
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// mess changes something in the tree at dir.
func mess(r *rand.Rand, dir string) {
	any := func() string {
		name := dir
		for range 1 + r.Intn(3) {
			name = filepath.Join(name, fmt.Sprint("ab"[r.Intn(2):][:1], r.Intn(3)))
		}
		return name
	}
	a, b := any(), any()
	switch r.Intn(9) {
	case 0, 1:
		_ = os.WriteFile(a, []byte(fmt.Sprint(r.Intn(1e6))), 0o644)
	case 2:
		_ = os.MkdirAll(a, 0o755)
	case 3:
		_ = os.Remove(a)
	case 4:
		_ = os.RemoveAll(a)
	case 5:
		_ = os.Chmod(a, 0o700|os.FileMode(r.Intn(64)))
	case 6:
		_ = os.Rename(a, b)
	case 7:
		_ = os.Link(a, b)
	case 8: // as editors do
		_ = os.WriteFile(a+"~", []byte(fmt.Sprint(r.Intn(1e6))), 0o600)
		_ = os.Rename(a+"~", a)
	}
}

// TestSharedCoherence: whatever the host does to a tree that is remembered, also while it is
// being read, soon nothing else is seen inside than on the host.
func TestSharedCoherence(t *testing.T) {
	for seed := range int64(4) {
		r := rand.New(rand.NewSource(seed))
		w, dir := sharedWorld(t)
		for range 100 {
			mess(r, dir)
		}
		for range 60 {
			done, look, changes := make(chan struct{}), r.Intn(2) == 0, 1+r.Intn(8)
			go func() {
				defer close(done)
				for range changes {
					mess(r, dir)
				}
			}()
			if look {
				w.dump(t)
			}
			<-done
			eventually(t, fmt.Sprint("seed ", seed), hostDump(dir), func() string { return w.dump(t) })
			if t.Failed() {
				return
			}
		}
	}
}
