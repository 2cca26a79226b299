package socket

import (
	"testing"

	"lazaret/sentry/kernel/bpf"
	"lazaret/syscalls/abi"
)

// TestFilter: how much passes, and what a lock allows.
func TestFilter(t *testing.T) {
	ret := func(n uint32) *bpf.Program {
		p, err := bpf.CompilePacket([]bpf.Insn{{Code: abi.BPF_RET | abi.BPF_K, K: n}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	var f Filter
	if err := f.Set(nil, nil); err != abi.ENOENT {
		t.Errorf("detach without a filter: %v", err)
	}
	for _, c := range []struct {
		ret     uint32
		headers int
		n       int
		ok      bool
	}{{0, 8, 8, false}, {1, 8, 8, true}, {11, 8, 11, true}, {1 << 31, 8, 20, true}, {3, 0, 3, true}} {
		if err := f.Set(nil, ret(c.ret)); err != nil {
			t.Fatal(err)
		}
		if n, ok := f.Pass(&bpf.Packet{Data: make([]byte, 20)}, c.headers); n != c.n || ok != c.ok {
			t.Errorf("ret %d: %d %v, want %d %v", c.ret, n, ok, c.n, c.ok)
		}
	}
	_ = f.Lock(true)
	if a, b, c := f.Set(nil, nil), f.Set(nil, ret(1)), f.Lock(false); a != abi.EPERM || b != abi.EPERM || c != abi.EPERM {
		t.Errorf("locked: %v %v %v", a, b, c)
	}
	if f.Close(nil); f.On() {
		t.Error("there is a filter after Close")
	}
}
