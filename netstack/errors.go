package netstack

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"lazaret/syscalls/abi"
)

// errno translates an error of the stack; nil stays nil.
func errno(err tcpip.Error) error {
	if err == nil {
		return nil
	}
	return toErrno(err)
}

// toErrno is the table of errno; what has no number of its own is EINVAL.
func toErrno(err tcpip.Error) abi.Errno {
	switch err.(type) {
	case *tcpip.ErrWouldBlock:
		return abi.EAGAIN
	case *tcpip.ErrAddressFamilyNotSupported:
		return abi.EAFNOSUPPORT
	case *tcpip.ErrAlreadyConnected:
		return abi.EISCONN
	case *tcpip.ErrAlreadyConnecting:
		return abi.EALREADY
	case *tcpip.ErrConnectStarted:
		return abi.EINPROGRESS
	case *tcpip.ErrBadAddress, *tcpip.ErrBadBuffer:
		return abi.EFAULT
	case *tcpip.ErrBadLocalAddress:
		return abi.EADDRNOTAVAIL
	case *tcpip.ErrBroadcastDisabled:
		return abi.EACCES
	case *tcpip.ErrClosedForSend:
		return abi.EPIPE
	case *tcpip.ErrConnectionAborted, *tcpip.ErrAborted:
		return abi.ECONNABORTED
	case *tcpip.ErrConnectionRefused:
		return abi.ECONNREFUSED
	case *tcpip.ErrConnectionReset:
		return abi.ECONNRESET
	case *tcpip.ErrDestinationRequired:
		return abi.EDESTADDRREQ
	case *tcpip.ErrDuplicateAddress, *tcpip.ErrDuplicateNICID:
		return abi.EEXIST
	}
	return toErrnoMore(err)
}

func toErrnoMore(err tcpip.Error) abi.Errno {
	switch err.(type) {
	case *tcpip.ErrMessageTooLong:
		return abi.EMSGSIZE
	case *tcpip.ErrNetworkUnreachable:
		return abi.ENETUNREACH
	case *tcpip.ErrHostUnreachable:
		return abi.EHOSTUNREACH
	case *tcpip.ErrHostDown:
		return abi.EHOSTDOWN
	case *tcpip.ErrNoNet:
		return abi.ENONET
	case *tcpip.ErrNoBufferSpace:
		return abi.ENOBUFS
	case *tcpip.ErrNoPortAvailable, *tcpip.ErrPortInUse:
		return abi.EADDRINUSE
	case *tcpip.ErrNoSuchFile:
		return abi.ENOENT
	case *tcpip.ErrNotConnected:
		return abi.ENOTCONN
	case *tcpip.ErrNotPermitted:
		return abi.EPERM
	case *tcpip.ErrNotSupported:
		return abi.EOPNOTSUPP
	case *tcpip.ErrTimeout:
		return abi.ETIMEDOUT
	case *tcpip.ErrUnknownDevice, *tcpip.ErrUnknownNICID:
		return abi.ENODEV
	case *tcpip.ErrUnknownProtocol:
		return abi.EPROTONOSUPPORT
	case *tcpip.ErrUnknownProtocolOption:
		return abi.ENOPROTOOPT
	}
	return abi.EINVAL
}
