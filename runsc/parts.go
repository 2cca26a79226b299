package main

import (
	"fmt"
	"os"
)

// bootMain and goferMain join the rooms that make up the re-executed processes.
// TODO: call boot.Main and the Gofer's server.
func bootMain() {
	fmt.Fprintln(os.Stderr, "boot: this build has no Sentry")
	os.Exit(1)
}

func goferMain() {
	fmt.Fprintln(os.Stderr, "gofer: this build has no Gofer")
	os.Exit(1)
}
