package socket

import (
	"bytes"
	"testing"

	"lazaret/syscalls/abi"
)

func TestControlRoundTrip(t *testing.T) {
	var b []byte
	var ok bool
	b, ok = AppendCmsg(b, 100, abi.SOL_SOCKET, abi.SCM_RIGHTS, []byte{1, 0, 0, 0})
	if !ok || RightsRoom(b, 100) != 15 {
		t.Fatalf("room %d", RightsRoom(b, 100))
	}
	if b, ok = AppendCmsg(b, 100, 7, 9, []byte("twelve bytes")); !ok {
		t.Fatal("second does not fit")
	}
	if c, ok := AppendCmsg(b, 60, 1, 1, nil); ok || len(c) > 60 {
		t.Errorf("third fits: %d", len(c))
	}
	cs, err := ParseControl(b)
	if err != nil || len(cs) != 2 || cs[1].Level != 7 || cs[1].Type != 9 || !bytes.Equal(cs[1].Data, []byte("twelve bytes")) {
		t.Fatalf("%v %v", cs, err)
	}
}

func FuzzParseControl(f *testing.F) {
	f.Add([]byte{20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0})
	f.Add([]byte{15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0})
	f.Add(bytes.Repeat([]byte{255}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		cs, err := ParseControl(b)
		if err != nil && err != abi.EINVAL {
			t.Fatal(err)
		}
		for _, c := range cs {
			Descriptors(c.Data)
		}
	})
}
