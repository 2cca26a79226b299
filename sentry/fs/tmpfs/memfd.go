package tmpfs

import (
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// memfdNameMax is the longest name of a memfd (memfd_create(2)).
const memfdNameMax = 249

// kernelMount returns the instance that memfds and shared anonymous files live in.
func (t *Type) kernelMount() (*FS, *vfs.Mount) {
	t.kernelOnce.Do(func() {
		ctx := &vfs.Context{}
		fs := t.newFS(ctx, options{pages: 0, inodes: 0})
		fs.super.Kernel = true
		if fs.super.SetRoot(ctx, fs.root) == nil {
			t.kernel, t.mount = fs, vfs.KernelMount(fs.super)
		}
	})
	return t.kernel, t.mount
}

// NewMemfd is memfd_create(2); flags are MFD_*.
func (t *Type) NewMemfd(ctx *vfs.Context, name string, flags uint32) (*vfs.File, error) {
	const mfdNoExecSeal, mfdExec = 8, 0x10
	if flags&^(abi.MFD_CLOEXEC|abi.MFD_ALLOW_SEALING|mfdNoExecSeal|mfdExec) != 0 || len(name) > memfdNameMax {
		return nil, abi.EINVAL
	}
	if flags&mfdNoExecSeal != 0 && flags&mfdExec != 0 {
		return nil, abi.EINVAL
	}
	fs, mount := t.kernelMount()
	mode := uint32(abi.S_IFREG | 0o777)
	if flags&mfdNoExecSeal != 0 {
		mode = abi.S_IFREG | 0o666
	}
	i, err := fs.root.TmpFile(ctx, &vfs.MakeArgs{Mode: mode, UID: ctx.Creds.FSUID, GID: ctx.Creds.FSGID})
	if err != nil {
		return nil, err
	}
	f := i.(*file)
	switch {
	case flags&mfdNoExecSeal != 0:
		f.data.seals = abi.F_SEAL_EXEC
	case flags&abi.MFD_ALLOW_SEALING == 0:
		f.data.seals = abi.F_SEAL_SEAL
	}
	return vfs.NewInodeFile(ctx, mount, f, "/memfd:"+name+" (deleted)", (*fileOps)(f),
		abi.O_RDWR|abi.O_LARGEFILE, vfs.ModeRead|vfs.ModeWrite)
}

// Seals implements vfs.Sealer. Only memfds can be sealed; other files of tmpfs have
// F_SEAL_SEAL.
func (o *fileOps) Seals() uint32 {
	if !o.fs.super.Kernel {
		return abi.F_SEAL_SEAL
	}
	o.data.mu.RLock()
	defer o.data.mu.RUnlock()
	return o.data.seals
}

// AddSeals implements vfs.Sealer.
func (o *fileOps) AddSeals(seals uint32) error {
	d := &o.data
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seals&abi.F_SEAL_SEAL != 0 || !o.fs.super.Kernel {
		return abi.EPERM
	}
	if seals&abi.F_SEAL_WRITE != 0 && d.writable > 0 {
		return abi.EBUSY
	}
	if seals&abi.F_SEAL_EXEC != 0 && o.mode&0o111 != 0 {
		seals |= abi.F_SEAL_SHRINK | abi.F_SEAL_GROW | abi.F_SEAL_WRITE | abi.F_SEAL_FUTURE_WRITE
	}
	d.seals |= seals
	return nil
}
