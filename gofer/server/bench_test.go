package server

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"lazaret/syscalls/abi"
)

// BenchmarkRoundTrip measures one exchange of each common kind, server in this process.
func BenchmarkRoundTrip(b *testing.B) {
	c, dir := serve(b, nil)
	_ = os.MkdirAll(filepath.Join(dir, "usr/lib/x"), 0o755)
	for i := range 100 {
		_ = os.WriteFile(filepath.Join(dir, "usr/lib", itoa(i)), []byte("x"), 0o644)
	}
	root := attach(b, c, "/")
	lib, _ := walk(b, root, "usr", "lib")
	f, _ := walk(b, lib, "0001")
	b.Run("getattr", func(b *testing.B) {
		for range b.N {
			if _, err := f.GetAttr(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("walk3", func(b *testing.B) {
		for range b.N {
			steps, err := root.Walk([]string{"usr", "lib", "0001"})
			if err != nil {
				b.Fatal(err)
			}
			for _, s := range steps {
				s.File.Close()
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		for range b.N {
			fd, err := f.Open(abi.O_RDONLY)
			if err != nil {
				b.Fatal(err)
			}
			_ = unix.Close(fd)
		}
	})
	b.Run("walkopen", func(b *testing.B) {
		for range b.N {
			steps, fd, oerr, err := lib.WalkOpen([]string{"0002"}, abi.O_RDONLY)
			if err != nil || oerr != nil {
				b.Fatal(err, oerr)
			}
			_ = unix.Close(fd)
			steps[0].File.Close()
		}
	})
	b.Run("readdirplus101", func(b *testing.B) {
		for range b.N {
			l, _, eof, err := lib.ReadDirPlus(0, 0)
			if err != nil || !eof || len(l) != 101 {
				b.Fatal(len(l), eof, err)
			}
		}
	})
}
