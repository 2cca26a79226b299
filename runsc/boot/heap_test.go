package boot

import "testing"

func TestGarbagePercent(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, 100}, {1 << 20, 100}, {32 << 20, 100}, {64 << 20, 50}, {100 << 20, 30}, {256 << 20, 12},
		{1 << 30, 6}, {1 << 40, 6},
	} {
		if got := garbagePercent(c.live); got != c.want {
			t.Errorf("garbagePercent(%d MiB) = %d, want %d", c.live>>20, got, c.want)
		}
	}
}
