package shim

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"

	eventsapi "github.com/containerd/containerd/api/services/ttrpc/events/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// maxEvents bounds what waits for a containerd that does not listen.
const maxEvents = 2048

// eventTries is how often an event is offered, a second apart: containerd may restart.
const eventTries = 30

// publisher sends events to containerd, in order.
type publisher struct {
	namespace string
	address   string

	mu     sync.Mutex
	queue  []*types.Envelope
	closed bool
	wake   chan struct{} // has room for one
	idle   chan struct{} // closed when the last event is out after close
}

func newPublisher(namespace, address string) *publisher {
	p := &publisher{
		namespace: namespace, address: strings.TrimPrefix(address, "unix://"),
		wake: make(chan struct{}, 1), idle: make(chan struct{}),
	}
	go p.run()
	return p
}

// publish queues an event.
func (p *publisher) publish(topic string, event proto.Message) {
	payload, err := toAny(event)
	if err != nil || p.address == "" {
		return
	}
	e := &types.Envelope{Timestamp: timestamppb.Now(), Namespace: p.namespace, Topic: topic, Event: payload}
	p.mu.Lock()
	if len(p.queue) < maxEvents {
		p.queue = append(p.queue, e)
	}
	p.mu.Unlock()
	p.notify()
}

func (p *publisher) notify() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// close sends what is queued, as far as that goes quickly.
func (p *publisher) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.notify()
	select {
	case <-p.idle:
	case <-time.After(2 * time.Second):
	}
}

func (p *publisher) run() {
	var client *ttrpc.Client
	defer func() {
		if client != nil {
			_ = client.Close()
		}
		close(p.idle)
	}()
	for range p.wake {
		for {
			e, more := p.take()
			if e == nil {
				if !more {
					return
				}
				break
			}
			client = p.send(client, e)
		}
	}
}

// take returns the next event; more is false when none can come.
func (p *publisher) take() (e *types.Envelope, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return nil, !p.closed
	}
	e = p.queue[0]
	p.queue = p.queue[1:]
	return e, true
}

// send offers an event until it is taken; it returns the connection for the next one.
func (p *publisher) send(client *ttrpc.Client, e *types.Envelope) *ttrpc.Client {
	for range eventTries {
		if client == nil {
			if conn, err := net.DialTimeout("unix", p.address, 2*time.Second); err == nil {
				client = ttrpc.NewClient(conn)
			}
		}
		if client != nil {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			_, err := eventsapi.NewEventsClient(client).Forward(ctx, &eventsapi.ForwardRequest{Envelope: e})
			cancel()
			if err == nil {
				return client
			}
			_ = client.Close()
			client = nil
		}
		time.Sleep(time.Second)
	}
	return client
}

// toAny packs a message with containerd's form of its type's name.
func toAny(m proto.Message) (*anypb.Any, error) {
	data, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	return &anypb.Any{TypeUrl: string(m.ProtoReflect().Descriptor().FullName()), Value: data}, nil
}
