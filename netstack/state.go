package netstack

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"lazaret/syscalls/abi"
)

// TCPState is the state of a TCP endpoint in Linux's numbers (TCP_ESTABLISHED and so on).
type TCPState uint8

// tcpStates translates the states of the stack; what is not connected is TCP_CLOSE.
var tcpStates = map[tcp.EndpointState]TCPState{
	tcp.StateEstablished: abi.TCP_ESTABLISHED, tcp.StateSynSent: abi.TCP_SYN_SENT, tcp.StateConnecting: abi.TCP_SYN_SENT,
	tcp.StateSynRecv: abi.TCP_SYN_RECV, tcp.StateFinWait1: abi.TCP_FIN_WAIT1, tcp.StateFinWait2: abi.TCP_FIN_WAIT2,
	tcp.StateTimeWait: abi.TCP_TIME_WAIT, tcp.StateCloseWait: abi.TCP_CLOSE_WAIT, tcp.StateLastAck: abi.TCP_LAST_ACK,
	tcp.StateListen: abi.TCP_LISTEN, tcp.StateClosing: abi.TCP_CLOSING,
}

// State returns the TCP state.
func (e *Endpoint) State() TCPState {
	if s, ok := tcpStates[tcp.EndpointState(e.ep.State())]; ok {
		return s
	}
	return abi.TCP_CLOSE
}

// Fresh reports whether a TCP endpoint has neither listened nor connected yet.
func (e *Endpoint) Fresh() bool {
	s := tcp.EndpointState(e.ep.State())
	return s == tcp.StateInitial || s == tcp.StateBound
}

// Failed reports whether a TCP endpoint's connection failed or was reset.
func (e *Endpoint) Failed() bool { return tcp.EndpointState(e.ep.State()) == tcp.StateError }

// TCPInfo is what TCP_INFO shows of a connection; times in microseconds.
type TCPInfo struct {
	RTT, RTTVar, RTO uint32
	Cwnd, Ssthresh   uint32
	CAState          uint8
}

// Info returns what the stack knows of a connection.
func (e *Endpoint) Info() TCPInfo {
	var o tcpip.TCPInfoOption
	if e.ep.GetSockOpt(&o) != nil {
		return TCPInfo{}
	}
	i := TCPInfo{RTT: uint32(o.RTT.Microseconds()), RTTVar: uint32(o.RTTVar.Microseconds()), RTO: uint32(o.RTO.Microseconds()),
		Cwnd: o.SndCwnd, Ssthresh: o.SndSsthresh}
	switch o.CcState { // enum tcp_ca_state
	case tcpip.Disorder:
		i.CAState = 1
	case tcpip.FastRecovery, tcpip.SACKRecovery:
		i.CAState = 3
	case tcpip.RTORecovery:
		i.CAState = 4
	}
	return i
}

// ReadQueue returns the bytes that wait to be received: of a datagram endpoint the first
// packet's.
func (e *Endpoint) ReadQueue() int {
	n, err := e.ep.GetSockOptInt(tcpip.ReceiveQueueSizeOption)
	if err != nil {
		return 0
	}
	return n
}

// WriteQueue returns the bytes that were sent and not acknowledged; 0 where the stack does
// not tell.
func (e *Endpoint) WriteQueue() int {
	n, err := e.ep.GetSockOptInt(tcpip.SendQueueSizeOption)
	if err != nil {
		return 0
	}
	return n
}
