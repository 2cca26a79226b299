package vfs

import "sync/atomic"

// Protected are the fs.protected_* settings (proc_sys_fs(5)), with Debian's defaults.
var Protected = newProtected(1, 1, 2, 1)

// Protection is a set of fs.protected_* settings.
type Protection struct {
	Symlinks, Hardlinks, Regular, FIFOs atomic.Int32
}

func newProtected(symlinks, hardlinks, regular, fifos int32) *Protection {
	p := &Protection{}
	p.Symlinks.Store(symlinks)
	p.Hardlinks.Store(hardlinks)
	p.Regular.Store(regular)
	p.FIFOs.Store(fifos)
	return p
}
