package syscalls

import (
	"encoding/binary"

	"lazaret/sentry/fs/epoll"
)

// struct epoll_event has padding between events and data on arm64.
const epollEventSize = 16

func epollEvent(b []byte) epoll.Event {
	return epoll.Event{Events: binary.LittleEndian.Uint32(b), Data: binary.LittleEndian.Uint64(b[8:])}
}

func appendEpollEvent(b []byte, e *epoll.Event) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(e.Events))
	return binary.LittleEndian.AppendUint64(b, e.Data)
}
