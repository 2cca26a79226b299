package sandbox

import (
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestAllowedCPUs(t *testing.T) {
	host := []int{0, 1, 2, 5}
	for list, want := range map[string][]int{
		"": host, "1": {1}, "0-2": {0, 1, 2}, "2,0": {0, 2}, "0-1,1-5": host, "3-4": host, "7": host, "x": host, "1-": host,
	} {
		spec := &specs.Spec{Linux: &specs.Linux{Resources: &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: list}}}}
		if got := allowedCPUs(host, spec); !slices.Equal(got, want) {
			t.Errorf("allowedCPUs(%q) = %v, want %v", list, got, want)
		}
	}
	if got := allowedCPUs(host, nil); !slices.Equal(got, host) {
		t.Errorf("without a spec: %v", got)
	}
}
