package shim

import (
	"flag"
	"fmt"
	"os"
)

// config is the command line: containerd's of a shim (core/runtime/v2/README.md).
type config struct {
	namespace string
	id        string
	address   string // containerd's socket
	publish   string // containerd's binary, not needed: events go over ttrpc
	bundle    string
	socket    string
	debug     bool
	version   bool
	info      bool
}

// Version is set by the build (-ldflags -X).
var Version = "0.1.0-dev"

// Main runs the command line and returns the exit code.
func Main(args []string) int {
	var c config
	f := flag.NewFlagSet("containerd-shim-runsc-v1", flag.ContinueOnError)
	f.StringVar(&c.namespace, "namespace", "", "namespace that owns the shim")
	f.StringVar(&c.id, "id", "", "id of the task")
	f.StringVar(&c.address, "address", "", "address of containerd's socket")
	f.StringVar(&c.publish, "publish-binary", "", "containerd's binary")
	f.StringVar(&c.bundle, "bundle", "", "path to the bundle, if not the working directory")
	f.StringVar(&c.socket, "socket", "", "socket path to serve, if not one made from the id")
	f.BoolVar(&c.debug, "debug", false, "log more")
	f.BoolVar(&c.version, "v", false, "show the version and exit")
	f.BoolVar(&c.info, "info", false, "print what the runtime can do, for containerd, and exit")
	if err := f.Parse(args); err != nil {
		return 2
	}
	if c.version {
		fmt.Printf("%s:\n  Version:  %s\n", f.Name(), Version)
		return 0
	}
	var err error
	switch action := f.Arg(0); action {
	case "start":
		err = start(&c)
	case "delete":
		err = deleteLeftovers(&c)
	case "":
		if c.info {
			err = info(os.Stdin, os.Stdout)
			break
		}
		err = serve(&c)
	default:
		err = fmt.Errorf("unknown action %q: want start or delete, or none to serve", action)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "containerd-shim-runsc-v1:", err)
		return 1
	}
	return 0
}
