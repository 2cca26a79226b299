package proc

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// host returns the text of the host's file.
func host(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// missing returns what of want is not in have.
func missing(have, want []string) []string {
	var out []string
	for _, k := range want {
		if !slices.Contains(have, k) {
			out = append(out, k)
		}
	}
	return out
}

func TestStatusKeysAsOnHost(t *testing.T) {
	w := newWorld(t)
	p := w.process(0, "prog\x00", "A=b\x00")
	ours := keys(w.read(p, "/proc/self/status"))
	theirs := keys(host(t, "/proc/self/status"))
	// Depend on the host's configuration and version.
	optional := []string{"untag_mask", "x86_Thread_features", "x86_Thread_features_locked", "Kthread", "CoreDumping",
		"THP_enabled", "Seccomp_filters", "SpeculationIndirectBranch", "Speculation_Store_Bypass"}
	if m := missing(ours, theirs); len(missing(optional, m)) > 0 {
		t.Errorf("keys that the host has and we have not: %v", m)
	}
	if m := missing(theirs, ours); len(missing(optional, m)) > 0 {
		t.Errorf("keys that we have and the host has not: %v", m)
	}
	var common []string
	for _, k := range theirs {
		if slices.Contains(ours, k) {
			common = append(common, k)
		}
	}
	ours = slices.DeleteFunc(ours, func(k string) bool { return !slices.Contains(common, k) })
	if !slices.Equal(ours, common) {
		t.Errorf("order of keys:\nours %v\nhost %v", ours, common)
	}
}

// TestLinesAsOnHost compares files line by line with the host's, with numbers made
// alike: white space, words and line order must be the same.
func TestLinesAsOnHost(t *testing.T) {
	w := newWorld(t)
	p := w.process(0, "prog\x00", "A=b\x00")
	num := regexp.MustCompile(`\s*-?\b[0-9]+\b`)
	word := regexp.MustCompile(`\bunlimited +|\b[0-9]+ +`)
	for _, name := range []string{"limits", "io", "statm", "schedstat", "timens_offsets", "uid_map", "oom_score_adj",
		"coredump_filter", "setgroups", "personality"} {
		ours, theirs := w.read(p, "/proc/self/"+name), host(t, "/proc/self/"+name)
		norm := func(s string) string {
			if name == "limits" {
				return word.ReplaceAllStringFunc(s, func(m string) string { return strings.Repeat("N", len(m)) })
			}
			return num.ReplaceAllString(s, " N")
		}
		if norm(ours) != norm(theirs) {
			t.Errorf("%s:\nours\n%s\nhost\n%s", name, ours, theirs)
		}
	}
}

func TestStatFieldsAsOnHost(t *testing.T) {
	w := newWorld(t)
	p := w.process(0, "prog\x00", "A=b\x00")
	p.SetComm("a) (b c")
	fields := func(s string) []string {
		i := strings.LastIndexByte(s, ')')
		return strings.Fields(s[i+1:])
	}
	ours := w.read(p, "/proc/self/stat")
	a, b := fields(ours), fields(host(t, "/proc/self/stat"))
	if len(a) != len(b) {
		t.Errorf("%d fields, the host has %d: %s", len(a), len(b), ours)
	}
	if !strings.HasPrefix(ours, "1 (a) (b c) ") || !strings.HasSuffix(ours, "\n") || strings.Contains(ours, "  ") {
		t.Errorf("stat: %q", ours)
	}
}

func TestMeminfoKeysAsOnHost(t *testing.T) {
	w := newWorld(t)
	p := w.process(0, "prog\x00", "")
	text := w.read(p, "/proc/meminfo")
	want := keys(host(t, "/proc/meminfo"))
	optional := []string{"HardwareCorrupted", "CmaTotal", "CmaFree", "Unaccepted", "DirectMap1G", "ShmemHugePages",
		"ShmemPmdMapped", "FileHugePages", "FilePmdMapped", "Balloon", "AnonHugePages"}
	if m := missing(append(keys(text), optional...), want); len(m) > 0 {
		t.Errorf("keys missing: %v", m)
	}
	line := regexp.MustCompile(`(?m)^(\S+: +[0-9]+( kB)?\n)+$`)
	if !line.MatchString(text) {
		t.Errorf("bad form:\n%s", text)
	}
	if !strings.HasPrefix(text, "MemTotal:        1048576 kB\n") {
		t.Errorf("the container's limit does not show: %.40q", text)
	}
}

func TestMapsAsOnHost(t *testing.T) {
	w := newWorld(t)
	p := w.process(0, "prog\x00", "")
	form := regexp.MustCompile(`^[0-9a-f]{8,}-[0-9a-f]{8,} [r-][w-][x-][ps] [0-9a-f]{8,} [0-9a-f]{2,}:[0-9a-f]{2,} [0-9]+( +\S.*| )\n$`)
	for _, text := range []string{w.read(p, "/proc/self/maps"), host(t, "/proc/self/maps")} {
		for line := range strings.Lines(text) {
			if !form.MatchString(line) {
				t.Errorf("line %q", line)
			}
			if i := strings.IndexAny(line, "/["); i >= 0 && i < 73 {
				t.Errorf("name in column %d: %q", i, line)
			}
		}
	}
	const want = "10000000-10004000 rw-p 00000000 00:00 0                                  [stack]\n"
	if got := w.read(p, "/proc/self/maps"); got != want {
		t.Errorf("maps %q, want %q", got, want)
	}
	smaps := func(s string) []string {
		i := strings.IndexByte(s, '\n') + 1
		j := strings.Index(s, "VmFlags")
		return keys(s[i:j])
	}
	if a, b := smaps(w.read(p, "/proc/self/smaps")), smaps(host(t, "/proc/self/smaps")); len(missing(a, b)) > 1 {
		t.Errorf("smaps keys %v, host %v", a, b)
	}
}

func TestNetHeadersAsOnHost(t *testing.T) {
	w := newWorld(t)
	p := w.process(0, "prog\x00", "")
	for i := range netTable {
		name := netTable[i].name
		b, err := os.ReadFile("/proc/net/" + name)
		if err != nil || netTable[i].text == "" {
			continue
		}
		head, _, _ := strings.Cut(string(b), "\n")
		ours, _, _ := strings.Cut(w.read(p, "/proc/net/"+name), "\n")
		switch name {
		case "netstat", "snmp", "snmp6", "if_inet6", "ipv6_route", "sockstat", "softnet_stat", "psched":
			head, _, _ = strings.Cut(head, " ")
			ours, _, _ = strings.Cut(ours, " ")
			if len(head) != len(ours) && name != "snmp6" {
				t.Errorf("%s: %q, host %q", name, ours, head)
			}
		default:
			if head != ours {
				t.Errorf("%s:\n%q\nhost\n%q", name, ours, head)
			}
		}
	}
}

func TestSysctlNamesOfHost(t *testing.T) {
	for path, l := range sysctlIndex() {
		fi, err := os.Stat("/proc/sys/" + path)
		if err != nil {
			continue // of another version or configuration
		}
		if got := uint32(fi.Mode().Perm()); got != l.mode {
			t.Errorf("%s: mode %o, host %o", path, l.mode, got)
		}
	}
}
