package unix

import (
	"sync"

	"lazaret/sentry/socket"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// flight knows the files that are in queues: of which user, and which of them are unix
// sockets, for the search of those that nobody can reach any more. It is of the whole
// sandbox because files travel between its namespaces.
var flight struct {
	sync.Mutex
	sockets map[*Socket]*inflightSocket
	holders map[*Socket]map[*message]struct{} // sockets with files in their queue
	total   int
}

// inflightSocket is a unix socket whose file is in queues count times.
type inflightSocket struct {
	file  *vfs.File
	count int64
}

// maxInFlight bounds the files in all queues of the sandbox.
const maxInFlight = 65536

// socketOf returns the unix socket behind f, nil for other files.
func socketOf(f *vfs.File) *Socket {
	s, err := socket.Of(f)
	if err != nil {
		return nil
	}
	u, _ := s.(*Socket)
	return u
}

// attach takes the references of files over into msg, which goes to to: ETOOMANYREFS when
// too much is in flight. On an error the caller keeps the files.
func attach(_ *vfs.Context, msg *message, to *Socket, files []*vfs.File) error {
	if len(files) == 0 {
		return nil
	}
	if len(files) > socket.MaxRights {
		return abi.EINVAL
	}
	flight.Lock()
	defer flight.Unlock()
	if flight.total+len(files) > maxInFlight {
		return abi.ETOOMANYREFS
	}
	if flight.sockets == nil {
		flight.sockets = make(map[*Socket]*inflightSocket)
		flight.holders = make(map[*Socket]map[*message]struct{})
	}
	flight.total += len(files)
	for _, f := range files {
		s := socketOf(f)
		if s == nil {
			continue
		}
		if flight.sockets[s] == nil {
			flight.sockets[s] = &inflightSocket{file: f}
		}
		flight.sockets[s].count++
	}
	if flight.holders[to] == nil {
		flight.holders[to] = make(map[*message]struct{})
	}
	flight.holders[to][msg] = struct{}{}
	msg.files, msg.to = files, to
	return nil
}

// detach takes the files out of msg; their references go to the caller.
func detach(msg *message) []*vfs.File {
	if len(msg.files) == 0 {
		return nil
	}
	flight.Lock()
	defer flight.Unlock()
	return detachLocked(msg)
}

func detachLocked(msg *message) []*vfs.File {
	files := msg.files
	flight.total -= len(files)
	for _, f := range files {
		s := socketOf(f)
		if s == nil {
			continue
		}
		i := flight.sockets[s]
		if i.count--; i.count == 0 {
			delete(flight.sockets, s)
		}
	}
	if h := flight.holders[msg.to]; h != nil {
		delete(h, msg)
		if len(h) == 0 {
			delete(flight.holders, msg.to)
		}
	}
	msg.files, msg.to = nil, nil
	return files
}

// copyFiles returns the files of msg with a reference more (MSG_PEEK).
func copyFiles(msg *message) []*vfs.File {
	flight.Lock()
	defer flight.Unlock()
	files := append([]*vfs.File(nil), msg.files...)
	for _, f := range files {
		f.IncRef()
	}
	return files
}

func dropFiles(msg *message) {
	for _, f := range detach(msg) {
		f.DecRef()
	}
}

// collect drops the files in queues of sockets that are only referred to from such queues:
// a socket sent through itself and closed would stay for ever.
func collect() {
	var garbage []*vfs.File
	flight.Lock()
	if len(flight.sockets) > 0 {
		for _, msg := range unreachableLocked() {
			garbage = append(garbage, detachLocked(msg)...)
		}
	}
	flight.Unlock()
	for _, f := range garbage {
		f.DecRef() // may close sockets and so collect again: without locks
	}
}

// unreachableLocked returns the messages with files that nobody can receive. Sockets with a
// reference outside of queues are alive, so are the ones in queues of those.
func unreachableLocked() []*message {
	suspect := make(map[*Socket]bool)
	for s, i := range flight.sockets {
		if i.file.Refs() == i.count {
			suspect[s] = true
		}
	}
	if len(suspect) == 0 {
		return nil
	}
	// A socket that waits in a backlog lives with its listener: roots are all holders
	// that are not suspects.
	var alive []*Socket
	for h := range flight.holders {
		if !suspect[h] {
			alive = append(alive, h)
		}
	}
	for len(alive) > 0 {
		h := alive[len(alive)-1]
		alive = alive[:len(alive)-1]
		for msg := range flight.holders[h] {
			for _, f := range msg.files {
				if s := socketOf(f); s != nil && suspect[s] {
					delete(suspect, s)
					alive = append(alive, s)
				}
			}
		}
	}
	var dead []*message
	for s := range suspect {
		for msg := range flight.holders[s] {
			dead = append(dead, msg)
		}
	}
	return dead
}
