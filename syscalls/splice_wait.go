package syscalls

import (
	"time"

	"lazaret/sentry/vfs"
)

// writeDeadline is when a blocking write to f gives up (SO_SNDTIMEO); zero is never.
func writeDeadline(f *vfs.File) time.Time {
	if tf, ok := f.Ops.(TimeoutFile); ok {
		if _, w := tf.Timeouts(); w > 0 {
			return time.Now().Add(w)
		}
	}
	return time.Time{}
}
