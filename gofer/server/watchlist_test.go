package server

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"lazaret/gofer/proto"
	"lazaret/syscalls/abi"
)

// TestListShared: a directory of a tree that others change comes along only if it is watched,
// and says so; what changes in it is reported though the client holds no file of it.
func TestListShared(t *testing.T) {
	c, dir := serve(t, func(c *Config) { c.Roots[0].Shared = true })
	for _, d := range []string{"a/b/c", "e"} {
		_ = os.MkdirAll(filepath.Join(dir, d), 0o755)
	}
	_ = os.WriteFile(filepath.Join(dir, "a/file"), nil, 0o644)
	root := attach(t, c, "/")
	list := func(watch bool) []proto.Listing {
		t.Helper()
		lists, err := root.List(nil, []string{"a", "e"}, proto.ListHow{Dirs: 9, Attrs: true, Watch: watch})
		if err != nil {
			t.Fatal(err)
		}
		return lists
	}
	watched := func(a *proto.Attr) bool { return a.Flags&proto.FlagWatched != 0 }
	if lists := list(true); len(lists) != 1 || watched(&lists[0].Dir) {
		t.Errorf("without events: %d directories, flags %#x", len(lists), lists[0].Dir.Flags)
	}
	var s sink
	if err := c.WatchEvents(&s); err != nil {
		t.Fatal(err)
	}
	if lists, err := root.List(nil, []string{"a"}, proto.ListHow{Dirs: 1, Attrs: true}); err != nil {
		t.Error(err)
	} else {
		for i := range lists[0].Len() {
			if want := lists[0].Name(i) == "file"; watched(lists[0].Attr(i)) != want {
				t.Errorf("%s: flags %#x", lists[0].Name(i), lists[0].Attr(i).Flags)
			}
		}
	}
	lists := list(true)
	if len(lists) != 4 {
		t.Fatalf("%d directories", len(lists))
	}
	for i := range lists {
		if !watched(&lists[i].Dir) {
			t.Errorf("directory %d: flags %#x", i, lists[i].Dir.Flags)
		}
		for k := range lists[i].Len() {
			if !watched(lists[i].Attr(k)) {
				t.Errorf("%s: flags %#x", lists[i].Name(k), lists[i].Attr(k).Flags)
			}
		}
	}
	_ = os.WriteFile(filepath.Join(dir, "a/b/new"), nil, 0o644)
	e := s.wait(t, abi.IN_CREATE, "new")
	if _, b := walk(t, root, "a", "b"); e.Ino != b.Ino || b.Flags&proto.FlagWatched == 0 {
		t.Errorf("event of %d, not %d; flags %#x", e.Ino, b.Ino, b.Flags)
	}
}

// TestListedEnds: the client is told which directories are not watched any more.
func TestListedEnds(t *testing.T) {
	c, dir := serve(t, func(c *Config) { c.Roots[0].Shared, c.MaxListed = true, 2 })
	root := attach(t, c, "/")
	var s sink
	if err := c.WatchEvents(&s); err != nil {
		t.Fatal(err)
	}
	var lists []proto.Listing
	for i := range 4 {
		name := fmt.Sprint("d", i)
		_ = os.Mkdir(filepath.Join(dir, name), 0o755)
		l, err := root.List(nil, []string{name}, proto.ListHow{Dirs: 1})
		if err != nil {
			t.Fatal(err)
		}
		lists = append(lists, l...)
	}
	for i, end := range []bool{true, true, false, false} {
		if e, ok := s.of(t, abi.IN_IGNORED, lists[i].Dir.Ino, end); ok != end {
			t.Errorf("d%d: %+v %v", i, e, ok)
		}
	}
	_ = os.Remove(filepath.Join(dir, "d2")) // not the server's working directory
	s.of(t, abi.IN_IGNORED, lists[2].Dir.Ino, true)
}
