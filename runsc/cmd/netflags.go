package cmd

import (
	"github.com/spf13/pflag"

	"lazaret/runsc/sandbox"
)

// networkModes are the values of --network.
var networkModes = []string{"sandbox", "none", "user", sandbox.HostNetwork}

// networkFlags are the flags of the network modes.
func (a *app) networkFlags(f *pflag.FlagSet) {
	f.StringVar(&a.flags.Network, "network", "sandbox", "network of the sandbox: sandbox (the interfaces of its network namespace), user (out through a proxy process, without privileges), host (the host's own sockets, for applications that are trusted with its network) or none (loopback)")
	f.StringArrayVar(&a.flags.Publish, "publish", nil, "with --network user: [address:][hostport:]port[/tcp|/udp] of the host leads to port inside; may be repeated, ports may be ranges")
	f.BoolVar(&a.flags.Loopback, "network-host-loopback", false, "with --network user: the gateway's addresses (10.0.2.2, fd00::2) lead to the host's loopback")
}
