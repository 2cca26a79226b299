package netstack

import (
	"testing"
	"time"
)

func TestClosings(t *testing.T) {
	for name, tc := range map[string]struct {
		every time.Duration // between two connections
		want  time.Duration // TIME_WAIT after some thousand
	}{
		"slow":   {time.Second, timeWait},
		"medium": {5 * time.Millisecond, 5 * time.Millisecond * maxTimeWait},
		"fast":   {10 * time.Microsecond, minTimeWait},
	} {
		var c closings
		c.closing(time.Unix(1, 0))
		now := time.Unix(1, 0)
		for range 10 * closeBatch {
			now = now.Add(tc.every)
			c.closing(now)
		}
		if c.set < tc.want/2 || c.set > tc.want*2 {
			t.Errorf("%s: %v, want about %v", name, c.set, tc.want)
		}
		// After a pause the minute is back.
		now = now.Add(time.Hour)
		for range closeBatch {
			c.closing(now)
		}
		if c.set != timeWait {
			t.Errorf("%s: %v after a pause", name, c.set)
		}
	}
}
