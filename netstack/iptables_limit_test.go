package netstack

import (
	"testing"
	"time"

	"lazaret/syscalls/abi"
)

// TestLimit: a burst passes, then one packet in each period, and time without any fills the
// bucket to its brim only.
func TestLimit(t *testing.T) {
	m, err := newLimit(5000, 3) // two a second
	if err != nil {
		t.Fatal(err)
	}
	start := m.last
	for i, tc := range []struct {
		ms   time.Duration
		want bool
	}{{0, true}, {0, true}, {1, true}, {2, false}, {499, false}, {501, true}, {502, false}, {1001, true},
		{60000, true}, {60000, true}, {60000, true}, {60000, false}, {59000, false}} {
		if got := m.take(start.Add(tc.ms * time.Millisecond)); got != tc.want {
			t.Errorf("packet %d, after %d ms: %v", i, tc.ms, got)
		}
	}
	for _, tc := range [][2]uint32{{5000, 0}, {1 << 31, 2}} {
		if _, err := newLimit(tc[0], tc[1]); err != abi.ERANGE {
			t.Errorf("limit %v: %v", tc, err)
		}
	}
}
