//go:build amd64

package ptrace

import (
	"testing"

	"lazaret/platform"
	"lazaret/platform/internal/platformtest"
)

func TestMain(m *testing.M) {
	platformtest.Main(m, platformtest.Subject{
		New:     New,
		StubPID: func(as platform.AddressSpace) int { return int(as.(*addressSpace).pid) },
		Spaces: func(p platform.Platform) int {
			impl := p.(*ptracePlatform)
			impl.mu.Lock()
			defer impl.mu.Unlock()
			return len(impl.spaces) - 1
		},
		StubMaps: map[uint64]string{stubBase: "r-xp"},
		SigIgn:   "fffffffffffbfeff", SigBlk: "0000000000000000",
	}, map[string]func() error{"confined": confined})
}

func TestPlatform(t *testing.T)      { platformtest.Run(t) }
func BenchmarkPlatform(b *testing.B) { platformtest.Bench(b) }
