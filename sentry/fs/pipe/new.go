package pipe

import (
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

func newEnds(p *Pipe) (r, w *end) {
	p.addEnds(vfs.ModeRead | vfs.ModeWrite)
	// A pipe had its writer from the start: seen differs from writerOpens.
	return &end{pipe: p, mode: vfs.ModeRead}, &end{pipe: p, mode: vfs.ModeWrite}
}

// New makes a pipe (pipe2(2)). flags are O_NONBLOCK and O_DIRECT; O_CLOEXEC is the
// descriptor's. Others: EINVAL.
func New(ctx *vfs.Context, flags uint32) (r, w *vfs.File, err error) {
	if flags&^(abi.O_NONBLOCK|abi.O_DIRECT|abi.O_CLOEXEC) != 0 {
		return nil, nil, abi.EINVAL
	}
	flags &^= abi.O_CLOEXEC
	re, we := newEnds(NewPipe())
	r = vfs.NewAnonFile(ctx, "pipe:", re, flags|abi.O_RDONLY, vfs.ModeRead|vfs.ModeStream)
	w = vfs.NewAnonFile(ctx, "pipe:", we, flags|abi.O_WRONLY, vfs.ModeWrite|vfs.ModeStream)
	return r, w, nil
}
