//go:build amd64

package kernel

import (
	"testing"

	"lazaret/sentry/auth"
)

// The credentials that a first process has while it is made do not count for what its
// program may be asked: only exec's rules do.
func TestFirstProcessDumpable(t *testing.T) {
	for _, c := range []struct {
		name     string
		readable bool
		want     int32
	}{{"readable", true, DumpUser}, {"unreadable", false, DumpDisable}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			p := w.process(func(g *guest) { g.exit(0) })
			p.SetCreds(&auth.Creds{UserNS: w.k.RootUserNS, RUID: 7, EUID: 7, SUID: 7, FSUID: 7})
			img := w.image(func(g *guest) { g.exit(0) }, p.Creds())
			img.Readable = c.readable
			p.MM().DecUsers()
			p.SetImage(img)
			if got := p.tg.Dumpable(); got != c.want {
				t.Errorf("dumpable %d, want %d", got, c.want)
			}
			p.Start()
			w.waitExit(p.tg)
		})
	}
}

// Ids are read without the tree's lock: getpid(2) must not wait for a fork.
func TestIDsWithoutLock(t *testing.T) {
	w := newWorld(t)
	p := w.process(func(g *guest) { g.exit(0) })
	w.k.tasksMu.Lock()
	if p.TID() != 1 || p.tg.PID() != 1 || p.tg.PIDIn(p.PIDNS()) != 1 || p.TIDIn(w.k.RootPIDNS) != 1 {
		t.Error("wrong id of init")
	}
	w.k.tasksMu.Unlock()
	p.Start()
	w.waitExit(p.tg)
}
