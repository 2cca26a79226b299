package boot

import (
	"errors"
	"strconv"
	"strings"

	"lazaret/sentry/kernel"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// errnoText are the words of strerror(3) for errors that setting up and starting a program gives.
var errnoText = map[abi.Errno]string{
	abi.ENOENT: "no such file or directory", abi.EACCES: "permission denied", abi.ENOEXEC: "exec format error",
	abi.EISDIR: "is a directory", abi.ENOTDIR: "not a directory", abi.ELOOP: "too many levels of symbolic links",
	abi.ELIBBAD: "accessing a corrupted shared library", abi.ENOMEM: "cannot allocate memory", abi.E2BIG: "argument list too long",
	abi.EPERM: "operation not permitted", abi.ETXTBSY: "text file busy", abi.ENAMETOOLONG: "file name too long",
	abi.ENOSPC: "no space left on device", abi.EIO: "input/output error",
}

// describe turns an error number into the words that runc uses.
func describe(err error) error {
	var e abi.Errno
	if errors.As(err, &e) {
		if s, ok := errnoText[e]; ok {
			return errors.New(s)
		}
	}
	return err
}

// maxPasswd bounds what is read of /etc/passwd.
const maxPasswd = 1 << 20

// homeOf looks uid's home up in the container's /etc/passwd; "/" when it is not there.
func homeOf(t *kernel.Task, uid uint32) string {
	data := readFile(t, "/etc/passwd", maxPasswd)
	for _, line := range strings.Split(data, "\n") {
		f := strings.Split(line, ":")
		if len(f) >= 6 && f[2] == strconv.FormatUint(uint64(uid), 10) && f[5] != "" {
			return f[5]
		}
	}
	if uid == 0 && data == "" {
		return "/"
	}
	return "/"
}

// readFile reads at most limit bytes of a file; an error gives what was read until then.
func readFile(t *kernel.Task, name string, limit int) string {
	ctx := t.Ctx()
	f, err := vfs.OpenAt(ctx, ctx.FS.Root(), name, vfs.OpenHow{Flags: abi.O_RDONLY | abi.O_NONBLOCK})
	if err != nil {
		return ""
	}
	defer f.DecRef()
	var out []byte
	buf := make([]byte, 64<<10)
	for len(out) < limit {
		n, err := f.Read(ctx, uio.One(buf))
		if err != nil || n == 0 {
			break
		}
		out = append(out, buf[:n]...)
	}
	return string(out)
}
