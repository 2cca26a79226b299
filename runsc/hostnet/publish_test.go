package hostnet

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func TestParsePublish(t *testing.T) {
	four, six := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")
	for text, want := range map[string]Publication{
		"80":                          {Port: 80, Count: 1},
		"8080:80":                     {HostPort: 8080, Port: 80, Count: 1},
		"8080:80/tcp":                 {HostPort: 8080, Port: 80, Count: 1},
		"5353:53/udp":                 {HostPort: 5353, Port: 53, Count: 1, UDP: true},
		"127.0.0.1:8080:80":           {Host: four, HostPort: 8080, Port: 80, Count: 1},
		"127.0.0.1::80":               {Host: four, Port: 80, Count: 1},
		"[::1]:8080:80":               {Host: six, HostPort: 8080, Port: 80, Count: 1},
		"[::1]::80":                   {Host: six, Port: 80, Count: 1},
		"8000-8002:80-82":             {HostPort: 8000, Port: 80, Count: 3},
		"127.0.0.1:65535:65535/udp":   {Host: four, HostPort: 65535, Port: 65535, Count: 1, UDP: true},
		"80-81":                       {Port: 80, Count: 2},
		"[::ffff:127.0.0.1]:8080:80":  {Host: four, HostPort: 8080, Port: 80, Count: 1},
		"127.0.0.1:60000-60009:1-10/": {},
	} {
		got, err := ParsePublish(text)
		if want.Count == 0 {
			if err == nil {
				t.Errorf("%s: %+v", text, got)
			}
			continue
		}
		want.text = text
		if err != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ":", "x", "80:", "0", "8080:0", "65536", "1:65536", "80/sctp", "80/", "1-2:80", "2-1:80-81", "1:2:3:4", "::1:80:80",
		"[::1]:80", "localhost:80:80", "127.0.0.1:80", "[127.0.0.1]:80:80", "[fe80::1%eth0]:80:80", "-1:80", "80-:80", "0-1:80-81"} {
		p, err := ParsePublish(text)
		if err == nil {
			t.Errorf("%q: %+v", text, p)
		} else if !strings.HasPrefix(err.Error(), "--publish ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParsePublish(f *testing.F) {
	f.Add("127.0.0.1:8000-8002:80-82/udp")
	f.Add("[::1]::80")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePublish(text)
		if err == nil && (p.Port == 0 || p.Count < 1 || int(p.Port)+p.Count > 1<<16 || p.HostPort != 0 && int(p.HostPort)+p.Count > 1<<16) {
			t.Errorf("%q: %+v", text, p)
		}
	})
}

// TestPublish: what is opened can be connected to; one that is in use is an error that says so,
// and nothing stays open.
func TestPublish(t *testing.T) {
	p, err := ParsePublish("127.0.0.1::80")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Publish([]Publication{p})
	if err != nil || len(got) != 1 || got[0].At.Port() == 0 {
		t.Fatalf("%v %v", got, err)
	}
	defer got[0].File.Close()
	again := p
	again.HostPort = got[0].At.Port()
	if more, err := Publish([]Publication{p, again}); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("%v %v", more, err)
	}
	many := p
	many.Count = 600
	if _, err := Publish([]Publication{many}); err == nil {
		t.Error("600 ports are published")
	}
}

func TestParseResolver(t *testing.T) {
	addrs := func(list ...string) []netip.Addr {
		var out []netip.Addr
		for _, a := range list {
			out = append(out, netip.MustParseAddr(a))
		}
		return out
	}
	for text, want := range map[string]Resolver{
		"":                       {},
		"# nameserver 1.1.1.1\n": {},
		"nameserver 127.0.0.53\noptions edns0\nsearch a.test b.test\n":                             {Servers: addrs("127.0.0.53"), Search: []string{"a.test", "b.test"}},
		"nameserver 1.1.1.1\nnameserver ::1\nnameserver x\nnameserver 2.2.2.2\nnameserver 3.3.3.3": {Servers: addrs("1.1.1.1", "::1", "2.2.2.2")},
		"domain c.test\nnameserver fe80::1%no-such-interface\nnameserver\nnameserver fe80::1%lo":   {Servers: addrs("fe80::1%1"), Search: []string{"c.test"}},
	} {
		if got := parseResolver(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}
