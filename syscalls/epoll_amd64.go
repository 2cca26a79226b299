package syscalls

import (
	"encoding/binary"

	"lazaret/sentry/fs/epoll"
	"lazaret/sentry/wait"
)

// struct epoll_event is packed on amd64: events, then data.
const epollEventSize = 12

func epollEvent(b []byte) epoll.Event {
	return epoll.Event{Events: wait.Mask(binary.LittleEndian.Uint32(b)), Data: binary.LittleEndian.Uint64(b[4:])}
}

func appendEpollEvent(b []byte, e *epoll.Event) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(e.Events))
	return binary.LittleEndian.AppendUint64(b, e.Data)
}
