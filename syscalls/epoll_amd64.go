package syscalls

import (
	"encoding/binary"

	"lazaret/sentry/fs/epoll"
)

// struct epoll_event is packed on amd64: events, then data.
const epollEventSize = 12

func epollEvent(b []byte) epoll.Event {
	return epoll.Event{Events: binary.LittleEndian.Uint32(b), Data: binary.LittleEndian.Uint64(b[4:])}
}

func appendEpollEvent(b []byte, e *epoll.Event) []byte {
	b = binary.LittleEndian.AppendUint32(b, e.Events)
	return binary.LittleEndian.AppendUint64(b, e.Data)
}
