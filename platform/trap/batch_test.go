//go:build amd64

package trap

import (
	"fmt"
	"strings"
	"testing"

	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// Many changes are made in order, with few requests; the first that fails ends them.
func TestBatch(t *testing.T) {
	p := hostile(t)
	v := newVictim(t, p, []byte{0x0f, 0x05})
	defer v.close()
	const n, base = 150, 0x10000000
	var ops []platform.Op
	at := func(i int) abi.AddrRange {
		start := abi.Addr(base + 2*i*abi.PageSize)
		return abi.AddrRange{Start: start, End: start + abi.PageSize}
	}
	for i := range n {
		ops = append(ops, platform.Op{Range: at(i), FD: v.mem, Prot: platform.Read | platform.Write})
	}
	ops = append(ops, platform.Op{Range: abi.AddrRange{Start: base, End: at(9).End}, FD: -1, Prot: platform.Read})
	before := p.counters.requests.Load()
	if err := v.as.Do(ops); err != nil {
		t.Fatal(err)
	}
	if n := p.counters.requests.Load() - before; n > 3 {
		t.Errorf("%d requests", n)
	}
	lines := stubLines(t, v.as)
	for i := range n {
		want := " rw-s "
		if i < 10 {
			want = " r--s "
		}
		if l := lines[uint64(at(i).Start)]; !strings.Contains(l, want) || !strings.HasPrefix(l, fmt.Sprintf("%08x-%08x", at(i).Start, at(i).End)) {
			t.Errorf("%d: %q", i, l)
		}
	}
	bad := abi.AddrRange{Start: codeBase, End: codeBase + abi.PageSize}
	if err := v.as.Do([]platform.Op{{Range: bad, FD: v.mem, Prot: 7}}); err != error(abi.EINVAL) {
		t.Errorf("a map over the stub's code: %v", err)
	}
	if err := v.as.Do([]platform.Op{{Range: at(n), FD: 1 << 20}, {Range: at(n + 1), FD: v.mem}}); err != error(abi.EBADF) {
		t.Errorf("no such descriptor: %v", err)
	}
	if l := stubLines(t, v.as)[uint64(at(n+1).Start)]; l != "" {
		t.Errorf("made after one that failed: %q", l)
	}
}
