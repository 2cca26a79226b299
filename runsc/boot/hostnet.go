package boot

import (
	"lazaret/runsc/sandbox"
	"lazaret/sentry/kernel"
	"lazaret/sentry/socket/netns"
)

// useHostNet makes the sockets of the sandbox's first network namespace the host's, if that
// was asked for (--network host). Others that applications make are as ever.
func (s *Sentry) useHostNet(net *kernel.NetNamespace) {
	if st, ok := net.State.(*netns.Namespace); ok && s.cfg.Flags.Network == sandbox.HostNetwork {
		st.UseHost(s.notifier)
	}
}
