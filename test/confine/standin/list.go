package main

import (
	"encoding/json"
	"os"

	"golang.org/x/sys/unix"

	"lazaret/runsc/sandbox"
)

// listing is what a Gofer finds in its root.
type listing struct {
	Names  map[string][]string // tree name: entries of a directory, or nil
	Writes map[string]string   // tree name: "" or why nothing can be written
	Root   []string
}

// lister is a Gofer that sends one packet about what is there, then waits for the end.
// It looks before the filter is installed: Go's file functions are not on the list.
type lister struct{ packet []byte }

func (s *lister) Open(cfg *sandbox.GoferConfig) error {
	l := listing{Names: map[string][]string{}, Writes: map[string]string{}, Root: names("/")}
	for i := range cfg.Trees {
		t := &cfg.Trees[i]
		l.Writes[t.Name] = tryWrite(t)
		l.Names[t.Name] = names(t.TreePath())
	}
	var err error
	s.packet, err = json.Marshal(l)
	return err
}

func (s *lister) Serve(cfg *sandbox.GoferConfig) error {
	if _, err := unix.Write(cfg.ConnFD, s.packet); err != nil {
		return err
	}
	var b [1]byte
	_, _ = unix.Read(cfg.ConnFD, b[:])
	return nil
}

// burglar is a compromised Gofer: it opens a file by its path.
type burglar struct{}

func (burglar) Open(*sandbox.GoferConfig) error { return nil }

func (burglar) Serve(cfg *sandbox.GoferConfig) error {
	var b [1]byte
	_, _ = unix.Read(cfg.ConnFD, b[:]) // says when
	_, err := unix.Open("/trees", unix.O_RDONLY, 0)
	return err
}

// gofer is the real one, or the lister for the container of that name.
func gofer() {
	if len(os.Args) > 2 && os.Args[2] == "lister" {
		sandbox.RunGofer(&lister{})
	}
	if len(os.Args) > 2 && os.Args[2] == "burglar" {
		sandbox.RunGofer(burglar{})
	}
	sandbox.GoferMain()
}

func names(dir string) []string {
	ents, _ := os.ReadDir(dir)
	var list []string
	for _, e := range ents {
		list = append(list, e.Name())
	}
	return list
}

func tryWrite(t *sandbox.Tree) string {
	path := t.TreePath()
	if t.IsDir {
		path += "/written"
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err.Error()
	}
	f.Close()
	return ""
}
