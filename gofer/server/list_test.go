package server

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
	"lazaret/syscalls/abi"
)

func namesOf(l *proto.Listing) []string {
	var out []string
	for i := range l.Len() {
		out = append(out, l.Name(i))
	}
	slices.Sort(out)
	return out
}

// TestList: what is asked for comes first, then what is in it, then its siblings; links are
// not followed, and what is no directory is passed over.
func TestList(t *testing.T) {
	c, dir := serve(t, nil)
	for _, d := range []string{"a/b/c", "a/d", "e/f"} {
		_ = os.MkdirAll(filepath.Join(dir, d), 0o755)
	}
	_ = os.WriteFile(filepath.Join(dir, "a/b/file"), nil, 0o644)
	_ = os.Symlink("/etc", filepath.Join(dir, "link"))
	root := attach(t, c, "/")
	ids := map[proto.FileID]string{}
	for _, n := range [][]string{{"a"}, {"a", "b"}, {"a", "b", "c"}, {"a", "d"}, {"e"}, {"e", "f"}} {
		_, at := walk(t, root, n...)
		ids[proto.IDOf(&at)] = filepath.Join(n...)
	}
	for _, tc := range []struct {
		path, names []string
		dirs        int
		want        []string // the order of entries is the file system's
		err         error
	}{
		{nil, []string{"a"}, 1, []string{"[a:[b d]]"}, nil},
		{nil, []string{"a"}, 2, []string{"[a:[b d] a/b:[c file]]", "[a:[b d] a/d:[]]"}, nil},
		{nil, []string{"e", "link", "missing", "a"}, 9, []string{"[e:[f] e/f:[] a:[b d] a/b:[c file] a/b/c:[] a/d:[]]", "[e:[f] e/f:[] a:[b d] a/d:[] a/b:[c file] a/b/c:[]]"}, nil},
		{[]string{"a"}, []string{"d", "b"}, 2, []string{"[a/d:[] a/b:[c file]]"}, nil},
		{[]string{"a", "b"}, nil, 1, []string{"[a/b:[c file]]"}, nil},
		{[]string{"a", "b"}, []string{"file"}, 1, nil, abi.ESTALE},
		{nil, []string{"link"}, 1, nil, abi.ESTALE},
		{[]string{"link"}, nil, 1, nil, abi.ESTALE},
		{[]string{"missing"}, []string{"a"}, 1, nil, abi.ESTALE},
		{[]string{".."}, []string{"a"}, 1, nil, abi.EINVAL},
		{nil, []string{"a/b"}, 1, nil, abi.EINVAL},
	} {
		lists, err := root.List(tc.path, tc.names, proto.ListHow{Dirs: tc.dirs})
		if err != tc.err {
			t.Errorf("%v %v: %v", tc.path, tc.names, err)
		}
		var got []string
		for i := range lists {
			got = append(got, ids[lists[i].ID()]+":"+fmt.Sprint(namesOf(&lists[i])))
		}
		if !slices.Contains(tc.want, fmt.Sprint(got)) && err == nil {
			t.Errorf("%v %v: %v, want %v", tc.path, tc.names, got, tc.want)
		}
	}
}

// TestListAttrs: directories always come with attributes, the others when they are wanted.
func TestListAttrs(t *testing.T) {
	c, dir := serve(t, nil)
	_ = os.MkdirAll(filepath.Join(dir, "a/sub"), 0o755)
	_ = os.WriteFile(filepath.Join(dir, "a/file"), []byte("abc"), 0o644)
	root := attach(t, c, "/")
	for _, attrs := range []bool{false, true} {
		lists, err := root.List(nil, []string{"a"}, proto.ListHow{Dirs: 1, Attrs: attrs})
		if err != nil || len(lists) != 1 || lists[0].Len() != 2 || lists[0].Plain() == attrs {
			t.Fatal(lists, err)
		}
		for i := range 2 {
			switch a := lists[0].Attr(i); {
			case lists[0].Name(i) == "sub" && (a == nil || a.Mode&unix.S_IFMT != unix.S_IFDIR):
				t.Errorf("directory: %+v", a)
			case lists[0].Name(i) == "file" && (a != nil) != attrs:
				t.Errorf("file: %+v", a)
			case lists[0].Name(i) == "file" && attrs && a.Size != 3:
				t.Errorf("size %d", a.Size)
			}
		}
	}
}

