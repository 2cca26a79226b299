package netstack

import "fmt"

// CountersText shows the stack's counters of what went wrong, for people.
func (s *Stack) CountersText() string {
	t, u, i := s.get().Stats().TCP, s.get().Stats().UDP, s.get().Stats().IP
	return fmt.Sprintf(`tcp: %d opened, %d accepted, %d failed, %d established now; %d segments received, %d sent, %d sent again, %d resets received, %d sent, %d with a wrong checksum
udp: %d received, %d sent, %d to no port, %d dropped for want of room
ip: %d received, %d delivered, %d sent, %d malformed, %d not for this host
`,
		t.ActiveConnectionOpenings.Value(), t.PassiveConnectionOpenings.Value(), t.FailedConnectionAttempts.Value(), t.CurrentEstablished.Value(),
		t.ValidSegmentsReceived.Value(), t.SegmentsSent.Value(), t.Retransmits.Value(), t.ResetsReceived.Value(), t.ResetsSent.Value(), t.ChecksumErrors.Value(),
		u.PacketsReceived.Value(), u.PacketsSent.Value(), u.UnknownPortErrors.Value(), u.ReceiveBufferErrors.Value(),
		i.PacketsReceived.Value(), i.PacketsDelivered.Value(), i.PacketsSent.Value(), i.MalformedPacketsReceived.Value(), i.InvalidDestinationAddressesReceived.Value())
}
