//go:build cgo

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"lazaret/runsc/seccomp"
)

// TestGenerated compiles the policies again and compares with what is committed.
func TestGenerated(t *testing.T) {
	for _, f := range seccomp.Filters {
		for _, arch := range seccomp.Architectures {
			want, err := compile(f, arch)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, fileName(f, arch), want)
		}
	}
	for _, arch := range seccomp.Architectures {
		compare(t, namesFile(arch), callNames(arch))
	}
}

func compare(t *testing.T, name string, want []byte) {
	t.Helper()
	path := filepath.Join("../../runsc/seccomp", name)
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is stale: run CGO_ENABLED=1 go run ./tools/seccompgen", path)
	}
}
