//go:build !cgo

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "seccompgen: needs cgo and libseccomp-dev: run it with CGO_ENABLED=1")
	os.Exit(1)
}
