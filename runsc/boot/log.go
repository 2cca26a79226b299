package boot

import (
	"os"
	"sync"
)

// maxLog bounds the log in the state directory, which lies in memory (/run): whoever
// traces a busy container without naming a file must not fill it.
const maxLog = 16 << 20

// boundedLog writes to a file that begins again when it is full: the newest lines are what
// one looks for. A file that is not a log of ours (/dev/null) stays as it is.
//
// What the Go runtime writes when it dies comes past this, once. A Sentry that was taken
// over can write what it likes to its log, as to any file that it was given.
type boundedLog struct {
	limit int64

	mu   sync.Mutex
	f    *os.File
	size int64 // written by this, since it began again
}

// Write implements io.Writer.
func (l *boundedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size += int64(len(b)); l.size > l.limit {
		if l.f.Truncate(0) == nil {
			_, _ = l.f.WriteString("log: began again, it was full\n")
		}
		l.size = int64(len(b))
	}
	return l.f.Write(b)
}
