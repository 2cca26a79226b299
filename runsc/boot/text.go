package boot

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lazaret/sentry/kernel"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// describe turns an error number into the words of strerror(3), which runc uses.
func describe(err error) error {
	var e abi.Errno
	if errors.As(err, &e) {
		return errors.New(unix.Errno(e).Error())
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
