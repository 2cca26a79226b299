package fuzz

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Bounds of one run.
const (
	memoryLimit  = "512m"
	heapBoundKiB = (512 + 96) << 10 // the limit and what the host allows the Sentry beside it
	turnBoundMS  = 20000            // the guest's supervisor must get its turn
	grace        = 60 * time.Second
)

// seeds are a fixed one and one that no run had before.
func seeds(t *testing.T) []uint64 {
	t.Helper()
	if s := os.Getenv("FUZZ_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("FUZZ_SEED: %v", err)
		}
		return []uint64{n}
	}
	return []uint64{1, uint64(time.Now().UnixNano()) % 1e9}
}

func seconds(t *testing.T, usual int) int {
	t.Helper()
	s := os.Getenv("FUZZ_SECONDS")
	if s == "" {
		return usual
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("FUZZ_SECONDS: %v", err)
	}
	return n
}

// TestHostile runs the guests that take a seed.
func TestHostile(t *testing.T) {
	for _, g := range []struct {
		name             string
		seconds, workers int
	}{
		{"syscalls", 15, 5},
		{"torture", 10, 4},
		{"malformed", 10, 3},
		{"stub", 8, 3},
	} {
		bin := build(t, g.name)
		for _, seed := range seeds(t) {
			t.Run(fmt.Sprintf("%s/%d", g.name, seed), func(t *testing.T) {
				n := seconds(t, g.seconds)
				r := runGuest(t, bin, time.Duration(n)*time.Second+grace, fmt.Sprint(seed), fmt.Sprint(n), fmt.Sprint(g.workers))
				r.check(t)
				if r.code != 0 {
					t.Errorf("exit code %d", r.code)
				}
				for _, f := range []string{"worst_turn_ms", "teardown_ms"} {
					if v := field(r.out, f); v < 0 || v > turnBoundMS {
						t.Errorf("%s = %d, want 0 to %d", f, v, turnBoundMS)
					}
				}
				t.Logf("seed %d: %s, heap %d MiB", seed, strings.TrimSpace(r.out), r.heapKiB>>10)
			})
		}
	}
}

// TestExhaust asks for one resource after the other in one sandbox: what a case took must
// be back before the next.
func TestExhaust(t *testing.T) {
	r := runGuest(t, build(t, "exhaust"), 3*time.Minute, "600")
	r.check(t)
	if r.code != 0 || strings.Contains(r.out, "STUCK") {
		t.Errorf("exit code %d, a case did not end by itself", r.code)
	}
	t.Logf("heap %d MiB\n%s", r.heapKiB>>10, r.out)
}

// field returns the number after name= in the guest's last line, -1 if there is none.
func field(out, name string) int {
	_, rest, ok := strings.Cut(out, name+"=")
	if !ok {
		return -1
	}
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		return -1
	}
	return n
}
