//go:build cgo

package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"lazaret/runsc/seccomp"
)

func main() {
	dir := flag.String("dir", "runsc/seccomp", "where the compiled filters go")
	flag.Parse()
	if err := generate(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "seccompgen:", err)
		os.Exit(1)
	}
}

func generate(dir string) error {
	for _, f := range seccomp.Filters {
		for _, arch := range seccomp.Architectures {
			prog, err := compile(f, arch)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, fileName(f, arch)), prog, 0o644); err != nil {
				return err
			}
		}
	}
	for _, arch := range seccomp.Architectures {
		if err := os.WriteFile(filepath.Join(dir, namesFile(arch)), callNames(arch), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func namesFile(arch string) string { return "names_" + arch + ".txt" }

func fileName(f seccomp.Filter, arch string) string { return f.Name + "_" + arch + ".bpf" }
