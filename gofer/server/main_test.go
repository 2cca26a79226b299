package server

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
)

// home is the package's directory: Serve moves the working directory, and the fuzz
// corpus is found relative to it.
var home int

func TestMain(m *testing.M) {
	var err error
	if home, err = unix.Open(".", unix.O_PATH|unix.O_DIRECTORY, 0); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// serve starts a server over a new directory and returns a client and the directory.
func serve(t testing.TB, change func(c *Config)) (*proto.Client, string) {
	t.Helper()
	dir := t.TempDir()
	return serveDir(t, dir, change), dir
}

func serveDir(t testing.TB, dir string, change func(c *Config)) *proto.Client {
	t.Helper()
	fd, err := proto2fd(t, dir, change)
	if err != nil {
		t.Fatal(err)
	}
	c, err := proto.NewClient(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// proto2fd starts a server and returns the client's end of a packet socket.
func proto2fd(t testing.TB, dir string, change func(c *Config)) (int, error) {
	t.Helper()
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	cfg := Config{Roots: []Root{{Name: "/", FD: root}}}
	if change != nil {
		change(&cfg)
	}
	cfd, sfd, err := proto.SocketPair()
	if err != nil {
		return -1, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = Serve(sfd, cfg)
	}()
	t.Cleanup(func() {
		<-done
		_ = unix.Close(root)
		_ = unix.Fchdir(home)
	})
	return cfd, nil
}

func attach(t testing.TB, c *proto.Client, name string) *proto.File {
	t.Helper()
	f, _, err := c.Attach(name)
	if err != nil {
		t.Fatalf("attach %q: %v", name, err)
	}
	return f
}

// walk resolves names and returns the last file.
func walk(t testing.TB, f *proto.File, names ...string) (*proto.File, proto.Attr) {
	t.Helper()
	steps, err := f.Walk(names)
	if err != nil || len(steps) != len(names) {
		t.Fatalf("walk %q: %d steps, %v", names, len(steps), err)
	}
	s := steps[len(steps)-1]
	return s.File, s.Attr
}
