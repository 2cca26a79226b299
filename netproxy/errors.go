package netproxy

import (
	"errors"

	"golang.org/x/sys/unix"
)

// cause strips what package os adds to a system call's error.
func cause(err error) error {
	var n unix.Errno
	if errors.As(err, &n) {
		return n
	}
	return err
}

// unreach is what ICMP says of a destination: the codes of its message Destination
// Unreachable.
type unreach struct {
	v4, v6 uint8
}

// RFC 792, RFC 1812, RFC 4443.
var (
	noRoute      = unreach{0, 0}
	noHost       = unreach{1, 3}
	noPort       = unreach{3, 4}
	notPermitted = unreach{13, 1}
)

// unreachable returns what a network would say of an error that the host's socket got;
// false if it would say nothing.
func unreachable(err error) (unreach, bool) {
	switch cause(err) {
	case unix.ECONNREFUSED:
		return noPort, true
	case unix.EHOSTUNREACH, unix.EHOSTDOWN:
		return noHost, true
	case unix.ENETUNREACH, unix.EADDRNOTAVAIL, unix.EAFNOSUPPORT, unix.ENETDOWN, unix.EINVAL:
		return noRoute, true // the last ones: the host lacks the protocol, or has no address
	case unix.EACCES, unix.EPERM:
		return notPermitted, true
	}
	return unreach{}, false
}