// TestWalkLookup: a file comes with a descriptor, a link with its target, here and in
// listings.
func TestWalkLookup(t *testing.T) {
	c, dir := serve(t, nil)
	_ = os.Mkdir(filepath.Join(dir, "d"), 0o755)
	_ = os.WriteFile(filepath.Join(dir, "d/file"), []byte("abc"), 0o644)
	_ = os.Symlink("some/where", filepath.Join(dir, "d/link"))
	_ = unix.Mkfifo(filepath.Join(dir, "d/fifo"), 0o644)
	root := attach(t, c, "/")
	for _, tc := range []struct{ name, target, data string }{
		{"file", "", "abc"}, {"link", "some/where", ""}, {"fifo", "", ""},
	} {
		steps, got, err := root.WalkLookup([]string{"d", tc.name})
		if err != nil || len(steps) != 2 || got.Target != tc.target || (got.FD >= 0) != (tc.data != "") {
			t.Errorf("%s: %d steps, %+v, %v", tc.name, len(steps), got, err)
		}
		if got.FD >= 0 {
			b := make([]byte, 10)
			if n, err := unix.Read(got.FD, b); string(b[:max(n, 0)]) != tc.data {
				t.Errorf("%s: %q, %v", tc.name, b[:max(n, 0)], err)
			}
			_ = unix.Close(got.FD)
		}
	}
	if _, got, err := root.WalkLookup([]string{"d", "missing"}); err != abi.ENOENT || got.FD >= 0 {
		t.Error(got, err)
	}
	lists, err := root.List(nil, []string{"d"}, proto.ListHow{Dirs: 1, Attrs: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range lists[0].Len() {
		want := ""
		if lists[0].Name(i) == "link" {
			want = "some/where"
		}
		if got := lists[0].Target(i); got != want {
			t.Errorf("%s leads to %q", lists[0].Name(i), got)
		}
	}
}

// TestOpenMany: only regular files of the tree are opened, and the first must be there.
func TestOpenMany(t *testing.T) {
	c, dir := serve(t, nil)
	_ = os.MkdirAll(filepath.Join(dir, "a/b"), 0o755)
	for i := range 2 * proto.MaxFDs {
		_ = os.WriteFile(filepath.Join(dir, "a/b", fmt.Sprint(i)), []byte(fmt.Sprint(i)), 0o644)
	}
	_ = os.WriteFile(filepath.Join(dir, "x"), []byte("x"), 0o644)
	_ = unix.Mkfifo(filepath.Join(dir, "fifo"), 0o644)
	_ = os.Symlink("x", filepath.Join(dir, "link"))
	root := attach(t, c, "/")
	many := make([]string, proto.MaxFDs)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	ab := []string{"a", "b"}
	for _, tc := range []struct {
		in   []proto.FilesIn
		want []string
		err  error
	}{
		{[]proto.FilesIn{{Names: []string{"x"}}}, []string{"x"}, nil},
		{[]proto.FilesIn{{Names: []string{"x", "fifo", "missing", "link", "a"}}, {Path: ab, Names: []string{"7", "fifo", "9"}}}, []string{"x", "7", "9"}, nil},
		{[]proto.FilesIn{{Names: []string{"x"}}, {Path: []string{"missing"}, Names: []string{"7"}}, {Path: ab, Names: []string{"9"}}}, []string{"x", "9"}, nil},
		{[]proto.FilesIn{{Path: ab, Names: many}}, many, nil},
		{[]proto.FilesIn{{Names: []string{"x"}}, {Path: ab, Names: many}}, append([]string{"x"}, many[:proto.MaxFDs-1]...), nil},
		{[]proto.FilesIn{{Names: []string{"link"}}}, nil, abi.ESTALE},
		{[]proto.FilesIn{{Names: []string{"fifo"}}}, nil, abi.ESTALE},
		{[]proto.FilesIn{{Names: []string{"missing", "x"}}}, nil, abi.ESTALE},
		{[]proto.FilesIn{{Path: []string{"link"}, Names: []string{"x"}}}, nil, abi.ESTALE},
		{[]proto.FilesIn{{Path: []string{".."}, Names: []string{"x"}}}, nil, abi.EINVAL},
		{[]proto.FilesIn{{}}, nil, abi.EINVAL},
		{nil, nil, abi.EINVAL},
	} {
		files, err := root.OpenMany(tc.in)
		var got []string
		for _, f := range files {
			b := make([]byte, 10)
			n, _ := unix.Read(f.FD, b)
			got = append(got, string(b[:max(n, 0)]))
			_ = unix.Close(f.FD)
		}
		if err != tc.err || !slices.Equal(got, tc.want) {
			t.Errorf("%v: %v, %v; want %v, %v", tc.in, got, err, tc.want, tc.err)
		}
	}
}

// TestListBound: one request does not make the server list a tree of any size.
func TestListBound(t *testing.T) {
	c, dir := serve(t, nil)
	const dirs = 400
	for i := range dirs {
		_ = os.Mkdir(filepath.Join(dir, fmt.Sprint(i)), 0o755)
	}
	lists, err := attach(t, c, "/").List(nil, nil, proto.ListHow{Dirs: proto.MaxList})
	if err != nil || len(lists) > aheadCalls/dirCalls || lists[0].Len() != dirs {
		t.Errorf("%d directories, %v", len(lists), err)
	}
}
