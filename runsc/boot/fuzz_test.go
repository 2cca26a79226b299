package boot

import (
	"encoding/json"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/syscalls/abi"
)

// FuzzSeccomp: a profile of any form is compiled or refused.
func FuzzSeccomp(f *testing.F) {
	for _, s := range []string{
		`{"defaultAction":"SCMP_ACT_ALLOW"}`,
		`{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read","nope"],"action":"SCMP_ACT_ALLOW"}]}`,
		`{"defaultAction":"SCMP_ACT_KILL","syscalls":[{"names":["clone"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2114060288,"op":"SCMP_CMP_MASKED_EQ"}]}]}`,
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","errnoRet":99999,"args":[{"index":77,"op":"SCMP_CMP_GT"}]}]}`,
		`{}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s specs.LinuxSeccomp
		if json.Unmarshal(b, &s) != nil {
			return
		}
		if p, err := compileSeccomp(&s); err == nil && p.Program == nil {
			t.Fatal("no program and no error")
		}
	})
}

// FuzzMountOptions: what is no flag stays for the file system, in its order; flags that
// contradict each other end with the last.
func FuzzMountOptions(f *testing.F) {
	for _, s := range []string{"", "nosuid,strictatime,mode=755,size=65536k", "ro,rw,ro", "rbind,rslave,private", "tmpcopyup,,=,defaults"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list := strings.Split(s, ",")
		o := parseOptions(list)
		rest := 0
		for _, v := range list {
			_, flag := mountFlags[v]
			_, prop := propagation[v]
			if !flag && !prop && v != "tmpcopyup" {
				rest++
			}
		}
		if got := strings.Count(o.data, ",") + 1; rest > 0 && o.data != "" && got > rest {
			t.Fatalf("%q: %d options for the file system, %q", s, rest, o.data)
		}
		last := -1
		for i, v := range list {
			if v == "ro" || v == "rw" {
				last = i
			}
		}
		if ro := o.flags&abi.MS_RDONLY != 0; last >= 0 && ro != (list[last] == "ro") || last < 0 && ro {
			t.Fatalf("%q: flags %#x", s, o.flags)
		}
	})
}
