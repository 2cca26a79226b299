package main

import (
	"os"

	"lazaret/runsc/cmd"
	"lazaret/runsc/container"
	"lazaret/runsc/populate"
	"lazaret/runsc/sandbox"
)

func main() {
	// The processes of a sandbox are this binary again. They are told apart before the
	// command line is built: its start-up would be paid twice for each container.
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case sandbox.BootCommand:
			bootMain()
			return
		case sandbox.GoferCommand:
			goferMain()
			return
		case sandbox.NetProxyCommand:
			netProxyMain()
			return
		case container.ProxyCommand:
			os.Exit(container.ProxyMain(os.Args[2:]))
		}
	}
	populate.Command()
	connect()
	os.Exit(cmd.Main(os.Args[1:]))
}
