package netstack

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/loopback"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/raw"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"lazaret/syscalls/abi"
)

// Loopback is the index of lo, the first interface of every namespace.
const Loopback = 1

// Stack is the network of one namespace.
type Stack struct {
	once  sync.Once
	built atomic.Bool
	loUp  atomic.Bool // lo comes up with the stack

	forwarding atomic.Bool // was asked for once: large segments are cut
	s          *stack.Stack

	closings closings
	capture  *capture // nil: none; set before the stack is built

	reporters reporters
	observing sync.Mutex // of those who change observers
	observers atomic.Pointer[[]Observer]

	inward  inward
	watcher Watcher // nil: nobody; set before the stack is built

	mu        sync.Mutex
	dead      bool
	links     []*link // by index, rising
	lastIndex int32
	routes    []Route
	tables    map[tableKey]*IPTable
	looked    []tableKey // tables that somebody asked for
}

// New returns a network of which nothing is built yet. Its lo is down.
func New() *Stack { return &Stack{} }

// StartUp makes lo come up when the network is built.
// Preconditions: nothing has used the network yet.
func (s *Stack) StartUp() { s.loUp.Store(true) }

// Built reports whether anything has used the network so far.
func (s *Stack) Built() bool { return s.built.Load() }

// get builds the stack when it is first needed.
func (s *Stack) get() *stack.Stack {
	s.once.Do(s.build)
	return s.s
}

func (s *Stack) build() {
	s.s = stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{ipv4.NewProtocol, newIPv6, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{
			tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
		HandleLocal: true,
		RawFactory:  raw.EndpointFactory{},
	})
	s.setDefaults()
	lo := &link{
		Link: Link{Index: Loopback, Name: "lo", Type: abi.ARPHRD_LOOPBACK, MTU: 65536, TxLen: 1000, Flags: abi.IFF_LOOPBACK},
		ep:   loopback.New(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.addLinkLocked(lo)
	if s.loUp.Load() {
		_ = s.setUpLocked(lo, true)
	}
	s.built.Store(true)
}

// newIPv6 is IPv6 without duplicate address detection for the addresses that runsc found
// in use: they were probed by who set them.
func newIPv6(st *stack.Stack) stack.NetworkProtocol {
	return ipv6.NewProtocolWithOptions(ipv6.Options{
		DADConfigs: stack.DADConfigurations{DupAddrDetectTransmits: 0},
	})(st)
}

// Buffer sizes: Linux's defaults of net.core and net.ipv4.
const (
	defaultBuf   = 212992
	minBuf       = 4 << 10
	tcpSendBuf   = 16 << 10
	tcpSendMax   = 4 << 20
	tcpRecvBuf   = 128 << 10
	tcpRecvMax   = 6 << 20
	timeWait     = 60 * time.Second
	tcpSynTries  = 6
	tcpMaxTries  = 15
	tcpMinRTO    = 200 * time.Millisecond
	maxPortRange = 60999
	minPortRange = 32768
)

func (s *Stack) setDefaults() {
	st := s.s
	setOption(st, tcp.ProtocolNumber, tcpip.TCPSACKEnabled(true))
	setOption(st, tcp.ProtocolNumber, tcpip.TCPSendBufferSizeRangeOption{Min: minBuf, Default: tcpSendBuf, Max: tcpSendMax})
	setOption(st, tcp.ProtocolNumber, tcpip.TCPReceiveBufferSizeRangeOption{Min: minBuf, Default: tcpRecvBuf, Max: tcpRecvMax})
	setOption(st, tcp.ProtocolNumber, tcpip.TCPModerateReceiveBufferOption(true))
	setOption(st, tcp.ProtocolNumber, tcpip.CongestionControlOption("cubic"))
	setOption(st, tcp.ProtocolNumber, tcpip.TCPTimeWaitReuseGlobal)
	setOption(st, tcp.ProtocolNumber, tcpip.TCPMinRTOOption(tcpMinRTO))
	// The RACK loss detection arms a timer with each ACK; SACK alone recovers as well on
	// the short paths that a sandbox sees first.
	setOption(st, tcp.ProtocolNumber, tcpip.TCPRecovery(0))
	_ = st.SetOption(tcpip.SendBufferSizeOption{Min: minBuf, Default: defaultBuf, Max: tcpSendMax})
	_ = st.SetOption(tcpip.ReceiveBufferSizeOption{Min: minBuf, Default: defaultBuf, Max: tcpRecvMax})
	_ = st.SetPortRange(minPortRange, maxPortRange)
}

// settable is a pointer to an option of type T.
type settable[T any] interface {
	*T
	tcpip.SettableTransportProtocolOption
}

// setOption sets an option of a transport protocol; the values are constants that the
// stack is known to take.
func setOption[T any, P settable[T]](st *stack.Stack, proto tcpip.TransportProtocolNumber, v T) {
	_ = st.SetTransportProtocolOption(proto, P(&v))
}

// Dead reports whether the namespace has ended.
func (s *Stack) Dead() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

// Close ends all endpoints and links. The stack's goroutines end after it.
func (s *Stack) Close() {
	fresh := false
	s.once.Do(func() { fresh = true })
	if fresh {
		s.s = stack.New(stack.Options{}) // for who still has a socket of it
		s.mu.Lock()
		s.dead = true
		s.mu.Unlock()
		return
	}
	s.s.Close()
	s.mu.Lock()
	s.dead = true
	links := slices.Clone(s.links)
	s.mu.Unlock()
	for _, l := range links {
		s.drop(l)
	}
}

// SetPortRange sets the ports that are chosen from when none is asked for: EINVAL.
func (s *Stack) SetPortRange(first, last uint16) error {
	return errno(s.get().SetPortRange(first, last))
}
