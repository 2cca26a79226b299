package spec

import specs "github.com/opencontainers/runtime-spec/specs-go"

// Annotations by which a CRI runtime says which containers share a sandbox: containerd's
// names, then CRI-O's.
var podAnnotations = []struct{ kind, sandboxID string }{
	{"io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id"},
	{"io.kubernetes.cri-o.ContainerType", "io.kubernetes.cri-o.SandboxID"},
}

// IsSubContainer says whether the container joins another one's sandbox.
func IsSubContainer(s *specs.Spec) bool { return SandboxID(s) != "" }

// SandboxID returns the id of the container whose sandbox this one joins, "" when it
// gets a sandbox of its own: no annotation, or the pod's own (pause) container.
func SandboxID(s *specs.Spec) string {
	for _, a := range podAnnotations {
		if s.Annotations[a.kind] == "container" {
			return s.Annotations[a.sandboxID]
		}
	}
	return ""
}

// IsPod says whether the container is a pod's own, whose sandbox others join.
func IsPod(s *specs.Spec) bool {
	for _, a := range podAnnotations {
		if s.Annotations[a.kind] == "sandbox" {
			return true
		}
	}
	return false
}
