package unix

import (
	"math/bits"

	"lazaret/sentry/socket"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// message is what one send put into a receive queue.
type message struct {
	data   []byte
	off    int // bytes of data already read (streams)
	name   []byte
	creds  socket.Ucred
	files  []*vfs.File // under flight
	to     *Socket     // whose queue; under flight, nil without files
	sender *Socket
	cost   int // bytes of the sender's SO_SNDBUF
}

func (m *message) rest() []byte { return m.data[m.off:] }

// Sizes of Linux's socket buffers (include/linux/skbuff.h), by which SO_SNDBUF counts.
const (
	skbSize     = 256                      // struct sk_buff, aligned
	skbShared   = 320                      // struct skb_shared_info, aligned
	skbMaxHead  = abi.PageSize - skbShared // SKB_MAX_HEAD(0): how much of a stream's piece is not in pages
	skbMaxAlloc = 16384 - skbShared        // SKB_MAX_ALLOC: the same for a datagram
	skbMaxPages = 17 * abi.PageSize        // MAX_SKB_FRAGS

	streamPiece = skbMaxHead + 32768 // how much of a stream one message takes
)

func pageAlign(n int) int { return (n + abi.PageSize - 1) &^ (abi.PageSize - 1) }

// streamCost returns what n bytes of a stream cost.
func streamCost(n int) int {
	paged := min(n, pageAlign(max(n-skbMaxHead, 0)))
	return truesize(n-paged, paged)
}

// packetCost returns what a datagram of n bytes costs.
func packetCost(n int) int {
	paged := 0
	if n > skbMaxAlloc {
		paged = pageAlign(min(n-skbMaxAlloc, skbMaxPages))
	}
	return truesize(max(n-paged, 0), paged)
}

// truesize is skb->truesize: head comes from kmalloc, in powers of two.
func truesize(head, paged int) int {
	head = max(1<<bits.Len(uint(head+skbShared-1)), 512)
	return skbSize + head + pageAlign(paged)
}

// queue is a list of messages.
type queue struct {
	list  []*message
	head  int
	bytes int
}

func (q *queue) len() int { return len(q.list) - q.head }

func (q *queue) first() *message { return q.list[q.head] }

func (q *queue) push(m *message) {
	if q.head > 32 && q.head > len(q.list)/2 {
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	q.list = append(q.list, m)
	q.bytes += len(m.rest())
}

func (q *queue) pop() *message {
	m := q.list[q.head]
	q.list[q.head] = nil
	q.head++
	q.bytes -= len(m.rest())
	if q.head == len(q.list) {
		q.list, q.head = q.list[:0], 0
	}
	return m
}

// advance takes n bytes of the first message of a stream.
func (q *queue) advance(n int) {
	q.first().off += n
	q.bytes -= n
}

// takeAll empties the queue.
func (q *queue) takeAll() []*message {
	l := q.list[q.head:]
	*q = queue{}
	return l
}
