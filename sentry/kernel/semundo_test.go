//go:build amd64

package kernel

import (
	"sync/atomic"
	"testing"

	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// countUndo counts how often it is ended, which must be once.
type countUndo struct{ exits atomic.Int32 }

func (u *countUndo) Exit(*vfs.Context) { u.exits.Add(1) }

func TestSemUndoLife(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags uint64
		lists int32
	}{{"own", 0, 2}, {"shared", abi.CLONE_SYSVSEM, 1}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			var made []*countUndo
			use := func(t *Task) (uint64, error) {
				t.SemUndo(func() SemUndo { made = append(made, &countUndo{}); return made[len(made)-1] })
				return 0, nil
			}
			early := int32(-1)
			w.run(func(g *guest) {
				g.call(use)
				pid := g.clone(CloneArgs{ExitSignal: abi.SIGCHLD, Flags: c.flags}, func(k *guest) { k.call(use); k.exit(0) })
				g.wait(int32(pid), 0)
				g.call(use)
				early = made[0].exits.Load()
			})
			if early != 0 || int32(len(made)) != c.lists {
				t.Fatalf("%d lists, the first ended %d times while its process ran", len(made), early)
			}
			for i, u := range made {
				if n := u.exits.Load(); n != 1 {
					t.Errorf("list %d ended %d times", i, n)
				}
			}
		})
	}
}
