//go:build amd64

package trap

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
			impl := p.(*trapPlatform)
			impl.mu.Lock()
			defer impl.mu.Unlock()
			return len(impl.spaces) - 1 - len(impl.pool)
		},
		Drain:    func(p platform.Platform) { p.(*trapPlatform).drain() },
		StubMaps: map[uint64]string{codeBase: "r-xp", dataBase: "r--p", reqBase: "r--s"},
		SigIgn:   "ffffffffbfbb7a27", SigBlk: "fffffffffffbfeff",
		FaultCodes: true, HostStops: true,
	}, map[string]func() error{"confined": confined})
}

func TestPlatform(t *testing.T)      { platformtest.Run(t) }
func BenchmarkPlatform(b *testing.B) { platformtest.Bench(b) }
