package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestGenerated builds the vDSO again and compares it with the committed image.
func TestGenerated(t *testing.T) {
	out := filepath.Join(t.TempDir(), "vdso.so")
	if err := build("src", out); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("..", "..", "sentry", "loader", "vdso", "vdso_amd64.so"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("vdso_amd64.so differs from what vdso.c gives; run make gen")
	}
}
