package netproxy

import "time"

// What one sandbox may have at a time. What is above is refused, or makes the oldest give way.
const (
	maxTCP   = 4096
	maxUDP   = 2048
	maxPings = 256

	// maxStarting bounds connections whose outcome on the host is not known yet.
	maxStarting = 1024

	// tcpBuffer is the most that waits in one direction of a connection, beside the host's
	// own buffers. The way inside is short: a small window fills it.
	tcpBuffer = 256 << 10
	udpBuffer = 256 << 10

	maxDatagram = 65507
)

const (
	// RFC 4787: a mapping lives for two minutes at least; a question to a resolver shorter.
	udpIdle  = 2 * time.Minute
	dnsIdle  = 15 * time.Second
	pingIdle = 30 * time.Second
)
