package cmd

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"lazaret/runsc/sandbox"
)

// annotationPrefix begins the annotations that are read as flags.
const annotationPrefix = "dev.lazaret."

// flagRow is one of runsc's own flags, as an annotation of config.json may set it.
// TRUST: whoever writes annotations may be the application's author (a pod), not the
// host's owner. So only what makes a sandbox tighter or more talkative to the host's own
// log is taken; a flag given on the command line wins over the annotation.
type flagRow struct {
	name string

	// safe are the values that an annotation may set; none: never.
	safe []string
	why  string // it is not safe otherwise
	set  func(f *sandbox.Flags, value string)
}

var flagRows = []flagRow{
	{"strace", []string{"true", "false"}, "", func(f *sandbox.Flags, v string) { f.Strace = v == "true" }},
	{"overlay", []string{"root", "all"}, "writes would reach the host", func(f *sandbox.Flags, v string) { f.Overlay = v }},
	{"network", []string{"none", "sandbox"}, "it would open the host's network", func(f *sandbox.Flags, v string) { f.Network = v }},
	{"publish", nil, "it opens ports of the host", nil},
	{"network-host-loopback", nil, "it would open the host's network", nil},
	{"platform", nil, "the host's owner chooses the wall", nil},
	{"strace-log", nil, "it names a file of the host", nil},
	{"pcap", nil, "it names a file of the host", nil},
	{"debug-log", nil, "it names a file of the host", nil},
	{"host-uds", nil, "it opens sockets of the host", nil},
}

// applyAnnotations overlays flags with what annotations ask for. given says which flags
// were on the command line.
func applyAnnotations(f *sandbox.Flags, annotations map[string]string, given func(string) bool) error {
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		name, ours := strings.CutPrefix(key, annotationPrefix)
		if !ours {
			continue
		}
		i := slices.IndexFunc(flagRows, func(r flagRow) bool { return r.name == name })
		if i < 0 {
			return fmt.Errorf("annotations[%q]: there is no flag --%s", key, name)
		}
		row := &flagRows[i]
		value := annotations[key]
		if !slices.Contains(row.safe, value) {
			if row.why == "" {
				return fmt.Errorf("annotations[%q]: %q is not one of %s", key, value, strings.Join(row.safe, ", "))
			}
			return fmt.Errorf("annotations[%q]: %q is not taken from an annotation (%s); use the flag --%s", key, value, row.why, name)
		}
		if !given(name) {
			row.set(f, value)
		}
	}
	return nil
}

// platforms and overlays are the values of --platform and --overlay.
var (
	platforms = []string{"trap", "ptrace"}
	overlays  = []string{"auto", "root", "all", "none"}
)

// checkFlags checks the values of our own flags.
func checkFlags(f *sandbox.Flags) error {
	for _, c := range []struct {
		flag, value string
		known       []string
	}{
		{"platform", f.Platform, platforms},
		{"overlay", f.Overlay, overlays},
		{"network", f.Network, networkModes},
	} {
		if !slices.Contains(c.known, c.value) {
			return fmt.Errorf("--%s %q: want %s", c.flag, c.value, strings.Join(c.known, ", "))
		}
	}
	return nil
}
