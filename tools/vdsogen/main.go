package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	src, out := filepath.Join("tools", "vdsogen", "src"), filepath.Join("sentry", "loader", "vdso", "vdso_amd64.so")
	if len(os.Args) == 3 {
		src, out = os.Args[1], os.Args[2]
	}
	if err := build(src, out); err != nil {
		fmt.Fprintf(os.Stderr, "vdsogen: %v\n", err)
		os.Exit(1)
	}
}

// build compiles the vDSO in dir to the file out. Everything that could vary from one
// machine to the next (build id, debug paths, comments) is left out.
func build(dir, out string) error {
	cmd := exec.Command("gcc", "-O2", "-fPIC", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fcf-protection=none",
		"-fno-ident", "-fno-builtin", "-mno-sse", "-shared", "-nostdlib", "-s",
		"-Wl,-soname=linux-vdso.so.1", "-Wl,--hash-style=both", "-Wl,-Bsymbolic", "-Wl,--build-id=none",
		"-Wl,-z,max-page-size=4096", "-Wl,-T,"+filepath.Join(dir, "vdso.lds"), "-Wl,--version-script="+filepath.Join(dir, "vdso.map"),
		"-o", out, filepath.Join(dir, "vdso.c"))
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("gcc: %w: %s", err, msg)
	}
	return os.Chmod(out, 0o644)
}
