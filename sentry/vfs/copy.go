package vfs

import (
	"lazaret/sentry/uio"
	"lazaret/syscalls/abi"
)

// copyBuffer is how much CopyBetween holds in memory at a time, in bytes.
const copyBuffer = 128 << 10

// maxCopy is the most that one CopyBetween moves, so that signals get a chance.
const maxCopy = 16 << 20

// CopyBetween moves up to n bytes from in to out (sendfile(2), copy_file_range(2)). A nil
// offset uses and advances the file's own; others are read and advanced. It does not
// sleep: a short count or abi.EAGAIN (nothing moved) says that a side was not ready. What
// was read and could not be written is given back to in if that has a position; streams
// are read only as far as out took bytes before.
func CopyBetween(ctx *Context, in *File, inPos *int64, out *File, outPos *int64, n int) (int, error) {
	n = min(n, maxCopy)
	buf := make([]byte, min(n, copyBuffer))
	done := 0
	for done < n {
		c, err := copyOnce(ctx, in, inPos, out, outPos, buf[:min(len(buf), n-done)])
		done += c
		if done > 0 && err != nil || c == 0 && err == nil {
			return done, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return done, nil
}

// copyOnce moves one buffer.
func copyOnce(ctx *Context, in *File, inPos *int64, out *File, outPos *int64, buf []byte) (int, error) {
	var from int64
	switch {
	case inPos != nil:
		from = *inPos
	case in.Mode&ModeStream == 0:
		from = in.Pos()
	}
	var got int
	var err error
	if in.Mode&ModeStream != 0 {
		got, err = in.Read(ctx, uio.One(buf))
	} else {
		got, err = in.ReadAt(ctx, uio.One(buf), from)
	}
	if got <= 0 || err != nil {
		return 0, err
	}
	put := 0
	for put < got {
		var c int
		if outPos != nil {
			c, err = out.WriteAt(ctx, uio.One(buf[put:got]), *outPos)
			*outPos += int64(max(c, 0))
		} else {
			c, err = out.Write(ctx, uio.One(buf[put:got]))
		}
		if c <= 0 || err != nil {
			break
		}
		put += c
	}
	if in.Mode&ModeStream == 0 {
		if inPos != nil {
			*inPos += int64(put)
		} else {
			in.SetPos(from + int64(put))
		}
	}
	if put > 0 {
		return put, nil
	}
	return 0, err
}

// CheckCopyRange is copy_file_range(2)'s checks of both files.
func CheckCopyRange(in, out *File, flags uint32) error {
	if flags != 0 {
		return abi.EINVAL
	}
	if in.Mode&ModeRead == 0 || out.Mode&ModeWrite == 0 || out.Flags()&abi.O_APPEND != 0 {
		return abi.EBADF
	}
	it, ot := in.Path.Dentry.typ, out.Path.Dentry.typ
	if it == abi.S_IFDIR || ot == abi.S_IFDIR {
		return abi.EISDIR
	}
	if it != abi.S_IFREG || ot != abi.S_IFREG {
		return abi.EINVAL
	}
	return nil
}
