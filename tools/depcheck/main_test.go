package main

import "testing"

const gvisor = "gvisor.dev/gvisor/pkg/"

func TestEdges(t *testing.T) {
	for _, c := range []struct {
		self, imp string
		want      bool
	}{
		{"sentry/vfs", "sentry/wait", true},
		{"sentry/vfs", "syscalls/abi", true},
		{"sentry/kernel", "syscalls", false},
		{"sentry/kernel", "runsc/boot", false},
		{"sentry/fs/gofer", "gofer/proto", true},
		{"sentry/fs/gofer", "gofer/server", false},
		{"platform/ptrace", "sentry/mm", false},
		{"syscalls/abi", "platform", false},
		{"syscalls", "sentry/mm", true},
		{"runsc/boot", "syscalls", true},
	} {
		if got := ownAllowed(c.self, c.imp); got != c.want {
			t.Errorf("%s imports %s: allowed = %v, want %v", c.self, c.imp, got, c.want)
		}
	}
	for _, c := range []struct {
		self, imp string
		want      bool
	}{
		{"netstack", gvisor + "tcpip/stack", true},
		{"netstack", gvisor + "sentry/kernel", false},
		{"sentry/kernel", gvisor + "tcpip", false},
		{"sentry/kernel", "example.com/other", false},
	} {
		if got := externalAllowed(c.self, c.imp); got != c.want {
			t.Errorf("%s imports %s: allowed = %v, want %v", c.self, c.imp, got, c.want)
		}
	}
}

func TestUnsafeNames(t *testing.T) {
	for path, want := range map[string]bool{
		"sentry/memfile/map_unsafe.go":       true,
		"sentry/memfile/map_unsafe_amd64.go": true,
		"sentry/memfile/map_unsafe_test.go":  true,
		"sentry/memfile/map.go":              false,
		"tools/x/main.go":                    true,
	} {
		if got := unsafeAllowed(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}
