package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestGenerated regenerates the constants and compares them with what is committed.
func TestGenerated(t *testing.T) {
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", "..", "syscalls", "abi", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what the headers say; run make gen", name)
		}
	}
}
